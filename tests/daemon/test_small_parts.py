from __future__ import annotations

import multiprocessing
import os
import socket
import stat
import threading
import time
from dataclasses import replace

import pytest

from shaded.daemon.assembly import prepare_folders
from shaded.daemon.audience import Flight
from shaded.daemon.instance import installation_secret, lock_owner, only_instance, prepare_folder
from shaded.daemon.notify import Notifier
from shaded.daemon.wake import Wake
from shaded.errors import AlreadyRunning, ConfigurationError
from shaded.settings import Folder, load_settings


def test_a_bell_rung_before_is_heard():
    """Ringing before anybody waits is not lost, and ringing a thousand times is one wake."""
    wake = Wake()
    for _ in range(100_000):
        wake.ring()
    assert wake.wait(5)
    while wake.wait(0):
        pass
    assert not wake.wait(0.01)
    wake.close()


def test_a_bell_wakes_a_sleeper():
    """A sleeping thread wakes at once when another rings."""
    wake = Wake()
    threading.Timer(0.1, wake.ring).start()
    begun = time.monotonic()
    assert wake.wait(None)
    assert time.monotonic() - begun < 5
    wake.close()
    wake.ring()


@pytest.mark.parametrize("abstract", [False, True])
def test_the_service_manager_is_told(tmp_path, abstract):
    """READY, STATUS and STOPPING go to the socket that NOTIFY_SOCKET names; the same status goes once."""
    if abstract and not hasattr(socket, "SO_PEERCRED"):
        pytest.skip("abstract sockets exist on Linux only")
    name = f"@shaded-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name[1:] if abstract else name)
        manager.settimeout(2)
        notifier = Notifier({"NOTIFY_SOCKET": name})
        notifier.ready()
        notifier.status("idle\nor so")
        notifier.status("idle\nor so")
        notifier.stopping()
        assert [manager.recv(200) for _ in range(3)] == [b"READY=1", b"STATUS=idle\\nor so", b"STOPPING=1"]


def test_no_service_manager_is_no_trouble(tmp_path):
    """Without NOTIFY_SOCKET, or with a dead one, telling does nothing."""
    Notifier({}).ready()
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).ready()


def _hold(folder, ready, end):
    with only_instance(folder):
        ready.set()
        end.wait(20)


@pytest.mark.real_process
def test_a_second_instance_is_told_whose_lock_it_is(tmp_path):
    """While one process holds the state folder another is refused, with the holder's process id."""
    context = multiprocessing.get_context("spawn")
    ready, end = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(tmp_path, ready, end))
    holder.start()
    assert ready.wait(20)
    with pytest.raises(AlreadyRunning, match=f"process {holder.pid} ") as caught, only_instance(tmp_path):
        pass
    assert caught.value.exit_code == 75
    end.set()
    holder.join(20)
    with only_instance(tmp_path):
        assert lock_owner(tmp_path) == os.getpid()
    assert lock_owner(tmp_path) is None


def test_private_folders_are_private(tmp_path):
    """A folder is made with its parents and nobody else can enter it; the permissions of one that is there stay."""
    assert prepare_folder(tmp_path / "a" / "state", "state_dir", private=True)
    assert stat.S_IMODE((tmp_path / "a" / "state").stat().st_mode) == 0o700
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o755)
    assert not prepare_folder(tmp_path / "open", "state_dir", private=True)
    assert stat.S_IMODE((tmp_path / "open").stat().st_mode) == 0o755


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    """A file in the way of a folder is a configuration error with the setting's name."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigurationError, match="state_dir"):
        prepare_folder(tmp_path / "file" / "state", "state_dir")


def test_the_secret_stays(tmp_path):
    """The installation's secret is made once and is the same ever after."""
    settings = load_settings(state_dir=tmp_path / "state")
    first = installation_secret(settings)
    assert len(bytes.fromhex(first)) == 32
    assert installation_secret(settings) == first
    assert installation_secret(load_settings(state_dir=tmp_path / "other")) != first


def test_missing_folders_are_made_at_the_start(tmp_path):
    """A run makes outbox and publish folder; no folder at all is a configuration error."""
    settings = load_settings(
        folder=(Folder(outbox=tmp_path / "o", publish=tmp_path / "p"),), state_dir=tmp_path / "state"
    )
    prepare_folders(settings)
    assert (tmp_path / "o").is_dir()
    assert (tmp_path / "p").is_dir()
    with pytest.raises(ConfigurationError, match="no folder is watched"):
        prepare_folders(load_settings(state_dir=tmp_path / "state"))


def test_the_time_left_is_guessed_from_the_pace(tmp_path):
    """After a quarter of the steps three times as long is left; without steps what was expected, if anything was."""
    flight = Flight("1", tmp_path, started_at=0.0, stage="shade", step=15, steps=60, stage_at=10.0)
    assert flight.eta(20.0) == pytest.approx(30.0)
    assert Flight("1", tmp_path, started_at=0.0).eta(20.0) is None
    expected = replace(flight, expected=90.0)
    assert expected.eta(20.0) == pytest.approx(70.0)
    assert replace(expected, step=30).eta(80.0) == pytest.approx(70.0)
    assert Flight("1", tmp_path, started_at=0.0, expected=15.0).eta(20.0) is None
