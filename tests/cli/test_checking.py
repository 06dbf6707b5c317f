from __future__ import annotations

import json
import os
import sys
from functools import partial

import pytest

from shaded.cli import checking
from shaded.clock import SystemClock
from shaded.daemon.executors import open_room
from shaded.daemon.instance import LEDGER_NAME
from shaded.daemon.remembering import LedgerMemory
from shaded.ledger import Ledger
from shaded.scheduling.memory import Footprint
from shaded.settings import Cluster, Folder, Shading, load_settings


@pytest.fixture
def settings(tmp_path):
    """Sound settings."""
    (tmp_path / "out").mkdir()
    return load_settings(
        folder=(Folder(outbox=tmp_path / "out", publish=tmp_path / "pub"),), state_dir=tmp_path / "state"
    )


def test_sound_folders_have_no_problems(settings, tmp_path):
    """An existing outbox, and publish and state folders that can be made, are fine; nothing is made by checking."""
    assert list(checking.folder_problems(settings)) == []
    assert list(checking.folder_hints(settings)) == []
    assert not (tmp_path / "pub").exists()


def test_a_missing_outbox_is_named(settings, tmp_path):
    """A missing outbox is a problem that names the key and the path."""
    (tmp_path / "out").rmdir()
    (problem,) = checking.folder_problems(settings)
    assert problem.startswith(f"folder.0.outbox: {tmp_path / 'out'} does not exist")
    (tmp_path / "out").write_text("x")
    (problem,) = checking.folder_problems(settings)
    assert "is no folder" in problem


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_named(settings, tmp_path):
    """A publish folder that cannot be written is a problem."""
    (tmp_path / "pub").mkdir(mode=0o500)
    (problem,) = checking.folder_problems(settings)
    assert problem.startswith("folder.0.publish")


def test_a_file_in_the_way_is_named(settings, tmp_path):
    """A file where the state folder must be is a problem."""
    (tmp_path / "state").write_text("x")
    assert any(problem.startswith("state_dir") for problem in checking.folder_problems(settings))


def test_another_disk_is_a_hint(settings, tmp_path, monkeypatch):
    """Staging on another disk than the publish folder is said, and is no problem."""
    monkeypatch.setattr(checking, "_device", lambda path: 1 if path == tmp_path / "pub" else 2)
    (hint,) = checking.folder_hints(settings)
    assert "another disk" in hint


def test_a_low_watch_limit_is_a_hint(settings, tmp_path, monkeypatch):
    """When the outboxes have more folders than half the system's limit, the number to set is named."""
    (tmp_path / "limit").write_text("4\n")
    monkeypatch.setattr(checking, "_INOTIFY_WATCHES", tmp_path / "limit")
    for name in "abc":
        (tmp_path / "out" / name).mkdir()
    (hint,) = checking.folder_hints(settings)
    assert "fs.inotify.max_user_watches=524288" in hint


@pytest.fixture
def memory_of_machine(monkeypatch):
    """Say how many bytes the machine has."""

    def say(size):
        monkeypatch.setattr("shaded.daemon.executors.total_bytes", lambda: size)
        monkeypatch.setattr("shaded.daemon.executors.most_bytes", lambda reserve: size - reserve)

    return say


@pytest.mark.parametrize(
    ("gigabytes", "words"),
    [
        (8, []),
        (3, ["2.7 GB at most", "a canvas of 1048576 pixels takes about 4.0 GB", "on one of 524288 pixels"]),
        (0.5, ["0.5 GB at most", "Not even the smallest one fits"]),
    ],
)
def test_little_memory_is_a_hint(settings, memory_of_machine, gigabytes, words):
    """It says what the workers may hold, what the canvas takes, and on which pictures are shaded instead."""
    memory_of_machine(round(gigabytes * 10**9))
    hints = list(checking.memory_hints(settings))
    assert len(hints) == bool(words)
    assert all(word in hints[0] for word in words)


