"""A worker with an engine that copies: what the file name says is what happens.

``python fake_worker.py [option...]``, of ``slow-open``, ``no-model``, ``bad-settings``, ``dies-opening``, ``gpu=NAME``.
A picture whose name contains ``die``, ``hang``, ``print``, ``refuse``, ``unreadable``, ``busy``, ``memory``, ``gpu``,
``bug`` or ``slow`` meets that fate; ``die`` also one that is verified.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import time
from pathlib import Path

from PIL import Image

from shaded.errors import ConfigurationError, ModelError, Refusal, SourceChanged, Transient, Unreadable
from shaded.evidence.findings import AuditResult, Before, Kept, Laundered, NoiseControl
from shaded.publishing.sidecar import (
    Anchor,
    Concept,
    Engine,
    FileFacts,
    RightsFacts,
    Sidecar,
    Survival,
    Target,
    Tool,
)
from shaded.scheduling import worker
from shaded.scheduling.accelerator import Accelerator
from shaded.scheduling.messages import Audited, Progress, Rendered, Verified


class CopyingEngine:
    """Copies the source into staging, with a few plausible numbers."""

    device = "fake"
    accelerator = Accelerator()

    def shade(self, task, progress):
        progress(Progress(job_id=task.job_id, stage="shade", step=0, steps=4))
        _meet_fate(task)
        data = task.source.read_bytes()
        if task.sha256 and hashlib.sha256(data).hexdigest() != task.sha256:
            raise SourceChanged("the file changed", path=task.source)
        if "slow" in task.name:
            for step in range(1, 11):
                time.sleep(0.1)
                progress(Progress(job_id=task.job_id, stage="shade", step=step, steps=10, pull=step / 40))
        shaded = data + b"shaded"
        picture = task.staging / task.output_name
        picture.write_bytes(shaded)
        sha = hashlib.sha256(shaded).hexdigest()
        sidecar = task.staging / (task.output_name + ".shaded.json")
        sidecar.write_text(_sidecar(task, data, shaded).to_json())
        progress(Progress(job_id=task.job_id, stage="shade", step=4, steps=4, pull=0.25))
        return Rendered(
            job_id=task.job_id,
            picture=picture,
            sidecar=sidecar,
            sha256=sha,
            bytes=len(shaded),
            summary={
                "concept": "cow",
                "target": "handbag",
                "pull": 0.25,
                "lpips": 0.04,
                "psnr_db": 40.0,
                "seconds": 0.1,
            },
        )

    def verify(self, task):
        if "die" in task.published.name:
            os.kill(os.getpid(), signal.SIGKILL)
        sidecar = task.sidecar or Path(f"{task.published}.shaded.json")
        missing = () if sidecar.exists() else ("there is no sidecar",)
        return Verified(job_id=task.job_id, problems=missing, measured={"pull": 0.25, "original": str(task.original)})

    def audit(self, task, progress):
        progress(Progress(job_id=task.job_id, stage="laundering", step=1, steps=2))
        if "unreadable" in task.published.name:
            raise Unreadable("it is broken", path=task.published, remedy="Save it again")
        if task.pictures is not None:
            Image.new("RGB", (8, 8)).save(task.pictures / "shaded.png")
        rows = [
            _laundered("JPEG q75 4:2:0", "jpeg", "saved as JPEG of quality 75", 0.8),
            _laundered("crop 10 %", "crop", "cut off at the sides", 0.5),
        ]
        result = AuditResult(
            sha256="0" * 64, canvas=(64, 64), window=(64, 64), lpips=0.02,
            noise=NoiseControl(lpips=0.02, sigma=3.0, seed=1),
            before={"meter": Before(pull=0.25, direction=0.5, noise=0.001)}, launderings=rows, not_applied=[],
        )  # fmt: skip
        return Audited(job_id=task.job_id, result=result)


def _laundered(name, group, description, survival):
    kept = Kept(pull=0.25 * survival, direction=0.5, survival=survival, noise=0.004, original=0.01)
    return Laundered(
        name=name, group=group, description=description, moves=False, mean_survival=survival,
        worst_survival=survival, worst_encoder="meter", mean_pull=0.25 * survival, noise_pull=0.004,
        original_pull=0.01, encoders={"meter": kept},
    )  # fmt: skip


def _sidecar(task, source, published):
    """A minimal document that the real schema accepts."""

    def facts(name, data):
        sha256 = hashlib.sha256(data).hexdigest()
        return FileFacts(name=name, sha256=sha256, bytes=len(data), format="png", width=8, height=8, mode="RGB")

    return Sidecar(
        tool=Tool(name="shaded", version="0"),
        source=facts(task.name, source),
        published=facts(task.output_name, published),
        concept=Concept(tag="cow", origin="tagger"),
        target=Target(concept="handbag", anchor=Anchor(name="handbag-1", sha256="0" * 64), origin="gallery"),
        alt_text="A cow.",
        budget={},
        strength={},
        survival=Survival(),
        engine=Engine(
            models=[], intensity=task.profile.intensity, quality=task.profile.quality, steps=4, seed=1, device="fake",
            dtype="float32",
            canvas=(8, 8), batch=(1, 3, 8, 8), scale=1.0, seconds=0.1, peak_memory_bytes=0,
        ),
        rights=RightsFacts(),
    )  # fmt: skip


def _meet_fate(task):
    name = task.name
    if "die" in name:
        os.kill(os.getpid(), signal.SIGKILL)
    if "hang" in name:
        time.sleep(600)
    if "print" in name:
        print("a stray print")  # noqa: T201 - the point
        os.write(1, b"a stray write\n")
    if "refuse" in name:
        raise Refusal("it is animated", path=task.source, remedy="Save one frame of it")
    if "unreadable" in name:
        raise Unreadable("it is broken", path=task.source, remedy="Save it again")
    if "busy" in name:
        raise Transient("the disk is full", path=task.source)
    if "memory" in name:
        raise MemoryError
    if "gpu" in name:
        raise RuntimeError("CUDA error: unspecified launch failure\nCompile with TORCH_USE_CUDA_DSA")
    if "bug" in name:
        raise ZeroDivisionError("by a bug")


class FakeGpu(Accelerator):
    """A GPU among others of these names: a picture takes 3 GB of it, of which 1 GB stays with the worker."""

    def __init__(self, names):
        self.names = tuple(names)

    def peak_bytes(self):
        return 3 * 10**9

    def held_bytes(self):
        return 10**9


def open_copying(options):
    """An engine factory for these options."""

    def open_engine(start):
        if "slow-open" in options:
            time.sleep(1.0)
        if "no-model" in options:
            raise ModelError("a model's file is altered", path="shader.safetensors", remedy="Reinstall shaded")
        if "bad-settings" in options:
            raise ConfigurationError("shading.device: there is no cuda here", remedy="Set it to auto")
        if "dies-opening" in options:
            os._exit(7)
        engine = CopyingEngine()
        gpus = [option.removeprefix("gpu=") for option in options if option.startswith("gpu=")]
        if gpus:
            engine.device = f"cuda:{start.device_index}"
            engine.accelerator = FakeGpu(gpus)
        return engine

    return open_engine


if __name__ == "__main__":
    worker.main(open_copying(sys.argv[1:]))
