"""The installation's secret outlives the ledger."""

from __future__ import annotations

import stat

import pytest

from shaded.clock import SystemClock
from shaded.daemon.holdings import LEDGER_NAME, SECRET_NAME
from shaded.daemon.instance import installation_secret
from shaded.daemon.secretfile import read_secret
from shaded.errors import LedgerDamaged, StateUnusable, Unavailable
from shaded.ledger import Ledger
from shaded.settings import Shading, load_settings
from tests.daemon.rig import png

OLD = "ab" * 32


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def settings(state):
    return load_settings(state_dir=state)


def keep(state, secret=OLD):
    """A ledger with a secret, as earlier versions left it."""
    with Ledger.open(state / LEDGER_NAME, SystemClock()) as ledger:
        ledger.meta_set("secret", secret)


def test_it_is_made_once_private_and_without_a_ledger(state, settings):
    """A command without a daemon makes the file alone; it has 256 bits, a checksum, and is its owner's."""
    secret = installation_secret(settings)
    assert len(bytes.fromhex(secret)) == 32
    assert read_secret(state / SECRET_NAME) == secret == installation_secret(settings)
    assert stat.S_IMODE((state / SECRET_NAME).stat().st_mode) == 0o600
    assert not (state / LEDGER_NAME).exists()


def test_an_earlier_versions_secret_is_taken_over(state, settings):
    """Where only the ledger has it, the file is written from there."""
    keep(state)
    assert installation_secret(settings) == OLD
    assert read_secret(state / SECRET_NAME) == OLD


def test_the_file_wins(state, settings):
    """A ledger with another secret, or none, gets the file's."""
    secret = installation_secret(settings)
    keep(state)
    assert installation_secret(settings) == secret
    with Ledger.open(state / LEDGER_NAME, SystemClock()) as ledger:
        assert installation_secret(settings, ledger) == secret
        assert ledger.meta_get("secret") == secret


@pytest.mark.parametrize("damage", [b"", b"\0" * 140, b"shaded secret 1 " + b"0" * 64, "flip", "folder", "link"])
def test_a_damaged_file_is_restored_from_the_ledger(state, settings, damage):
    """A single wrong digit is noticed; with a good copy in the ledger the secret stays what it was."""
    keep(state)
    installation_secret(settings)
    _damage(state / SECRET_NAME, damage)
    assert installation_secret(settings) == OLD
    if damage not in ("folder", "link"):
        assert read_secret(state / SECRET_NAME) == OLD
    if damage == "link":
        assert (state.parent / "theirs").read_text() == "mine"


@pytest.mark.parametrize("damage", [b"", "flip", "folder"])
def test_a_damaged_file_without_a_copy_is_an_error(state, settings, damage):
    """No other secret is made up; the error says what to do, and starting again does not help."""
    installation_secret(settings)
    _damage(state / SECRET_NAME, damage)
    with pytest.raises(StateUnusable, match="Restore the file") as caught:
        installation_secret(settings)
    assert caught.value.exit_code == 65
    assert str(state / SECRET_NAME) in str(caught.value)


def _damage(place, damage):
    if damage == "flip":
        data = bytearray(place.read_bytes())
        data[20] ^= 1
        place.write_bytes(data)
    elif isinstance(damage, bytes):
        place.write_bytes(damage)
    else:
        place.unlink()
        if damage == "folder":
            place.mkdir()
        else:
            (place.parent.parent / "theirs").write_text("mine")
            place.symlink_to(place.parent.parent / "theirs")


def test_no_secret_is_made_up_while_the_ledger_is_damaged(state, settings):
    """Without the file the ledger's copy is wanted; a damaged ledger is the error, not a new secret."""
    keep(state)
    (state / LEDGER_NAME).write_bytes(b"no database" * 1000)
    with pytest.raises(LedgerDamaged, match="shaded recover"):
        installation_secret(settings)
    assert not (state / SECRET_NAME).exists()


def test_a_damaged_ledger_does_not_cost_the_secret(state, settings):
    """With the file the secret is known whatever became of the ledger."""
    secret = installation_secret(settings)
    (state / LEDGER_NAME).write_bytes(b"no database" * 1000)
    assert installation_secret(settings) == secret


def test_a_full_disk_makes_no_secret_that_is_lost(settings, monkeypatch):
    """A secret that cannot be kept is not used; with the ledger's copy the daemon goes on."""

    def full(*_arguments):
        raise OSError(28, "No space left on device")

    installation_secret(settings)
    (settings.state_dir / SECRET_NAME).unlink()
    monkeypatch.setattr("shaded.daemon.secretfile.write_small", full)
    with pytest.raises(Unavailable, match="No space left"):
        installation_secret(settings)
    keep(settings.state_dir)
    assert installation_secret(settings) == OLD


def test_the_daemon_and_the_shade_command_have_the_same(rig):
    """The daemon keeps a copy in its ledger, and tells its workers where targets are to be its own."""
    rig.put("fox.png", png(3))
    rig.settle()
    secret = installation_secret(rig.settings)
    assert rig.ledger.meta_get("secret") == secret
    assert rig.executor.submitted[0].secret == ""
    rig.settings = rig.settings.model_copy(update={"shading": Shading(targets="own")})
    rig.restart()
    rig.put("wolf.png", png(4))
    rig.settle()
    assert rig.executor.submitted[-1].secret == secret
