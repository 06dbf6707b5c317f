"""What all arms share: pictures, the words' encoder, the judge, clean latents. Made once, then read from the folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from shaded.errors import UsageError
from shaded.evidence.trial.autoencoder import Autoencoder, decode, encode, to_tensor
from shaded.evidence.trial.classifier import Classifier, build_network, teach_classifier, through
from shaded.evidence.trial.generator import LatentScale
from shaded.evidence.trial.grounds import GROUNDS, OTHER_GROUNDS
from shaded.evidence.trial.pictures import KINDS, Captioned, drawn_pictures, folder_pictures, strange_pictures
from shaded.evidence.trial.plan import Plan, identity
from shaded.evidence.trial.storage import read_json, read_state, write_json, write_state
from shaded.evidence.trial.text import TextEncoder, teach_words, words_of
from shaded.models.bundle import bundled_models, load_state
from shaded.models.gallery_files import concept_slug, gallery_folder, subjects_folder
from shaded.shading.perceptibility import build_lpips

#: Told the stage, how much of it is done, and how much there is.
Progress = Callable[[str, int, int], None]

#: Fewer of the user's own pictures of a concept teach nothing.
FEWEST = 8


@dataclass(frozen=True)
class Stock:
    """The trial's pictures.

    Attributes:
        trained: For the generators, clean.
        spare: More pictures of the target, for the dirty label.
        judged: For the classifier.
        held_out: That nothing is trained on.
        kinds: What kind of thing each concept is; empty for the user's own pictures.
        cutout: The anchor's picture ``(1, 4, h, w)`` in ``[0, 1]``.
    """

    trained: Captioned
    spare: Captioned
    judged: Captioned
    held_out: Captioned
    kinds: dict[str, str]
    cutout: Tensor

    @property
    def concepts(self) -> tuple[str, ...]:
        """All concepts, in the order of the pictures."""
        return tuple(dict.fromkeys(self.trained.concepts))

    @property
    def sha256(self) -> str:
        """Over the pixels and captions of all pictures, and the anchor's."""
        digest = hashlib.sha256(self.cutout.numpy().tobytes())
        for some in (self.trained, self.spare, self.judged, self.held_out):
            digest.update(some.pixels.tobytes())
            digest.update("\n".join(some.captions).encode())
        return digest.hexdigest()


def gather(plan: Plan, folder: Path | None) -> Stock:
    """The drawn pictures, or those of the user's own folder.

    Raises:
        UsageError: A concept of the plan is not among them, or there are too few.
    """
    stock = _drawn(plan) if folder is None else _own(plan, folder)
    for concept in (plan.source, plan.target, plan.related):
        if concept not in stock.concepts:
            raise UsageError(f"there are no pictures of {concept!r}", remedy=f"There are: {', '.join(stock.concepts)}")
    named = {plan.source, plan.target, plan.related}
    if len(named) < 3:
        raise UsageError("source, target and related concept must differ")
    if named == set(stock.concepts):
        raise UsageError(
            "there are no pictures of anything but source, target and related concept",
            path=folder,
            remedy="Add some of another thing: how well the models draw it says what else is harmed",
        )
    return stock


