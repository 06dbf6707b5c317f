"""How the time and the memory of one picture grow with its size: ``python benchmarks/large_pictures.py BIG.jpg``.

The named picture is shaded at full size and reduced to about two megapixels, in turn, each by the real worker process
with its models loaded. Printed: seconds from the sidecar, their ratio (the baseline is the reduced one of the same
round), and the worker's peak memory.
"""

from __future__ import annotations

import argparse
import io
import statistics
import tempfile
from pathlib import Path

from PIL import Image

from shaded.publishing.sidecar import read_sidecar
from shaded.scheduling.messages import Failure, Rendered, ShadeTask, Start
from shaded.scheduling.process import ProcessExecutor
from shaded.settings import Profile, Shading


def reduced(data: bytes, pixels: int) -> bytes:
    """The same JPEG at about ``pixels`` pixels."""
    with Image.open(io.BytesIO(data)) as opened:
        scale = (pixels / (opened.width * opened.height)) ** 0.5
        small = opened.resize((round(opened.width * scale), round(opened.height * scale)), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def seconds_of(executor: ProcessExecutor, folder: Path, name: str) -> tuple[float, int]:
    """Shade one file of the folder; its seconds and the worker's peak bytes so far."""
    staging = folder / "staging"
    staging.mkdir(exist_ok=True)
    executor.submit([
        ShadeTask(
            job_id=name, root=folder, source=folder / name, name=name, staging=staging, output_name=name,
            profile=Profile(quality="balanced"), secret="00" * 32,
        )
    ])  # fmt: skip
    while True:
        for event in executor.events(1.0):
            if isinstance(event, Rendered):
                engine = read_sidecar(event.sidecar).engine
                return engine.seconds, engine.peak_memory_bytes
            if isinstance(event, Failure):
                raise SystemExit(f"{name}: {event.what}")


def main() -> None:
    """Time both sizes in turn and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    data = options.picture.read_bytes()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "full.jpg").write_bytes(data)
        (folder / "small.jpg").write_bytes(reduced(data, 2_000_000))
        executor = ProcessExecutor(Start(shading=Shading()), idle_seconds=60, silence_seconds=600)
        try:
            seconds_of(executor, folder, "small.jpg")  # loads the models
            rounds, peak_small, peak_full = [], 0, 0
            for _ in range(options.rounds):
                small, peak = seconds_of(executor, folder, "small.jpg")
                peak_small = peak_small or peak
                full, peak_full = seconds_of(executor, folder, "full.jpg")
                rounds.append((small, full))
                print(f"2 megapixels {small:.1f} s, full size {full:.1f} s, ratio {full / small:.2f}")
        finally:
            executor.close()
    print(f"median ratio {statistics.median(full / small for small, full in rounds):.2f}")
    print(f"peak memory {peak_small / 1e9:.2f} GB with the small one alone, {peak_full / 1e9:.2f} GB with both")


if __name__ == "__main__":
    main()
