"""What a worker loads once: networks, tagger, vocabulary and anchors, assembled from the package's files."""

from __future__ import annotations

import functools
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from shaded.errors import ConfigurationError, DeviceLost, ModelError
from shaded.models.bundle import bundled_models, load_state
from shaded.models.gallery_files import load_gallery, vocabulary_tables
from shaded.models.local_surrogates import LocalModel, load_local
from shaded.models.tagger_weights import WEIGHTS_SHA256, load_tagger_state, weights_path
from shaded.publishing.sidecar import Model
from shaded.settings import Shading
from shaded.shading.concepts import Vocabulary, vocabulary_of
from shaded.shading.perceptibility import build_lpips
from shaded.shading.students import STRIDES, WEIGHTS, StudentEncoder
from shaded.shading.surrogates import Surrogate, autoencoder_kl, autoencoder_tiny, plain_autoencoder
from shaded.shading.tagger import Tagger, build_network, fit_state
from shaded.shading.tiny_autoencoders import FAMILIES, tiny_decoder, tiny_encoder

ANCHOR_SUFFIXES = frozenset({".png", ".webp", ".jpg", ".jpeg"})


@dataclass(frozen=True)
class AnchorFile:
    """A picture of a target concept: ``origin`` is ``gallery`` (bundled) or ``folder`` (the artist's own)."""

    concept: str
    name: str
    path: Path
    sha256: str
    origin: str


@dataclass(frozen=True)
class Toolbox:
    """Everything that shading and measuring need, on one device."""

    device: torch.device
    lpips: Any
    students: tuple[Surrogate, ...]
    meters: tuple[Surrogate, ...]
    surrogates: tuple[Surrogate, ...]
    tagger: Tagger
    vocabulary: Vocabulary
    anchors: tuple[AnchorFile, ...]
    models: tuple[Model, ...]

    @property
    def encoders(self) -> tuple[Surrogate, ...]:
        """Everything that strength is stated for: never the students, which the shading flatters."""
        return self.meters + self.surrogates

    @property
    def targets(self) -> tuple[Surrogate, ...]:
        """Everything that the shading is optimised against: a student only where its teacher is not at hand."""
        at_hand = {surrogate.family for surrogate in self.surrogates}
        return (*(student for student in self.students if student.family not in at_hand), *self.surrogates)

    @property
    def dtype(self) -> str:
        """The coarsest number format that the shading is found in."""
        return "bfloat16" if any(target.dtype == "bfloat16" for target in self.targets) else "float32"


def open_toolbox(shading: Shading, device_index: int = 0) -> Toolbox:
    """Load everything, every file's hash checked.

    Args:
        shading: Which models, and the kind of device.
        device_index: Which of several such devices.

    Raises:
        ModelError: A model is missing, altered or unusable.
        ConfigurationError: The device or the anchor folder that the settings name is not there.
        DeviceLost: There are not so many devices of that kind.
    """
    torch.set_num_threads(shading.threads or os.cpu_count() or 1)
    device = choose_device(shading.device, device_index)
    lpips = build_lpips(load_state("lpips-alexnet")).to(device)
    locals_ = [load_local(path) for path in shading.surrogates]
    return Toolbox(
        device=device,
        lpips=lpips,
        students=tuple(load_student(family, device, "student") for family in STRIDES),
        meters=tuple(load_student(family, device, "meter") for family in STRIDES),
        surrogates=tuple(local_surrogate(model, device) for model in locals_),
        tagger=load_tagger(),
        vocabulary=load_vocabulary(),
        anchors=bundled_anchors() + own_anchors(shading.anchors),
        models=model_facts(locals_),
    )


@functools.cache
def load_vocabulary() -> Vocabulary:
    """The bundled vocabulary of everyday concepts."""
    return vocabulary_of(vocabulary_tables())


def load_tagger() -> Tagger:
    """The bundled tagger.

    Raises:
        ModelError: Its weights are missing, altered, or do not fit the network.
    """
    network = build_network()
    try:
        fit_state(network, load_tagger_state())
    except ValueError as error:
        raise ModelError(
            f"the tagger's weights do not fit: {error}", path=weights_path(), remedy="Install shaded again with pip"
        ) from error
    return Tagger(network)


