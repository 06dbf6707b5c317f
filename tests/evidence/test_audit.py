"""The audit on fake encoders: what is measured, and the controls."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import shaded.evidence
from shaded.evidence import audit as auditing
from shaded.evidence.audit import audit, cut_window, noise_like
from shaded.evidence.findings import (
    GROUPS,
    AuditDocument,
    AuditResult,
    FileAudit,
    Laundered,
    group_summaries,
    worst_launderings,
)
from shaded.evidence.launderings import Laundering
from shaded.models.bundle import load_state
from shaded.shading.perceptibility import ReferenceDistance, build_lpips
from shaded.shading.surrogates import plain_autoencoder

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def lpips():
    """The bundled LPIPS."""
    return build_lpips(load_state("lpips-alexnet"))


@pytest.fixture(scope="module")
def canvases():
    """Shaded, original and anchor: the shading goes a fifth of the way in soft structure."""
    generator = torch.Generator().manual_seed(5)
    small = torch.rand(2, 3, 12, 16, generator=generator)
    original, anchor = torch.nn.functional.interpolate(small, scale_factor=8, mode="bicubic").clamp(0, 1).split(1)
    return original + 0.2 * (anchor - original), original, anchor


@pytest.fixture(scope="module")
def window(canvases, lpips):
    """The window of these canvases."""
    return cut_window(*canvases, longest=640, lpips=lpips, seed=11)


def _encoders():
    """One that sees 8-pixel cells, one that sees 32-pixel cells."""
    return [plain_autoencoder("fine", torch.nn.AvgPool2d(8)), plain_autoencoder("coarse", torch.nn.AvgPool2d(32))]


@pytest.fixture
def few(monkeypatch):
    """A suite of four launderings with known effects."""

    def gray(picture):
        return np.full_like(picture, 128)

    few = (
        Laundering("nothing", "filter", "nothing at all", (lambda picture: picture,)),
        Laundering("half", "filter", "half the contrast", (lambda picture: picture // 2 + 64,)),
        Laundering("gray", "cleaner", "all gray", (gray,)),
        Laundering("shift", "crop", "shifted", (lambda picture: np.roll(picture, 8, axis=1),), moves=True),
    )
    monkeypatch.setattr(auditing, "suite", lambda longest, seed, autoencoders: (few, ()))
    return few


def _by_name(result):
    return {one.name: one for one in result.launderings}


def test_noise_has_the_wanted_visibility(canvases, lpips):
    """The control's LPIPS is the shading's, it is the same for the same seed, and rounded to 8 bits."""
    original = (canvases[1] * 255).round() / 255
    noisy, stated = noise_like(original, 0.05, lpips, seed=3)
    assert float(ReferenceDistance(lpips, original)(noisy)) == pytest.approx(0.05, abs=0.003)
    assert stated.lpips == pytest.approx(0.05, abs=0.003)
    assert torch.equal(noisy, noise_like(original, 0.05, lpips, seed=3)[0])
    assert not torch.equal(noisy, noise_like(original, 0.05, lpips, seed=4)[0])
    assert torch.equal(noisy * 255, (noisy * 255).round())


def test_noise_on_a_gray_picture_is_gray(canvases, lpips):
    """A black-and-white original gets noise without colour, as its shading has none."""
    gray = canvases[1].mean(dim=1, keepdim=True).expand(-1, 3, -1, -1)
    noisy, _ = noise_like(gray, 0.03, lpips, seed=3)
    assert torch.equal(noisy[:, 0], noisy[:, 1])
    assert not torch.equal(noisy, gray)


def test_the_window_is_the_middle_and_has_a_limit(lpips):
    """Of a large canvas the middle is audited, at most as many pixels as are promised; of a small one all."""
    large = torch.rand(1, 3, 96, 128)
    window = cut_window(large, large, large, longest=128, lpips=lpips, seed=1)
    assert window.original.shape == (96, 128, 3)
    assert window.canvas == (128, 96)
    assert window.lpips == 0
    wide = torch.rand(1, 3, 320, 480)
    assert cut_window(wide, wide, wide, longest=480, lpips=lpips, seed=1).original[..., 0].size <= 256 * 256


def test_survival_is_pull_after_by_pull_before(window, few):
    """No laundering leaves everything, one that erases leaves nothing, one that scales alike leaves the share."""
    result = audit(_encoders(), window, "ab", device=CPU)
    rows = _by_name(result)
    assert result.before["fine"].pull == pytest.approx(0.2, abs=0.02)
    assert result.before["fine"].direction > 0.95
    assert rows["nothing"].encoders["fine"].survival == pytest.approx(1.0)
    assert rows["gray"].worst_survival == 0
    assert rows["half"].mean_survival == pytest.approx(1.0, abs=0.05)
    assert rows["shift"].mean_survival == pytest.approx(1.0, abs=0.05)


def test_survival_above_one_is_stated_as_it_is(window, monkeypatch):
    """A laundering that carries a shading farther has a survival above 1, by as much as its pull grew."""

    def carried(picture):
        if not np.array_equal(picture, window.shaded):
            return picture
        return ((picture.astype(int) + window.anchor) // 2).astype(np.uint8)

    only = (Laundering("carried", "filter", "carried on", (carried,)),)
    monkeypatch.setattr(auditing, "suite", lambda longest, seed, autoencoders: (only, ()))
    result = audit(_encoders(), window, "ab", device=CPU)
    kept, before = result.launderings[0].encoders["fine"], result.before["fine"]
    assert kept.pull == pytest.approx(0.6, abs=0.03)
    assert kept.survival == pytest.approx(kept.pull / before.pull, abs=1e-3)
    assert kept.survival > 2.5


def test_the_controls_stand_beside_every_laundering(window, few):
    """Noise pulls next to nothing; the laundered original is seen from the original, but not where content moves."""
    result = audit(_encoders(), window, "ab", device=CPU)
    rows = _by_name(result)
    assert abs(result.before["fine"].noise) < 0.1 * result.before["fine"].pull
    assert abs(rows["half"].noise_pull) < 0.1 * rows["half"].mean_pull
    assert rows["nothing"].original_pull == 0
    assert rows["half"].original_pull > 0.1
    assert rows["shift"].original_pull is None
    assert rows["shift"].encoders["fine"].original is None


def test_a_pull_of_nothing_has_no_survival(window, few):
    """Where the published file is the original there is nothing to divide by, and no worst laundering."""
    unshaded = dataclasses.replace(window, shaded=window.original)
    result = audit(_encoders(), unshaded, "ab", device=CPU)
    assert all(one.mean_survival is None and one.worst_encoder is None for one in result.launderings)
    assert worst_launderings(result.launderings) == []
    assert all(one.worst_survival is None for one in group_summaries(result.launderings))


def test_the_worst_encoder_is_named(window, few):
    """Worst is the least over encoders, mean their mean, and the worst launderings come in order."""
    result = audit(_encoders(), window, "ab", device=CPU)
    for one in result.launderings:
        shares = {name: kept.survival for name, kept in one.encoders.items()}
        assert one.worst_survival == min(shares.values())
        assert shares[one.worst_encoder] == one.worst_survival
        assert one.mean_survival == pytest.approx(sum(shares.values()) / 2, abs=1e-4)
    worst = worst_launderings(result.launderings, 3)
    assert [one.worst_survival for one in worst] == sorted(one.worst_survival for one in result.launderings)[:3]


def test_progress_and_autoencoders_reach_the_suite(window, monkeypatch):
    """Each laundering is told, and an encoder that has a decoder is given to the suite on the encoders' device."""
    seen, told = {}, []

    def one(longest, seed, autoencoders):
        seen.update(longest=longest, seed=seed, autoencoders=autoencoders)
        return (Laundering("nothing", "filter", "nothing at all", ()),), ()

    monkeypatch.setattr(auditing, "suite", one)
    fine, coarse = _encoders()
    with_decoder = dataclasses.replace(coarse, reconstruct=lambda picture: 1 - picture)
    audit([fine, with_decoder], window, "ab", device=CPU, progress=lambda done, of: told.append((done, of)))
    assert (seen["longest"], seen["seed"]) == (640, 11)
    assert list(seen["autoencoders"]) == ["coarse"]
    assert torch.equal(seen["autoencoders"]["coarse"](torch.zeros(1)), torch.ones(1))
    assert told == [(0, 1), (1, 1)]