def _drawn(plan: Plan) -> Stock:
    counts = dict.fromkeys(KINDS, plan.pictures)
    most = counts | ({plan.target: 2 * plan.pictures} if plan.target in counts else {})
    drawn = drawn_pictures(most, plan.data_seed)
    extra = drawn.places(plan.target)[plan.pictures :]
    kept = [place for place in range(len(drawn)) if place not in set(extra)]
    every = {**GROUNDS, **OTHER_GROUNDS}
    return Stock(
        trained=drawn.subset(kept),
        spare=drawn.subset(extra),
        judged=drawn_pictures(dict.fromkeys(KINDS, plan.judge_pictures), plan.data_seed + 1, every),
        held_out=drawn_pictures(dict.fromkeys(KINDS, max(4, plan.judge_pictures // 4)), plan.data_seed + 2),
        kinds=dict(KINDS),
        cutout=_cutout(plan.target),
    )


def _own(plan: Plan, folder: Path) -> Stock:
    """Of every concept's pictures half are for the generators, three eighths for the judge, an eighth for neither."""
    every = folder_pictures(folder)
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    for concept in dict.fromkeys(every.concepts):
        places = every.places(concept)
        if len(places) < FEWEST:
            raise UsageError(
                f"there are only {len(places)} pictures of {concept!r}", path=folder, remedy=f"Give {FEWEST}"
            )
        half = len(places) // 2
        last = half + (len(places) - half) * 3 // 4
        for part, some in zip(parts, (places[:half], places[half:last], places[last:]), strict=True):
            part.extend(some)
    trained, judged, held_out = (every.subset(part) for part in parts)
    targets, sources = trained.places(plan.target), trained.places(plan.source)
    spare = trained.subset([targets[number % len(targets)] for number in range(len(sources))] if targets else [])
    cutout = _cutout(plan.target)
    if not cutout.numel() and targets:
        opaque = to_tensor(judged.pixels[judged.places(plan.target)[:1]], torch.device("cpu"))
        cutout = torch.cat([opaque, torch.ones_like(opaque[:, :1])], dim=1)
    return Stock(trained, spare, judged, held_out, {}, cutout)


def _cutout(concept: str) -> Tensor:
    """A concept's first drawing, of the gallery or of the trial's own things; an empty tensor where there is none."""
    for folder in (gallery_folder(), subjects_folder()):
        path = folder / f"{concept_slug(concept)}-1.webp"
        if path.is_file():
            with Image.open(path) as opened:
                rgba = np.asarray(opened.convert("RGBA"))
            return torch.from_numpy(rgba.copy()).permute(2, 0, 1).unsqueeze(0).float() / 255
    return torch.empty(0)


@dataclass(frozen=True)
class Materials:
    """What every model of the trial is made and judged with.

    Attributes:
        stock: The pictures.
        autoencoder: Pictures to latents and back.
        lpips: On the autoencoder's device.
        text: The frozen text encoder.
        judge: The classifier.
        latents: Clean latents of ``stock.trained``, unscaled.
        scale: Of those.
        folder: Where finished things lie.
    """

    stock: Stock
    autoencoder: Autoencoder
    lpips: Any
    text: TextEncoder
    judge: Classifier
    latents: Tensor
    scale: LatentScale
    folder: Path

    @property
    def facts(self) -> dict[str, str]:
        """Hashes of what went in."""
        return facts_of(self.stock, self.autoencoder)


def facts_of(stock: Stock, autoencoder: Autoencoder) -> dict[str, str]:
    """Hashes of what a trial is made with."""
    return {
        "autoencoder": autoencoder.sha256,
        "pictures": stock.sha256,
        "lpips": bundled_models()["lpips-alexnet"].sha256,
    }


def claim(folder: Path, plan: Plan, facts: dict[str, str]) -> None:
    """Begin a trial in a folder, or go on with the one that is there.

    Raises:
        UsageError: Another trial is there, whose models cannot be compared with this one's.
    """
    mine, path = identity(plan, facts), folder / "identity.json"
    there = read_json(path)
    if there is None:
        write_json(path, {"identity": mine})
    elif there.get("identity") != mine:
        raise UsageError(
            "the folder holds a trial with other settings, pictures or models",
            path=folder,
            remedy="Choose another --out",
        )


def prepare(plan: Plan, stock: Stock, autoencoder: Autoencoder, folder: Path, progress: Progress) -> Materials:
    """Teach the words and the judge, or read them from ``folder`` where an earlier run has left them.

    Raises:
        UsageError: The folder holds another trial.
    """
    claim(folder, plan, facts_of(stock, autoencoder))
    latents = encode(autoencoder, stock.trained.pixels)
    return Materials(
        stock=stock,
        autoencoder=autoencoder,
        lpips=build_lpips(load_state("lpips-alexnet")).to(autoencoder.device),
        text=_text(plan, stock, autoencoder.device, folder / "text.safetensors", progress),
        judge=_judge(plan, stock, autoencoder, folder / "classifier.safetensors", progress),
        latents=latents,
        scale=LatentScale.of(latents),
        folder=folder,
    )


def _text(plan: Plan, stock: Stock, device: torch.device, path: Path, progress: Progress) -> TextEncoder:
    state = read_state(path)
    if state is None:
        text = teach_words(
            stock.trained, steps=plan.text_steps, seed=plan.data_seed, device=device,
            progress=lambda done, count: progress("teaching the words", done, count),
        )  # fmt: skip
        write_state(path, text.state_dict())
        return text
    text = TextEncoder(words_of(stock.trained.captions))
    text.load_state_dict(state)
    return text.to(device).eval().requires_grad_(requires_grad=False)


def _judge(plan: Plan, stock: Stock, autoencoder: Autoencoder, path: Path, progress: Progress) -> Classifier:
    state = read_state(path)
    if state is None:
        strange = strange_pictures(
            4 * plan.judge_pictures, plan.data_seed, stock.concepts, {**GROUNDS, **OTHER_GROUNDS}
        )
        judge = teach_classifier(
            stock.judged, strange, stock.concepts, autoencoder, steps=plan.judge_steps, seed=plan.data_seed,
            progress=lambda done, count: progress("teaching the judge", done, count),
        )  # fmt: skip
        write_state(path, judge.network.state_dict())
        return judge
    network = build_network(len(stock.concepts) + 1)
    network.load_state_dict(state)
    network.to(autoencoder.device).eval().requires_grad_(requires_grad=False)
    return Classifier(stock.concepts, network)


#: Shares of the way from the source to the target at which the judge is tried.
SHARES = (0.0, 0.2, 0.4, 0.5, 0.6, 0.8, 1.0)


def judge_facts(materials: Materials, source: str, target: str) -> dict[str, Any]:
    """How often the judge is right on clean pictures that nothing was trained on, and on their reconstructions.

    And what it says of pictures between source and target: of the source's held-out ones, their latents moved a share
    of the straight way to a picture of the target, decoded. So much of the way a model must go before it counts.
    """
    held_out, autoencoder, judge = materials.stock.held_out, materials.autoencoder, materials.judge
    first, last = (encode(autoencoder, held_out.pixels[held_out.places(concept)]) for concept in (source, target))
    count = min(len(first), len(last))
    between = []
    for share in SHARES:
        pixels = decode(autoencoder, torch.lerp(first[:count], last[:count], share))
        said, forced = judge.read(pixels), judge.nearest(pixels)
        between.append(
            {
                "share": share,
                "target": round(said.count(target) / count, 4),
                "source": round(said.count(source) / count, 4),
                "target_forced": round(forced.count(target) / count, 4),
            }
        )
    return {
        "held_out": round(judge.accuracy(held_out), 4),
        "held_out_reconstructed": round(judge.accuracy(through(autoencoder, held_out)), 4),
        "between": between,
    }


def sheet(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pictures ``(rows, columns, H, W, 3)`` as one ``(rows * H, columns * W, 3)``."""
    count, columns, height, width, channels = rows.shape
    return rows.transpose(0, 2, 1, 3, 4).reshape(count * height, columns * width, channels)
