"""What the words low, default, high, fast, balanced and thorough mean, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Visibility:
    """The budget of one intensity.

    Attributes:
        flat: One visible unit in flat areas, in 8-bit grey levels; see `hard_limits` for the most of a single pixel.
        busy: One visible unit in busy areas, in 8-bit grey levels.
        reach: Root mean square of the change over the canvas in visible units, at most.
        lpips: LPIPS (AlexNet) over the canvas, at most.
        local_lpips: LPIPS of the worst 64-pixel window, at most.
        psnr_db: Peak signal-to-noise ratio of the full-size picture, at least.
        delta_e: CIE76 colour difference of the blurred canvas, at most.
        faint_lines: Whether the anchor's shape and outline are kept from showing in calm areas, at a cost in pull.
    """

    flat: float
    busy: float
    reach: float
    lpips: float
    local_lpips: float
    psnr_db: float
    delta_e: float
    faint_lines: bool

    def enlarged(self, times: float) -> Visibility:
        """The budget of a shading whose sides are enlarged so many times before people see it.

        Grain that is as fine as pixels is hardly seen in calm areas; coarser grain, nearer to where the eye sees best
        (Campbell and Robson 1968), is: so that its unit there is smaller.
        """
        return replace(self, flat=self.flat / times**FADING) if self.faint_lines else self


#: How fast the unit in flat areas falls with the enlargement: its power, chosen by looking at 100 %.
FADING = 0.75

VISIBILITIES: Mapping[str, Visibility] = {
    "low": Visibility(
        flat=1.2, busy=9, reach=0.6, lpips=0.03, local_lpips=0.12, psnr_db=38, delta_e=3.0, faint_lines=True
    ),
    "default": Visibility(
        flat=1.2, busy=11, reach=0.75, lpips=0.05, local_lpips=0.20, psnr_db=33, delta_e=4.0, faint_lines=True
    ),
    "high": Visibility(
        flat=2.5, busy=16, reach=1.0, lpips=0.07, local_lpips=0.28, psnr_db=30, delta_e=5.0, faint_lines=False
    ),
}

#: Optimiser steps of each quality.
STEPS: Mapping[str, int] = {"fast": 5, "balanced": 8, "thorough": 16}
