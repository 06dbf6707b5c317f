"""Publishing: a finished picture and its sidecar appear in the publish folder, whole, or not at all.

The sidecar is renamed into place first and the picture last, each from a temporary file that was flushed to the disk;
so a picture that is there is complete and has its sidecar, whatever crashes when. Every step walks from an open
descriptor of the publish root and follows no link below it. What is not known to be an earlier output is never
overwritten.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path, PurePath

from shaded.errors import Refusal, Transient, Unreadable, from_os_error
from shaded.filestat import FileStat
from shaded.publishing.naming import LONGEST_NAME, check_length, numbered, sidecar_name
from shaded.publishing.sidecar import LARGEST, Sidecar, parse_sidecar, read_sidecar

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OLD = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_STEP = 1 << 20
_TEMPORARY = re.compile(r"\A\.~.*\.[0-9a-f]{8}\.tmp\Z", re.DOTALL)
_MOST_NAMES = 10_000


class _Taken(Exception):  # noqa: N818 - never leaves this module
    """Somebody else's file has appeared under the name."""


def publish_pair(
    picture: Path, sidecar: Path, publish_root: Path, relative: str | PurePath, ours: Callable[[str], bool]
) -> Path:
    """Copy a staged picture and its sidecar into the publish folder. The staged files stay where they are.

    Args:
        picture: The rendered file.
        sidecar: Its sidecar; ``published.name`` in it is put right when the file gets another name.
        publish_root: An existing folder; it may itself be a link.
        relative: The wanted place below it; folders on the way are made.
        ours: Whether an existing file with this SHA-256 is an earlier output for the same source and may be replaced.
            Anything else stays, and the picture is called ``NAME (shaded).SUFFIX``, ``NAME (shaded 2).SUFFIX``, ...

    Returns:
        The published picture's path.

    Raises:
        Refusal: A link or a file stands where a folder must be, or the name is too long.
        Transient: The root is missing, no space, no permission, and the like.
    """
    place = PurePath(relative)
    if place.is_absolute() or not place.parts or ".." in place.parts:
        raise Refusal("it would be published outside the publish folder", path=publish_root / place)
    stated = read_sidecar(sidecar)
    with _errors(publish_root / place), _folder(publish_root, place.parts[:-1]) as folder:
        for name in _names(place.name):
            check_length(name)
            mine = stated.with_names(published=name)
            try:
                if _stands_already(folder, name, mine):
                    _settle(folder)
                else:
                    _publish_as(folder, name, picture, mine, _replaceable(folder, name, mine.published.sha256, ours))
            except _Taken:
                continue
            return publish_root.joinpath(*place.parts[:-1], name)
    raise Refusal("all its names are taken by other files", path=publish_root / place, remedy="Move those files away")


def _names(name: str) -> Iterator[str]:
    yield name
    for number in range(1, _MOST_NAMES):
        yield numbered(name, number)


@contextmanager
def _errors(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise from_os_error(error, target) from error


@contextmanager
def _folder(root: Path, parts: tuple[str, ...]) -> Iterator[int]:
    """A descriptor of a folder below ``root``, made where it is missing, reached without following links."""
    held: list[int] = []
    try:
        try:
            held.append(os.open(root, _FOLDER))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise Transient("the publish folder is missing", path=root, remedy="Mount it, or make it again") from error
        for depth, name in enumerate(parts, start=1):
            with suppress(FileExistsError):
                os.mkdir(name, dir_fd=held[-1])
                _settle(held[-1])
            try:
                held.append(os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=held[-1]))
            except OSError as error:
                mode = os.stat(name, dir_fd=held[-1], follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode):
                    raise
                what = "a symbolic link" if stat.S_ISLNK(mode) else "a file"
                raise Refusal(
                    f"{what} stands where the folder must be", path=root.joinpath(*parts[:depth]), remedy="Move it away"
                ) from error
        yield held[-1]
    finally:
        for descriptor in reversed(held):
            os.close(descriptor)


