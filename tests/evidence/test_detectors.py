"""The detectors of shadings: they find what is there, and nothing where there is nothing."""

from __future__ import annotations

import pytest
import torch

from shaded.evidence.detection import area_under_curve, true_positive_rate
from shaded.evidence.detectors import (
    ShadingEstimator,
    cosine_basis,
    estimate,
    fit_logistic,
    fit_spectral,
    luma_and_chroma,
    pull_left,
    spectral_features,
    subtracted,
    train_estimator,
)
from shaded.shading.engine import as_saved
from shaded.shading.laundering import gaussian_blur
from shaded.shading.surrogates import plain_autoencoder

SIDE = 32


def _pictures(count, seed, side=SIDE):
    """Soft coloured clouds with grain, as 8 bits hold them; away from black and white."""
    generator = torch.Generator().manual_seed(seed)
    clouds = gaussian_blur(torch.rand(count, 3, side, side, generator=generator), 3.0)
    grain = torch.rand(count, 3, side, side, generator=generator)
    return as_saved(0.3 + clouds * 0.4 + grain * 0.04)


def _stripes(side=SIDE):
    """A planted pattern of three levels: fine stripes, alike in every picture."""
    columns = torch.arange(side) // 2 % 2
    return ((columns * 2 - 1) * 3 / 255).expand(1, 3, side, side)


@pytest.fixture(scope="module")
def trained():
    """An estimator that has learned the planted pattern from pairs."""
    torch.manual_seed(0)
    estimator = ShadingEstimator(width=8)
    clean = _pictures(40, seed=1)
    train_estimator(estimator, clean, as_saved(clean + _stripes()), steps=150, seed=0, rate=3e-3)
    return estimator


def test_the_spectral_detector_finds_a_planted_pattern():
    """On pictures it has not seen, nearly every one with the pattern scores above all but one in a hundred without."""
    clean = _pictures(60, seed=1)
    model = fit_spectral(spectral_features(clean), spectral_features(as_saved(clean + _stripes())))
    unseen = _pictures(120, seed=2)
    scores = [model.score(spectral_features(one)) for one in (unseen, as_saved(unseen[:40] + _stripes()))]
    assert true_positive_rate(*scores).rate > 0.9


def test_the_spectral_detector_is_at_chance_where_there_is_nothing():
    """Trained on two halves of the same kind, it tells unseen ones no better than a coin does."""
    model = fit_spectral(spectral_features(_pictures(60, seed=1)), spectral_features(_pictures(60, seed=2)))
    scores = [model.score(spectral_features(_pictures(200, seed=seed))) for seed in (3, 4)]
    assert abs(area_under_curve(*scores) - 0.5) < 0.1


def test_the_convolutional_detector_finds_a_planted_pattern(trained):
    """On pictures it has not seen it finds the pattern nearly always, and most of the pattern's energy goes with it."""
    unseen = _pictures(120, seed=2)
    shaded = as_saved(unseen[:40] + _stripes())
    found, odds = estimate(trained, shaded)
    assert true_positive_rate(estimate(trained, unseen)[1], odds).rate > 0.9
    left = (subtracted(shaded, found) - unseen[:40]).square().mean()
    assert left < 0.3 * (shaded - unseen[:40]).square().mean()


def test_the_convolutional_detector_finds_little_in_clean_pictures(trained):
    """What it subtracts from a clean picture is a small part of the pattern."""
    assert estimate(trained, _pictures(20, seed=5))[0].square().mean() < 0.2 * _stripes().square().mean()


def test_fine_structure_is_seen_in_bfloat16_too():
    """Half precision, where a processor has it, gets the very picture and residual that full precision gets."""
    torch.manual_seed(0)
    estimator, seen = ShadingEstimator(width=4), []
    estimator.full_in[0].register_forward_pre_hook(lambda _module, given: seen.append(given[0]))
    pictures = _pictures(2, seed=1)
    estimate(estimator, pictures)
    with torch.autocast("cpu", torch.bfloat16):
        estimate(estimator, pictures)
    assert torch.equal(seen[0], seen[1])


def test_the_convolutional_detector_is_at_chance_where_there_is_nothing():
    """Pairs without a difference teach it nothing, and it scores both of them alike."""
    torch.manual_seed(0)
    estimator = ShadingEstimator(width=4)
    clean = _pictures(20, seed=1)
    train_estimator(estimator, clean, clean, steps=20, seed=0)
    scores = [estimate(estimator, _pictures(100, seed=seed))[1] for seed in (3, 4)]
    assert abs(area_under_curve(*scores) - 0.5) < 0.12


def test_training_in_bfloat16_learns_as_well():
    """Half precision, also inside a caller's own context, ends with nearly the loss of full precision."""
    clean, last = _pictures(40, seed=1), []
    for half in (False, True):
        torch.manual_seed(0)
        losses: list[float] = []
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            train_estimator(
                ShadingEstimator(width=8), clean, as_saved(clean + _stripes()), steps=100, seed=0, rate=3e-3, half=half,
                progress=lambda _step, _steps, loss, losses=losses: losses.append(loss),
            )  # fmt: skip
        assert losses[-1] < 0.5 * losses[0]
        last.append(losses[-1])
    assert last[1] < 1.5 * last[0] + 0.1


