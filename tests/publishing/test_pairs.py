"""Published pairs, read and found in folders that somebody made to hurt."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import pytest

from shaded.errors import PictureError, Refusal, SourceChanged, Transient, Unreadable
from shaded.outbox import screening
from shaded.outbox.scan import DEEPEST
from shaded.publishing import pairs
from shaded.publishing.pairs import pictures_with_sidecars, read_pair
from shaded.publishing.sidecar import sidecar_path
from tests.publishing.sidecars import a_sidecar


def _pair(picture, content=b"pixels"):
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_bytes(content)
    sidecar_path(picture).write_text(a_sidecar(content).to_json(), "utf-8")
    return picture


def _found(root):
    """What is found below a folder, and of which paths trouble was told."""
    troubles = []
    found = [str(path.relative_to(root)) for path in pictures_with_sidecars(root, troubles.append)]
    return found, troubles


def test_a_pair_is_what_lies_there(tmp_path):
    """Sidecar bytes, what they say and the picture's hash come from the files, and they agree until one is edited."""
    picture = _pair(tmp_path / "sub" / "fox.png")
    pair = read_pair(picture, tmp_path)
    assert pair.document == sidecar_path(picture).read_bytes()
    assert pair.stated == a_sidecar()
    assert pair.sha256 == hashlib.sha256(b"pixels").hexdigest()
    assert pair.agrees
    picture.write_bytes(b"edited")
    assert not read_pair(picture, tmp_path).agrees


def test_a_pair_is_not_read_through_links(tmp_path):
    """Neither the picture, the sidecar nor a folder between the root and them may be a link; the root itself may."""
    _pair(tmp_path / "real" / "fox.png")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "sub").symlink_to(tmp_path / "real")
    (tmp_path / "root" / "fox.png").symlink_to(tmp_path / "real" / "fox.png")
    (tmp_path / "root" / "fox.png.shaded.json").write_text(a_sidecar().to_json())
    with pytest.raises(Refusal, match="symbolic link"):
        read_pair(tmp_path / "root" / "fox.png", tmp_path / "root")
    with pytest.raises(PictureError, match="symbolic link"):
        read_pair(tmp_path / "root" / "sub" / "fox.png", tmp_path / "root")
    (tmp_path / "by name").symlink_to(tmp_path / "real")
    assert read_pair(tmp_path / "by name" / "fox.png", tmp_path / "by name").agrees


def test_half_a_pair_says_which_half_is_missing(tmp_path):
    """A picture alone and a sidecar alone are told apart, and a pipe in either's place is not waited for."""
    picture = tmp_path / "fox.png"
    picture.write_bytes(b"pixels")
    with pytest.raises(SourceChanged, match=r"there is no fox\.png\.shaded\.json"):
        read_pair(picture, tmp_path)
    _pair(picture)
    picture.unlink()
    with pytest.raises(SourceChanged):
        read_pair(picture, tmp_path)
    os.mkfifo(picture)
    with pytest.raises(Refusal, match="not a regular file"):
        read_pair(picture, tmp_path)
    sidecar_path(picture).unlink()
    os.mkfifo(sidecar_path(picture))
    with pytest.raises(Unreadable, match="not a regular file"):
        read_pair(picture, tmp_path)


def test_a_path_that_leads_out_of_the_root_is_refused(tmp_path):
    """Two dots and another folder are no way out."""
    _pair(tmp_path / "fox.png")
    (tmp_path / "root").mkdir()
    for picture in (tmp_path / "root" / ".." / "fox.png", tmp_path / "fox.png"):
        with pytest.raises(PictureError, match="outside"):
            read_pair(picture, tmp_path / "root")


def test_a_large_picture_is_hashed_piece_by_piece(tmp_path, monkeypatch):
    """No more than a mebibyte of a picture is in memory at once."""
    _pair(tmp_path / "fox.png", bytes(5_000_001))
    read, asked = os.read, []

    def noting(descriptor, count):
        asked.append(count)
        return read(descriptor, count)

    monkeypatch.setattr(screening.os, "read", noting)
    assert read_pair(tmp_path / "fox.png", tmp_path).agrees
    assert max(asked) <= 1 << 20


def test_a_picture_that_grows_while_it_is_hashed_has_no_hash(tmp_path, monkeypatch):
    """What changed meanwhile is no pair: neither state of it may be taken for the other."""
    picture = _pair(tmp_path / "fox.png", bytes(3_000_000))
    read = os.read

    def growing(descriptor, count):
        with picture.open("ab") as stream:
            stream.write(b"more")
        return read(descriptor, count)

    document = sidecar_path(picture).read_bytes()
    monkeypatch.setattr(pairs, "read_document", lambda *_: document)
    monkeypatch.setattr(screening.os, "read", growing)
    with pytest.raises(SourceChanged, match="changed while it was read"):
        read_pair(picture, tmp_path)


def test_pictures_are_found_without_following_links(tmp_path):
    """Loops and ways out are not walked; what has a sidecar's name is looked at later, whatever it is."""
    _pair(tmp_path / "root" / "b.png")
    _pair(tmp_path / "root" / "a" / "c.png")
    _pair(tmp_path / "outside" / "d.png")
    (tmp_path / "root" / "a" / "loop").symlink_to(tmp_path / "root")
    (tmp_path / "root" / "out").symlink_to(tmp_path / "outside")
    (tmp_path / "root" / "lost.png.shaded.json").write_text("x")
    (tmp_path / "root" / ".shaded.json").write_text("x")
    (tmp_path / "root" / "folder.png").write_bytes(b"pixels")
    (tmp_path / "root" / "folder.png.shaded.json").mkdir()
    _pair(tmp_path / "root" / "folder.png.shaded.json" / "e.png")
    found, troubles = _found(tmp_path / "root")
    assert found == ["b.png", "folder.png", "a/c.png", "folder.png.shaded.json/e.png"]
    assert troubles == []


def test_a_folder_that_cannot_be_looked_into_is_told_and_the_others_are_walked(tmp_path, monkeypatch):
    """One forbidden folder hides its own pictures and no others."""
    _pair(tmp_path / "locked" / "a.png")
    _pair(tmp_path / "open" / "b.png")
    opened = pairs.open_folder

    def forbidding(path, root):
        if path.name == "locked":
            raise Transient("permission is denied", path=path)
        return opened(path, root)

    monkeypatch.setattr(pairs, "open_folder", forbidding)
    found, troubles = _found(tmp_path)
    assert found == ["open/b.png"]
    assert [trouble.path.name for trouble in troubles] == ["locked"]


def test_a_bottomless_folder_has_an_end(tmp_path):
    """Folders nested two thousand deep end the walk with a reason, and no descriptor or stack runs out."""
    _pair(tmp_path / "a.png")
    before = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=before)
        after = os.open("d", os.O_RDONLY, dir_fd=before)
        os.close(before)
        before = after
    os.close(before)
    found, troubles = _found(tmp_path)
    subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)  # shutil's way is a recursion
    assert found == ["a.png"]
    (trouble,) = troubles
    assert "nested" in trouble.what
    assert len(trouble.path.relative_to(tmp_path).parts) == DEEPEST


def test_reading_pairs_loads_no_imaging_library():
    """The daemon and the commands read pairs without numpy, Pillow or torch in their memory."""
    code = (
        "import sys; import shaded.publishing.pairs; "
        "sys.exit(any(name in sys.modules for name in ('numpy', 'PIL', 'torch')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
