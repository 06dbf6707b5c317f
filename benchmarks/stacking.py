"""Whether several canvases in one tensor are computed faster than one after another: ``python benchmarks/stacking.py``.

Timed is what nearly all of the optimiser's time goes into: the pull in the bundled encoders and LPIPS, forward and
backward, on noise. For each canvas and number of canvases in one tensor: seconds for each canvas, how many times as
fast that is as one canvas by itself, how much memory of a GPU it takes, and multiplications and additions a second, to
be held against what the device's maker says it can do.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from shaded.scheduling.process import thread_count
from shaded.scheduling.toolbox import Toolbox, open_toolbox
from shaded.settings import Shading
from shaded.shading.optimiser import latent_goal
from shaded.shading.perceptibility import ReferenceDistance


def one_step(box: Toolbox, side: int, stack: int) -> Callable[[], None]:
    """What one step of the optimiser computes, for ``stack`` canvases of ``side`` by ``side`` pixels in one tensor."""
    dice = torch.Generator().manual_seed(side)
    original, anchor = (torch.rand(stack, 3, side, side, generator=dice).to(box.device) for _ in range(2))
    goals = [latent_goal(surrogate, original, anchor) for surrogate in box.targets]
    distance = ReferenceDistance(box.lpips, original)
    delta = torch.full_like(original, 0.01)

    def step() -> None:
        delta.requires_grad_()
        for goal in goals:
            torch.autograd.grad(goal.rest(original + delta, None).sum(), delta)
        torch.autograd.grad(distance(original + delta).sum(), delta)
        if box.device.type == "cuda":
            torch.cuda.synchronize()

    return step


def measure(box: Toolbox, side: int, stack: int, rounds: int) -> dict[str, float]:
    """Median seconds for each canvas, operations a second, and the most of a GPU's memory that was held, in bytes."""
    step = one_step(box, side, stack)
    with FlopCounterMode(display=False) as counted:
        step()
    if box.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        step()
        times.append(time.perf_counter() - begun)
    seconds = statistics.median(times)
    held = torch.cuda.max_memory_reserved() if box.device.type == "cuda" else 0
    rate = counted.get_total_flops() / seconds
    return {"seconds_each": seconds / stack, "operations_a_second": rate, "gpu_bytes": held}


def main() -> None:
    """Measure every canvas and stack, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto")
    parser.add_argument("--sides", type=int, nargs="+", default=(256, 512), help="of the canvases, multiples of 32")
    parser.add_argument("--stacks", type=int, nargs="+", default=(1, 2, 4), help="canvases in one tensor")
    parser.add_argument("--rounds", type=int, default=5, help="of which the median is taken")
    parser.add_argument("--threads", type=int, default=0, help="compute threads on a CPU; 0: the cores there are")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(thread_count(options.threads))
    box = open_toolbox(Shading(device=options.device))
    name = torch.cuda.get_device_name() if box.device.type == "cuda" else str(box.device)
    rows = []
    for side in options.sides:
        alone = None
        for stack in options.stacks:
            row = measure(box, side, stack, options.rounds)
            alone = alone or row["seconds_each"]
            rows.append({"side": side, "stack": stack, **row, "gain": alone / row["seconds_each"]})
            print(
                f"{name}, {box.dtype}: {stack} of {side} x {side}: {row['seconds_each']:.4f} s each, "
                f"{rows[-1]['gain']:.2f} times as fast as {options.stacks[0]}; "
                f"{row['operations_a_second'] / 1e12:.2f} TFLOP/s; {row['gpu_bytes'] / 1e9:.2f} GB of the GPU",
                flush=True,
            )
    if options.json:
        options.json.write_text(json.dumps({"device": name, "dtype": box.dtype, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