def test_a_training_that_comes_apart_is_an_error():
    """A loss that is no number ends the training instead of passing for a detector."""
    clean = _pictures(6, seed=1)
    with pytest.raises(ArithmeticError, match="came apart"):
        train_estimator(ShadingEstimator(width=4), clean, clean * float("nan"), steps=2, seed=0)


def test_training_is_repeatable_and_told():
    """The same seed gives the same network, another seed another; every step is told."""
    clean, states, told = _pictures(6, seed=1), [], []
    for seed in (0, 0, 1):
        torch.manual_seed(0)
        estimator = ShadingEstimator(width=4)
        train_estimator(
            estimator, clean, as_saved(clean + _stripes()), steps=2, seed=seed,
            progress=lambda step, steps, loss: told.append((step, steps, loss > 0)),
        )  # fmt: skip
        states.append(torch.cat([one.flatten() for one in estimator.state_dict().values()]))
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])
    assert told == [(1, 2, True), (2, 2, True)] * 3


def test_the_estimator_is_small():
    """Half a million parameters at most at the widths that are named."""
    for width, fewest, most in ((16, 150_000, 200_000), (24, 350_000, 500_000)):
        assert fewest < sum(one.numel() for one in ShadingEstimator(width).parameters()) < most


def test_a_perfect_estimate_restores_the_picture():
    """Subtracting exactly what was added leaves the picture, to the bit, even where rounding is between."""
    picture = _pictures(4, seed=7)
    delta = torch.randn(picture.shape, generator=torch.Generator().manual_seed(0)) * 4 / 255
    shaded = as_saved(picture + delta)
    assert torch.equal(subtracted(shaded, shaded - picture), picture)
    assert torch.equal(subtracted(shaded, delta.new_zeros(delta.shape)), shaded)


def test_subtraction_stays_a_picture():
    """However wild the estimate, what is left is in the value range and in whole levels."""
    left = subtracted(_pictures(2, seed=8), torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1)))
    assert left.min() == 0
    assert left.max() == 1
    assert torch.equal(left, as_saved(left))


def test_pull_left_is_nothing_after_a_perfect_subtraction():
    """Half of the way before, none after; picture by picture, in each encoder."""
    original, anchor = torch.full((3, 3, SIDE, SIDE), 0.2), torch.full((3, 3, SIDE, SIDE), 0.8)
    shaded = torch.full((3, 3, SIDE, SIDE), 0.5)
    encoders = [plain_autoencoder(name, torch.nn.AvgPool2d(8)) for name in ("one", "two")]
    left = pull_left(encoders, shaded, original, original, anchor)
    assert set(left) == {"one", "two"}
    for before, after in left.values():
        assert before == pytest.approx(torch.full((3,), 0.5), abs=1e-5)
        assert after == pytest.approx(torch.zeros(3), abs=1e-5)


def test_the_cosine_basis_is_orthonormal():
    """Sixty-four patterns of length one, each at right angles to all others; the first is flat."""
    basis = cosine_basis().flatten(1)
    assert torch.allclose(basis @ basis.T, torch.eye(64), atol=1e-5)
    assert torch.allclose(basis[0], torch.full((64,), 0.125))


def test_spectral_features_know_the_frequency():
    """A wave of one coefficient of the cosine transform raises that one's power, in luma, by far the most."""
    wave = 0.05 * cosine_basis()[5].repeat(4, 4)
    flat = torch.full((1, 3, SIDE, SIDE), 0.5)
    gain = (spectral_features(flat + wave) - spectral_features(flat))[0]
    assert gain.shape == (3 * (2 * 63 + 16),)
    assert int(gain[:63].argmax()) == 4
    assert gain[:63].sort().values[-2] < 0.1
    assert gain[142:].abs().max() < 1e-3


def test_gray_has_no_chroma():
    """Gray is luma alone; pure blue has the most of the first chroma channel."""
    parts = luma_and_chroma(torch.tensor([[0.4, 0.4, 0.4], [0.0, 0.0, 1.0]]).view(2, 3, 1, 1)).flatten(1)
    assert parts[0] == pytest.approx(torch.tensor([0.4, 0.0, 0.0]), abs=1e-5)
    assert parts[1] == pytest.approx(torch.tensor([0.114, 0.5, -0.081312]), abs=1e-5)


def test_the_logistic_fit_is_at_the_minimum():
    """No small step away from the fitted weights makes its loss smaller; a larger penalty makes them shorter."""
    generator = torch.Generator().manual_seed(0)
    clean, shaded = torch.randn(50, 3, generator=generator), torch.randn(50, 3, generator=generator) + 0.5
    model = fit_logistic(clean, shaded, 0.1)
    weights = torch.cat([model.weights, model.bias[None]]).double().requires_grad_()
    standard = [((one - model.mean) / model.deviation).double() for one in (clean, shaded)]
    margins = torch.cat([-(standard[0] @ weights[:3] + weights[3]), standard[1] @ weights[:3] + weights[3]])
    loss = torch.nn.functional.softplus(-margins).mean() + 0.05 * weights[:3].square().sum()
    (slope,) = torch.autograd.grad(loss, weights)
    assert slope.abs().max() < 1e-5
    assert fit_logistic(clean, shaded, 1.0).weights.norm() < model.weights.norm()
