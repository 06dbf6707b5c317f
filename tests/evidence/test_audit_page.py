"""The audit's page."""

from __future__ import annotations

import numpy as np

from shaded.evidence.audit_page import PICTURES, write_audit_page
from shaded.evidence.findings import AuditResult, Before, FileAudit, Kept, Laundered, NoiseControl, NotApplied


def _laundered(name, group, survival, *, moves=False):
    pull = 0.0 if survival is None else 0.2 * survival
    original = None if moves else 0.03
    kept = Kept(pull=pull, direction=0.5, survival=survival, noise=0.004, original=original)
    return Laundered(
        name=name, group=group, description=f"put through {name}", moves=moves, mean_survival=survival,
        worst_survival=survival, worst_encoder=None if survival is None else "meter", mean_pull=pull,
        noise_pull=0.004, original_pull=original, encoders={"meter": kept},
    )  # fmt: skip


def _file(*, survival=0.8, warnings=()):
    rows = [_laundered("JPEG q75", "jpeg", survival), _laundered("crop 5 %", "crop", survival, moves=True)]
    result = AuditResult(
        sha256="ab", canvas=(640, 480), window=(256, 192), lpips=0.02,
        noise=NoiseControl(lpips=0.02, sigma=4.0, seed=1),
        before={"meter": Before(pull=0.2, direction=0.6, noise=0.01)},
        launderings=rows, not_applied=[NotApplied(name="resize 2048 box", reason="it is small")], warnings=warnings,
    )  # fmt: skip
    return FileAudit.of("/pub/<cow>.png", "/out/cow.png", result, "cow", "teapot")


def _page(tmp_path, files, pictures=None):
    write_audit_page(tmp_path / "page.html", files, pictures or {})
    return (tmp_path / "page.html").read_text("utf-8")


def test_the_page_shows_plot_pictures_tables_and_limits(tmp_path):
    """One picture has its plot, its five pictures, its controls, its worst launderings and what is not shown."""
    file = _file()
    pictures = {file.path: {name: np.full((40, 60, 3), 90, np.uint8) for name in PICTURES}}
    text = _page(tmp_path, [file], pictures)
    assert "an audit of 1 published picture<" in text
    assert text.count("<svg") == 1
    assert text.count("data:image/png") == len(PICTURES)
    assert "put through JPEG q75: 80 % survives in meter" in text
    assert "It was moved toward: teapot" in text
    assert "256 x 192 pixels of a canvas of 640 x 480" in text
    for words in ("noise", "laundering alone", "What these numbers do not show", "resize 2048 box", "&lt;cow&gt;.png"):
        assert words in text
    assert "<cow>" not in text


def test_less_than_nothing_is_nothing(tmp_path):
    """Where a laundering moved the picture away from the anchor, the words say that nothing survives."""
    assert "put through JPEG q75: nothing survives in meter" in _page(tmp_path, [_file(survival=-0.05)])


def test_what_was_not_audited_is_said(tmp_path):
    """A picture without an original stands on the page with the reason, beside those that were audited."""
    lost = FileAudit(path="/pub/lost.png", original=None, ok=False, problem="its original is not known here")
    text = _page(tmp_path, [_file(), lost])
    assert "Not audited" in text
    assert "its original is not known here" in text


def test_a_page_without_any_survival_says_so(tmp_path):
    """Where no pull is large enough the page says that and draws no bar."""
    text = _page(tmp_path, [_file(survival=None)])
    assert "In no encoder is its pull large enough" in text
    assert "opacity: 0.75" not in text


def test_warnings_come_first(tmp_path):
    """A warning stands before the numbers of its picture."""
    warning = "The file was altered since it was published."
    text = _page(tmp_path, [_file(warnings=(warning,))])
    assert 0 < text.index(warning) < text.index("Pull before any laundering")
