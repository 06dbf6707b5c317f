"""The bundled weights."""

from __future__ import annotations

import dataclasses

import pytest

from shaded.errors import ModelError
from shaded.models import bundle


def test_every_bundled_model_is_the_pinned_one():
    """The weight files hash to what the manifest says."""
    assert bundle.check_bundle() == []


def test_the_manifest_is_the_one_that_pinning_writes():
    """`python -m shaded.training.pin` would change nothing."""
    from shaded.training.pin import manifest

    assert (bundle.models_folder() / "manifest.toml").read_text("utf-8") == manifest(bundle.models_folder())


def test_every_bundled_model_has_a_card_that_says_how_to_make_it_again():
    """A card stands beside each weight file and names the command that makes it again."""
    for model in bundle.bundled_models().values():
        card = (bundle.models_folder() / f"{model.name}.md").read_text("utf-8")
        assert "python -m shaded.training" in card
        assert model.licence in card


def test_the_weights_together_stay_small():
    """All bundled weights fit into 12 MB."""
    assert sum(model.path.stat().st_size for model in bundle.bundled_models().values()) <= 12_000_000


def test_altered_weights_are_not_loaded(monkeypatch):
    """A file that does not hash to its pin is an error that names the file."""
    model = bundle.bundled_models()["meter-sana"]
    monkeypatch.setattr(bundle, "bundled_models", lambda: {"meter-sana": dataclasses.replace(model, sha256="0" * 64)})
    with pytest.raises(ModelError, match="not the one"):
        bundle.load_state("meter-sana")
    assert len(bundle.check_bundle()) == 1


def test_missing_weights_are_an_error(monkeypatch):
    """A file that is not there is an error that says what to do."""
    model = dataclasses.replace(bundle.bundled_models()["meter-sana"], name="gone")
    monkeypatch.setattr(bundle, "bundled_models", lambda: {"gone": model})
    with pytest.raises(ModelError, match="Install shaded again"):
        bundle.load_state("gone")