@contextmanager
def _regular(folder: int, name: str) -> Iterator[BufferedReader | None]:
    """A regular file, open for reading; ``None`` for anything else that has the name (a link, a folder, a pipe)."""
    try:
        descriptor = os.open(name, _OLD, dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError:
        yield None
        return
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        yield None
        return
    with os.fdopen(descriptor, "rb") as stream:
        yield stream


def _stands_already(folder: int, name: str, stated: Sidecar) -> bool:
    """Whether exactly this pair is there: the program ended after publishing it and before it could note so."""
    try:
        with _regular(folder, name) as picture, _regular(folder, sidecar_name(name)) as beside:
            return (
                picture is not None
                and beside is not None
                and beside.read(LARGEST) == stated.to_json().encode()
                and hashlib.file_digest(picture, "sha256").hexdigest() == stated.published.sha256
            )
    except FileNotFoundError:
        return False


def _replaceable(folder: int, name: str, same: str, ours: Callable[[str], bool]) -> FileStat | None:
    """Our own earlier output under this name, as it looks now; ``None`` where nothing is there.

    Raises:
        _Taken: Somebody else's file has one of the pair's names.
    """
    try:
        with _regular(folder, name) as stream:
            if stream is None:
                raise _Taken
            looks = FileStat.of(os.fstat(stream.fileno()))
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        if not _sidecar_is_free(folder, sidecar_name(name)):
            raise _Taken from None
        return None
    if found != same and not ours(found):
        raise _Taken
    return looks


def _sidecar_is_free(folder: int, name: str) -> bool:
    """A sidecar without its picture is left from an interrupted run when it reads as one; else it is somebody's."""
    try:
        with _regular(folder, name) as stream:
            if stream is None:
                return False
            parse_sidecar(stream.read(LARGEST))
    except FileNotFoundError:
        return True
    except Unreadable:
        return False
    return True


def _publish_as(folder: int, name: str, picture: Path, stated: Sidecar, replaced: FileStat | None) -> None:
    """Put the pair into place; ``replaced`` is how the earlier output looks that the picture takes the place of."""
    temporary = _temporary(name), _temporary(sidecar_name(name))
    try:
        copied = _copy(picture, folder, temporary[0])
        if copied != stated.published.sha256:
            raise Transient(
                "the staged picture is not what its sidecar says", path=picture, remedy="It is shaded again"
            )
        _write(folder, temporary[1], stated.to_json().encode())
        if _looks(folder, name) != replaced:  # copying took a while, and somebody saved meanwhile
            raise _Taken
        os.rename(temporary[1], sidecar_name(name), src_dir_fd=folder, dst_dir_fd=folder)
        _settle(folder)
        if replaced is None:
            _place_new(folder, temporary[0], name)
        elif _looks(folder, name) == replaced:
            os.rename(temporary[0], name, src_dir_fd=folder, dst_dir_fd=folder)
        else:
            os.unlink(sidecar_name(name), dir_fd=folder)
            raise _Taken
        _settle(folder)
    finally:
        for left in temporary:
            with suppress(FileNotFoundError):
                os.unlink(left, dir_fd=folder)


def _settle(folder: int) -> None:
    """Wait until the disk has a folder's new names, on file systems that can say so."""
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


def _looks(folder: int, name: str) -> FileStat | None:
    try:
        return FileStat.of(os.stat(name, dir_fd=folder, follow_symlinks=False))
    except FileNotFoundError:
        return None


def _place_new(folder: int, temporary: str, name: str) -> None:
    """Give a file a name that nothing has yet; a link fails where a rename would overwrite what has just appeared."""
    try:
        os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        os.unlink(sidecar_name(name), dir_fd=folder)
        raise _Taken from None
    except OSError:  # a file system without hard links
        if _looks(folder, name) is not None:
            os.unlink(sidecar_name(name), dir_fd=folder)
            raise _Taken from None
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)


def _temporary(name: str) -> str:
    """A name that cloud clients pass over, no longer than a file system allows, and text where ``name`` is."""
    ending = f".{secrets.token_hex(4)}.tmp"
    while len(os.fsencode(name)) > LONGEST_NAME - len(ending) - 2:
        name = name[:-1]
    return f".~{name}{ending}"


def _copy(source: Path, folder: int, name: str) -> str:
    """Copy a file durably into the folder and return the SHA-256 of what was copied."""
    digest = hashlib.sha256()
    with source.open("rb") as reading, os.fdopen(os.open(name, _NEW, 0o644, dir_fd=folder), "wb") as writing:
        while piece := reading.read(_STEP):
            digest.update(piece)
            writing.write(piece)
        writing.flush()
        os.fsync(writing.fileno())
    return digest.hexdigest()


def _write(folder: int, name: str, data: bytes) -> None:
    with os.fdopen(os.open(name, _NEW, 0o644, dir_fd=folder), "wb") as writing:
        writing.write(data)
        writing.flush()
        os.fsync(writing.fileno())


def remove_orphans(publish_root: Path) -> int:
    """Remove the temporary files that a crash left in a publish folder, at any depth; how many there were.

    Only regular files with this module's own pattern of name go; links are not followed. What cannot be removed stays.
    """
    removed = 0
    with suppress(OSError):  # the root is gone: then there is nothing to remove
        for _, _, files, folder in os.fwalk(publish_root, follow_symlinks=False):
            for name in filter(_TEMPORARY.match, files):
                with suppress(OSError):
                    if stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                        os.unlink(name, dir_fd=folder)
                        removed += 1
    return removed


def write_durably(path: Path, data: bytes) -> None:
    """Write a new file and wait until the disk has it: the ledger will say that it is there."""
    with path.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
