"""LPIPS, PSNR and colour drift."""

from __future__ import annotations

import warnings

import pytest
import torch

from shaded.shading.perceptibility import (
    ReferenceDistance,
    calmed,
    colour_drift,
    hold_colour,
    psnr,
    rgb_to_lab,
    without_lines,
    without_outlines,
    without_shapes,
)


def test_lpips_of_a_picture_to_itself_is_zero(lpips, textured):
    """A picture is at no distance from itself, on the whole and in its worst window."""
    mean, worst = ReferenceDistance(lpips, textured).mean_and_worst(textured)
    assert float(mean) == pytest.approx(0, abs=1e-6)
    assert float(worst) == pytest.approx(0, abs=1e-6)


def test_the_linear_layers_are_the_package_s_own(lpips):
    """What weighs the features is what the lpips package ships, layer by layer, and not chance."""
    import lpips as package

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        own = package.LPIPS(net="alex", pnet_rand=True, verbose=False)
    for ours, theirs in zip(lpips.lins, own.lins, strict=True):
        assert torch.equal(ours.model[-1].weight, theirs.model[-1].weight)


def test_cached_features_give_the_package_s_own_number(lpips, textured):
    """The distance with cached reference features equals what the lpips package computes from both pictures."""
    other = (textured + 0.05 * torch.randn(textured.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    ours = ReferenceDistance(lpips, textured)(other)
    with torch.no_grad():
        theirs = lpips(other, textured, normalize=True).flatten()
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_the_worst_window_sees_a_local_change_that_the_mean_dilutes(lpips):
    """A change in one corner of a large picture shows more in the worst window than in the mean."""
    reference = torch.full((1, 3, 256, 256), 0.5)
    spoiled = reference.clone()
    noise = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    spoiled[..., :64, :64] = noise
    mean, worst = ReferenceDistance(lpips, reference).mean_and_worst(spoiled)
    assert float(worst) > 5 * float(mean)


def test_lpips_has_a_gradient_to_the_picture(lpips, textured):
    """The distance can be lowered by following its gradient."""
    distance = ReferenceDistance(lpips, textured)
    other = (textured * 0.9).requires_grad_()
    distance(other).sum().backward()
    assert float(other.grad.abs().sum()) > 0


def test_psnr_of_a_known_error():
    """An error of one hundredth everywhere is 40 dB."""
    reference = torch.full((1, 3, 8, 8), 0.5)
    assert float(psnr(reference + 0.01, reference)) == pytest.approx(40, abs=1e-3)


def test_psnr_of_equal_pictures_is_99():
    """No error at all is stated as 99 dB and not as infinity, which JSON cannot hold."""
    picture = torch.rand(2, 3, 8, 8)
    assert psnr(picture, picture).tolist() == [99.0, 99.0]


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [
        ((1, 1, 1), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((1, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 0, 1), (32.30, 79.19, -107.86)),
    ],
)
def test_lab_of_known_colours(rgb, lab):
    """White, black, red and blue come out at their published CIELAB values."""
    picture = torch.tensor(rgb, dtype=torch.float32).view(1, 3, 1, 1)
    assert rgb_to_lab(picture).flatten().tolist() == pytest.approx(lab, abs=0.06)


def test_fine_noise_is_no_colour_drift():
    """Noise that averages out within a cell drifts less than a uniform shift of the same size."""
    reference = torch.full((1, 3, 64, 64), 0.5)
    signs = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(4)).round() * 2 - 1
    noisy, shifted = reference + 0.03 * signs, reference + 0.03 * torch.tensor([1.0, -1, 1]).view(1, 3, 1, 1)
    assert float(colour_drift(noisy, reference)) < 0.4 * float(colour_drift(shifted, reference))


@pytest.mark.parametrize("size", [(5, 9), (16, 40), (50, 70)])
def test_a_drift_is_found_wherever_it_is(size):
    """Every part of a picture counts, also where its sides are no multiples of a cell's, or shorter than one."""
    reference = torch.full((1, 3, *size), 0.5)
    height, width = (min(16, side) for side in size)
    for top in (0, size[0] - height):
        for left in (0, size[1] - width):
            shaded = reference.clone()
            shaded[..., top : top + height, left : left + width] += torch.tensor([0.1, 0, -0.1]).view(1, 3, 1, 1)
            assert float(colour_drift(shaded, reference)) > 10


def test_hold_colour_takes_out_the_drift_and_leaves_the_fine_structure():
    """A shading that drifts is brought near the limit while its fine structure stays."""
    reference = torch.full((1, 3, 64, 64), 0.5)
    signs = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(5)).round() * 2 - 1
    drift = 0.06 * torch.tensor([1.0, -1, 1]).view(1, 3, 1, 1)
    held = hold_colour(0.01 * signs + drift, reference, limit=2.0)
    assert float(colour_drift(reference + held, reference)) < 2.6
    assert float((held - held.mean(dim=(2, 3), keepdim=True)).std()) > 0.008