def _laundered(name, group, worst):
    return Laundered(
        name=name, group=group, description=name, moves=False, mean_survival=worst, worst_survival=worst,
        worst_encoder=None, mean_pull=0.1, noise_pull=0.0, original_pull=None, encoders={},
    )  # fmt: skip


def test_groups_are_summed_up_in_their_order():
    """A group has its members' mean and its worst member's name; one without a survival states none."""
    rows = [_laundered("a", "jpeg", 0.5), _laundered("b", "crop", None), _laundered("c", "jpeg", 0.3)]
    jpeg, crop = group_summaries(rows)
    assert (jpeg.group, jpeg.count, jpeg.mean_survival) == ("jpeg", 2, 0.4)
    assert (jpeg.worst_survival, jpeg.worst_laundering) == (0.3, "c")
    assert (crop.mean_survival, crop.worst_laundering) == (None, None)
    assert set(GROUPS) >= {"jpeg", "crop"}


def test_a_result_goes_through_the_pipe_unchanged(window, few):
    """What an audit found is the same after a way through JSON, and its document fits the shipped schema."""
    jsonschema = pytest.importorskip("jsonschema")
    result = audit(_encoders(), window, "ab", device=CPU)
    assert AuditResult.model_validate_json(result.model_dump_json()) == result
    document = AuditDocument(files=[FileAudit.of("p.png", "o.png", result, "cow", "teapot")])
    shipped = json.loads((Path(shaded.evidence.__file__).parent / "audit.schema.json").read_text("utf-8"))
    assert shipped == AuditDocument.model_json_schema()
    jsonschema.validate(document.model_dump(mode="json"), shipped)