def test_what_was_learned_of_memory_is_what_check_goes_by(settings, memory_of_machine):
    """On a machine where a canvas takes less than was believed there is no hint."""
    memory_of_machine(3 * 10**9)
    with Ledger.open(settings.state_dir / LEDGER_NAME, SystemClock()) as ledger:
        room = open_room(settings, SystemClock(), partial(LedgerMemory, ledger))
        for _ in range(5):
            room.measured(Footprint(1_048_576, 1_048_576), 4 * 10**9, 2 * 10**9)
        assert list(checking.memory_hints(settings)) == []


def test_a_gpus_memory_is_not_guessed_at(settings, memory_of_machine):
    """Nothing is known of it before the first picture, and nothing of a cluster's machines."""
    memory_of_machine(10**9)
    for other in ({"shading": Shading(device="cuda")}, {"cluster": Cluster(address="auto")}):
        assert list(checking.memory_hints(settings.model_copy(update=other))) == []


def test_check_says_all_is_well(shaded, settings, tmp_path, memory_of_machine):
    """Check exits with 0 when everything is right."""
    memory_of_machine(10**12)
    config = tmp_path / "c.toml"
    config.write_text(
        f'state_dir = "{tmp_path}/state"\n[[folder]]\noutbox = "{tmp_path}/out"\npublish = "{tmp_path}/pub"\n'
    )
    code, out, _ = shaded("check", "--config", config)
    assert (code, out.splitlines()[-1]) == (0, "All is well.")
    code, out, _ = shaded("check", "--config", config, "--json")
    assert json.loads(out) == {"ok": True, "problems": [], "hints": []}


def test_check_names_problems(shaded, tmp_path, monkeypatch):
    """Check exits with 78 and names each problem; altered models are among them."""
    monkeypatch.setattr(checking, "model_problems", lambda: ["meter-sana: its bytes are not the expected ones"])
    code, out, _ = shaded("check")
    assert code == 78
    assert "problem: folder: no folder is watched" in out
    assert "problem: meter-sana" in out
    assert "meter-sana" not in shaded("check", "--skip-models")[1]


def test_check_refuses_overlapping_folders(shaded, tmp_path):
    """Overlapping folders are a configuration error before anything is looked at."""
    config = tmp_path / "c.toml"
    config.write_text(f'[[folder]]\noutbox = "{tmp_path}/a"\npublish = "{tmp_path}/a/b"\n')
    code, _, err = shaded("check", "--config", config)
    assert code == 78
    assert "overlap" in err


@pytest.mark.parametrize(
    ("engine", "target", "said"),
    [
        ({"anchors": "/mine"}, "", True),
        ({"anchors": "/mine"}, "teapot", False),
        ({"anchors": "/mine", "targets": "own"}, "", False),
        ({}, "", False),
    ],
)
def test_own_anchors_that_nothing_would_use_are_a_hint(engine, target, said):
    """Where all share their targets, an artist's own pictures count only for a target that a profile names."""
    settings = load_settings(shading=engine, profile={"default": {"target": target}})
    hints = list(checking.anchor_hints(settings))
    assert bool(hints) is said
    assert all('shading.targets = "own"' in hint for hint in hints)


def test_check_asks_for_ray_where_there_is_a_cluster(settings, monkeypatch):
    """A cluster in the settings without Ray is a problem, with what to install."""
    assert list(checking.cluster_problems(settings)) == []
    monkeypatch.setitem(sys.modules, "ray", None)
    cluster = settings.model_copy(update={"cluster": Cluster(address="auto")})
    (problem,) = checking.cluster_problems(cluster)
    assert "pip install 'shaded[cluster]'" in problem


def test_an_ignore_pattern_that_cannot_hold_is_a_problem(settings):
    """``check`` says of ``watching.ignore`` what would keep the daemon from starting."""
    assert list(checking.pattern_problems(settings)) == []
    watching = settings.watching.model_copy(update={"ignore": ("*.psd", "draft[z-a].png")})
    (problem,) = checking.pattern_problems(settings.model_copy(update={"watching": watching}))
    assert "watching.ignore: 'draft[z-a].png' is no gitignore pattern" in problem