def test_hold_colour_leaves_a_shading_inside_the_limit_alone():
    """Nothing is taken out of a shading that does not drift."""
    delta = torch.full((1, 3, 64, 64), 0.001)
    assert torch.equal(hold_colour(delta, torch.full_like(delta, 0.5), limit=3.0), delta)


def test_shapes_are_taken_out_of_flat_areas_only():
    """A soft outline vanishes where limits are flat and stays where they are busy; fine grain stays in both."""
    signs = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(6)).round() * 2 - 1
    shape = torch.zeros(1, 3, 64, 64)
    shape[..., 24:40, 24:40] = 1
    flat, busy = (torch.full((1, 1, 64, 64), level / 255) for level in (2, 8))
    for limits, expected in ((flat, 0.0), (busy, 1.0)):
        left = without_shapes(shape / 255, limits, 2 / 255, 8 / 255) * 255
        assert float(left[..., 30:34, 30:34].mean()) == pytest.approx(expected, abs=0.1)
        grain = without_shapes(signs / 255, limits, 2 / 255, 8 / 255) * 255
        assert float(grain.std()) > 0.8


def _calm_and_busy(side):
    return (torch.full((1, 1, side, side), level / 255) for level in (2, 8))


def test_a_line_is_held_to_the_grain_around_it_where_nothing_masks_it():
    """In a calm area a line ten times as strong as the grain comes near to it; in a busy one all stays as it is."""
    grain = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(0)) / 2550
    line = grain.clone()
    line[..., 48:50, :] *= 10
    calm, busy = _calm_and_busy(96)
    left = without_lines(line, calm, 2 / 255, 8 / 255)
    assert float(left[..., 48:50, :].std()) < 0.5 * float(line[..., 48:50, :].std())
    assert float(left[..., :30, :].std()) > 0.85 * float(grain[..., :30, :].std())
    torch.testing.assert_close(without_lines(line, busy, 2 / 255, 8 / 255), line)


def test_a_destination_has_no_edges_where_nothing_masks_them():
    """An anchor's edge becomes a slope of several pixels in a calm area and stays sharp in a busy one."""
    anchor = torch.zeros(1, 3, 96, 96)
    anchor[..., 48:] = 1
    calm, busy = _calm_and_busy(96)
    assert float(without_outlines(anchor, calm, 2 / 255, 8 / 255).diff(dim=-1).abs().max()) < 0.15
    torch.testing.assert_close(without_outlines(anchor, busy, 2 / 255, 8 / 255), anchor)


def test_lpips_has_a_slope_everywhere(lpips):
    """Also where a plain patch has no features at all the gradient is a number."""
    plain = torch.ones(1, 3, 64, 64)
    plain[..., 32:] = 0
    changed = (plain * 0.98).requires_grad_()
    mean, worst = ReferenceDistance(lpips, plain).mean_and_worst(changed)
    (slope,) = torch.autograd.grad((mean + worst).sum(), changed)
    assert bool(slope.isfinite().all())


def test_only_what_is_over_the_local_limit_is_reduced(lpips):
    """A corner over the ceiling is brought down around it; far from it the shading stays as it was."""
    generator = torch.Generator().manual_seed(5)
    picture = torch.rand(1, 3, 256, 256, generator=generator) * 0.2 + 0.4
    delta = 0.02 * torch.randn(picture.shape, generator=generator)
    delta[..., :64, :64] *= 8
    distance = ReferenceDistance(lpips, picture)
    _, before = distance.mean_and_windows(picture + delta)
    ceiling = float(before.max()) / 2
    held = delta
    for _ in range(4):
        held = calmed(held, distance.mean_and_windows(picture + held)[1], ceiling)
    assert float(distance.mean_and_windows(picture + held)[1].max()) < 1.1 * ceiling
    torch.testing.assert_close(held[..., 192:, 192:], delta[..., 192:, 192:])
    assert calmed(delta, before, float(before.max())) is delta
