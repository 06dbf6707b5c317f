"""Shading one canvas."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from shaded.shading.engine import CanvasWork, as_saved, fits, largest_scale, shade_canvas
from shaded.shading.laundering import gaussian_blur
from shaded.shading.perceptibility import ReferenceDistance, psnr
from shaded.shading.presets import STEPS, VISIBILITIES


def _work(textured, **changes):
    work = CanvasWork(
        original=textured,
        anchor=textured.flip(-1),
        mask=torch.ones_like(textured[:, :1]),
        gray=False,
        visibility=VISIBILITIES["default"],
        steps=6,
        seed=11,
    )
    return replace(work, **changes)


def test_the_result_is_inside_every_limit_of_the_budget(lpips, textured, encoder):
    """The rounded result keeps LPIPS, its worst window, PSNR and colour drift."""
    work = _work(textured)
    shaded = shade_canvas(work, [encoder], lpips)
    assert shaded.scale > 0
    assert fits(work, shaded.delta, ReferenceDistance(lpips, textured))
    assert bool((shaded.delta.abs() <= shaded.limits + 1e-6).all())


def test_a_higher_intensity_changes_more(lpips, textured, encoder):
    """Low, default and high change the picture in that order."""
    sizes = [
        float(shade_canvas(_work(textured, visibility=VISIBILITIES[name]), [encoder], lpips).delta.abs().mean())
        for name in ("low", "default", "high")
    ]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2]


def test_a_gray_canvas_stays_gray(lpips, textured, encoder):
    """A black-and-white picture is changed by the same amount in all channels, also at white and black."""
    gray = textured.mean(dim=1, keepdim=True).expand(-1, 3, -1, -1).contiguous()
    shaded = shade_canvas(_work(gray, gray=True, anchor=textured.flip(-1)), [encoder], lpips)
    saved = as_saved(gray + shaded.delta)
    assert torch.equal(saved.amax(dim=1), saved.amin(dim=1))
    assert float(shaded.delta.abs().max()) > 0


def test_transparent_pixels_are_left_alone(lpips, textured, encoder):
    """Where nothing shows, nothing is changed."""
    mask = torch.ones_like(textured[:, :1])
    mask[..., :40] = 0
    shaded = shade_canvas(_work(textured, mask=mask), [encoder], lpips)
    assert float(shaded.delta[..., :40].abs().max()) == 0
    assert float(shaded.delta[..., 40:].abs().max()) > 0


def test_every_surrogate_is_moved_toward_the_anchor(lpips, textured, encoder):
    """With two encoders at hand both of their latents move, and neither is left far behind."""
    from shaded.evidence.measure import measure_strength
    from shaded.shading.surrogates import plain_autoencoder

    torch.manual_seed(9)
    other = plain_autoencoder("other", torch.nn.Conv2d(3, 6, 16, stride=16).requires_grad_(False))
    work = _work(textured, steps=12)
    shaded = shade_canvas(work, [encoder, other], lpips)
    seen = measure_strength([encoder, other], as_saved(textured + shaded.delta), textured, work.anchor)
    pulls = [one.pull for one in seen.values()]
    assert min(pulls) > 0.02


def test_pure_white_and_black_stay_so_where_there_is_no_room(lpips, textured, encoder):
    """Nothing goes beyond the value range: white paper can only be darkened, and by no more than its hard limit."""
    shaded = shade_canvas(_work(textured), [encoder], lpips)
    saved = textured + shaded.delta
    assert float(saved.max()) <= 1
    assert float((1 - saved[..., 80:]).max()) <= float(shaded.limits[..., 80:].max()) + 1e-6


def test_the_same_work_gives_the_same_shading(lpips, textured, encoder):
    """Nothing but the work decides the result."""
    first, second = (shade_canvas(_work(textured), [encoder], lpips).delta for _ in range(2))
    assert torch.equal(first, second)


def test_progress_tells_every_step(lpips, textured, encoder):
    """A caller can show how far the optimiser is."""
    seen = []
    shade_canvas(_work(textured, steps=3), [encoder], lpips, progress=lambda *told: seen.append(told[:2]))
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("most", [1.0, 0.5, 0.23, 0.04])
def test_the_largest_scale_is_found(most):
    """The scale is the largest that fits, to within a thirty-second."""
    found = largest_scale(lambda share: share <= most)
    assert most - 1 / 32 <= found <= most


def test_quality_means_more_steps():
    """Fast, balanced and thorough take more and more steps."""
    assert STEPS["fast"] < STEPS["balanced"] < STEPS["thorough"]


def test_pure_black_on_pure_white_is_shaded_too(lpips, encoder):
    """Line art that has no value but 0 and 1 is moved: what lies at the edge of the range can be drawn inside."""
    art = torch.ones(1, 3, 64, 96)
    art[..., ::7] = 0
    work = _work(art, anchor=art.roll(3, dims=-1) * 0.5, gray=True)
    shaded = shade_canvas(work, [encoder], lpips)
    assert shaded.scale > 0
    assert float(shaded.delta.abs().max()) > 2 / 255


def test_faint_lines_keep_the_outline_of_the_anchor_down_in_a_calm_picture(lpips, encoder):
    """On a plain ground, the change along the anchor's edge stands out less from that around it than it would."""
    plain = torch.full((1, 3, 96, 96), 0.5)
    anchor = plain.clone()
    anchor[..., 47:] = 0.9
    outstanding = []
    for faint in (True, False):
        visibility = replace(VISIBILITIES["default"], faint_lines=faint)
        delta = shade_canvas(_work(plain, anchor=anchor, visibility=visibility), [encoder], lpips).delta
        columns = delta.square().mean(dim=(0, 1, 2))
        outstanding.append(float(columns[42:52].max() / columns.mean()))
    assert outstanding[0] < 0.9 * outstanding[1]


def test_soft_shapes_are_taken_out_of_a_calm_picture_but_at_high(lpips, encoder):
    """On a plain ground less of the change is coarse at low and default than it would be; high keeps its shapes."""
    plain = torch.full((1, 3, 96, 96), 0.5)
    anchor = gaussian_blur(torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(3)), 6) * 4 - 1.5
    coarse = {}
    for name, visibility in VISIBILITIES.items():
        work = _work(plain, anchor=anchor.clamp(0, 1), visibility=visibility)
        delta = shade_canvas(work, [encoder], lpips).delta
        coarse[name] = float(gaussian_blur(delta, 4).square().mean() / delta.square().mean())
    assert coarse["low"] < 0.5 * coarse["high"]
    assert coarse["default"] < 0.5 * coarse["high"]


def test_the_noise_limit_is_held_in_the_steps_and_not_by_scaling_at_the_end(lpips, textured, encoder):
    """Where PSNR is what binds, the end takes back no more than rounding to 8 bits has added."""
    visibility = replace(VISIBILITIES["high"], psnr_db=42, lpips=10, local_lpips=10, delta_e=100)
    shaded = shade_canvas(_work(textured, visibility=visibility), [encoder], lpips)
    assert shaded.scale > 0.95
    assert 42 <= float(psnr(as_saved(textured + shaded.delta), textured)) < 42.6