def choose_device(wanted: str, index: int = 0) -> torch.device:
    """``auto`` takes CUDA, then Apple's MPS, then the CPU.

    Args:
        wanted: The kind of device.
        index: Which of several CUDA devices; of the others there is one.

    Raises:
        ConfigurationError: No device of the wanted kind is there.
        DeviceLost: There are, but not so many.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto":
        wanted = next(name for name in ("cuda", "mps", "cpu") if there[name])
    if not there[wanted]:
        raise ConfigurationError(
            f"shading.device: {wanted} is not available on this machine", remedy="Set it to auto or cpu"
        )
    if wanted != "cuda" or index == 0:
        return torch.device(wanted)
    if index >= torch.cuda.device_count():
        raise DeviceLost(f"GPU number {index + 1} is not there any more", remedy="The others are used meanwhile")
    torch.cuda.set_device(index)
    return torch.device(wanted, index)


def load_student(family: str, device: torch.device, kind: str) -> Surrogate:
    """A bundled student to optimise against, or the ``meter`` that began as its copy, to measure with.

    In bfloat16 where the device gains by it and the results are numbers.

    Raises:
        ModelError: Its file is missing or altered.
    """
    state, half = load_state(f"{kind}-{family}"), has_fast_bfloat16(device)
    student = StudentEncoder.from_state(family, state, half=half).to(device)
    if half:
        with torch.no_grad():
            plain = student(torch.full((1, 3, 64, 64), 0.5, device=device))
        student.in_bfloat16 = bool(plain.isfinite().all())
    role = "meter" if kind == "meter" else "surrogate"
    dtype = "bfloat16" if student.in_bfloat16 else "float32"
    return Surrogate(f"{family}-{kind}", student, role=role, family=family, weight=WEIGHTS[family], dtype=dtype)


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 faster than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported())  # noqa: SLF001 - no public name


def local_surrogate(model: LocalModel, device: torch.device) -> Surrogate:
    """A local model behind the surrogates' seam.

    Raises:
        ModelError: A plain state dict that belongs to no known encoder, or to another family than its file's name says.
    """
    if model.kind == "encoder":
        try:
            named = next((family for family in FAMILIES if model.name.lower().startswith(family)), None)
            encoder = tiny_encoder(model.content, named)
            decoder = None if model.decoder is None else tiny_decoder(model.decoder, encoder.family).to(device)
            return plain_autoencoder(model.name, encoder.to(device), decoder, family=encoder.family)
        except (ValueError, KeyError, RuntimeError) as error:
            raise ModelError(
                f"the surrogate {model.name!r} is no encoder that is known here: {error}",
                remedy=f"Use a tiny encoder whose file's name begins with one of {', '.join(FAMILIES)}, "
                "or a folder in diffusers format",
            ) from error
    wrap = autoencoder_kl if model.kind == "AutoencoderKL" else autoencoder_tiny
    return wrap(model.name, model.content.to(device))


def bundled_anchors() -> tuple[AnchorFile, ...]:
    """The gallery."""
    return tuple(
        AnchorFile(entry.concept, entry.path.stem, entry.path, entry.sha256, "gallery") for entry in load_gallery()
    )


def own_anchors(folder: Path | None) -> tuple[AnchorFile, ...]:
    """The artist's own anchors: ``teapot.png`` or ``teapot-2.png`` is a picture of a teapot.

    Raises:
        ConfigurationError: The folder cannot be read, or holds no picture.
    """
    if folder is None:
        return ()
    try:
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() in ANCHOR_SUFFIXES)
    except OSError as error:
        raise ConfigurationError(f"shading.anchors cannot be read: {error.strerror}", path=folder) from error
    if not files:
        raise ConfigurationError(
            "shading.anchors: the folder holds no PNG, WebP or JPEG", path=folder, remedy="Put pictures in, or unset it"
        )
    return tuple(
        AnchorFile(_concept_of(path.stem), path.stem, path, hashlib.sha256(path.read_bytes()).hexdigest(), "folder")
        for path in files
    )


def _concept_of(stem: str) -> str:
    head, dash, tail = stem.rpartition("-")
    return (head if dash and tail.isdecimal() else stem).replace("-", " ").replace("_", " ").strip().lower()


def model_facts(local: list[LocalModel]) -> tuple[Model, ...]:
    """What the sidecar says about every model that has a part in the result."""
    bundled = [
        Model(name=model.name, revision=model.revision, sha256=model.sha256, role=model.role)
        for model in bundled_models().values()
    ]
    tagger = Model(name="efficientnet-lite0", revision="0.1.0", sha256=WEIGHTS_SHA256, role="tagger")
    own = [Model(name=model.name, revision="local", sha256=model.sha256, role="surrogate") for model in local]
    return (*bundled, tagger, *own)
