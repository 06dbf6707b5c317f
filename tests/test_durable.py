"""Folders whose names the disk has."""

from __future__ import annotations

import errno
import os
import stat

import pytest

from shaded import durable
from shaded.durable import make_folder, settle, settle_folder


def test_a_folder_is_made_with_those_above_it_and_each_name_is_waited_for(tmp_path, monkeypatch):
    """The folder has the mode that was asked for, and every folder that got a new name was synced."""
    synced = []
    monkeypatch.setattr(durable, "settle", lambda folder: synced.append(os.fstat(folder).st_ino))
    make_folder(tmp_path / "a" / "b" / "state", 0o700)
    assert stat.S_IMODE((tmp_path / "a" / "b" / "state").stat().st_mode) == 0o700
    assert synced == [folder.stat().st_ino for folder in (tmp_path, tmp_path / "a", tmp_path / "a" / "b")]


def test_a_folder_that_is_there_is_left_and_its_name_is_waited_for(tmp_path, monkeypatch):
    """Whoever made it may have been ended before its name was safe."""
    (tmp_path / "there").mkdir(mode=0o755)
    synced = []
    monkeypatch.setattr(durable, "settle_folder", synced.append)
    make_folder(tmp_path / "there", 0o700)
    assert synced == [tmp_path]
    assert stat.S_IMODE((tmp_path / "there").stat().st_mode) == 0o755
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "file")


@pytest.mark.parametrize(("number", "passes"), [(errno.EINVAL, True), (errno.ENOTSUP, True), (errno.EIO, False)])
def test_only_a_file_system_that_cannot_sync_folders_is_passed_over(tmp_path, monkeypatch, number, passes):
    """An error of the disk itself is told."""

    def failing(_folder):
        raise OSError(number, "it is so")

    monkeypatch.setattr(os, "fsync", failing)
    if passes:
        settle_folder(tmp_path)
    else:
        with pytest.raises(OSError, match="it is so"):
            settle(0)


def test_a_folder_that_may_not_be_listed_is_left_to_the_system(tmp_path, monkeypatch):
    """Above a home folder there are folders that a user may only pass through."""

    def forbidden(*_arguments):
        raise PermissionError

    monkeypatch.setattr(os, "open", forbidden)
    settle_folder(tmp_path)
