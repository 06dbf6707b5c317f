"""Publishing: a finished picture and its sidecar appear in the publish folder, whole, or not at all.

The sidecar is put into place first and the picture last, each from a temporary file that was flushed to the disk; so a
picture that is there is complete and has its sidecar, whatever crashes when. Every step walks from an open descriptor
of the publish root and follows no link below it. A file is replaced only where :class:`Ownership` has recorded that the
same source put exactly these bytes under exactly this name; what is about to be put is recorded before it appears.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path, PurePath

from shaded.durable import settle
from shaded.errors import Refusal, Transient, Unreadable, from_os_error
from shaded.filestat import FileStat
from shaded.outbox.screening import LARGEST_PICTURE
from shaded.publishing.naming import LONGEST_NAME, check_length, names_for, numbered, sidecar_name
from shaded.publishing.ownership import Copy, Ownership, real_name
from shaded.publishing.sidecar import LARGEST, Sidecar, parse_sidecar, read_sidecar

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OLD = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_STEP = 1 << 20
#: What :func:`numbered` puts behind a stem.
_NUMBER = re.compile(r" \(shaded(?: ([0-9]+))?\)\Z")

#: Called between pieces of a long copy; what it raises ends the copy, and nothing half-done is left.
Alive = Callable[[], None]


class _Taken(Exception):  # noqa: N818 - never leaves this module
    """Somebody else's file has appeared under the name."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A regular file under one of a pair's names: how it looks, and its hash."""

    looks: FileStat
    sha256: str


@dataclass(frozen=True, slots=True)
class _Standing:
    """What of this source's own stands under a name now; ``None`` for what is not there."""

    picture: _Found | None
    sidecar: _Found | None


def publish_pair(
    picture: Path,
    sidecar: Path,
    publish_root: Path,
    relative: str | PurePath,
    ownership: Ownership,
    alive: Alive = lambda: None,
) -> Path:
    """Copy a staged picture and its sidecar into the publish folder. The staged files stay where they are.

    The pair takes the place of the same source's earlier one, where that stands unchanged. Otherwise it gets the first
    free name: the wanted one, ``NAME (shaded).SUFFIX``, ``NAME (shaded 2).SUFFIX``, ... What a person put or changed
    under a name, picture or sidecar, is kept.

    Args:
        picture: The rendered file.
        sidecar: Its sidecar; ``published.name`` in it is put right when the file gets another name.
        publish_root: An existing folder; it may itself be a link.
        relative: The wanted place below it; folders on the way are made.
        ownership: What the source put there before, and which names belong to others.
        alive: Called between pieces of a long copy; what it raises ends the copy.

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
    where = publish_root.joinpath(*place.parts[:-1])
    here = real_name(publish_root / place).parent
    own = [c for c in ownership.earlier() if real_name(c.path).parent == here and not ownership.is_taken(c.path)]
    with _errors(publish_root / place), _folder(publish_root, place.parts[:-1]) as folder:
        for name in _candidates(folder, place.name, own, alive):
            check_length(name)
            target = where / name
            if ownership.is_taken(target):
                continue
            try:
                standing = _standing(folder, name, _under(own, name), alive)
                _put(folder, target, picture, stated.with_names(published=name), standing, ownership, alive)
            except _Taken:
                continue
            return target
    raise Refusal("all its names are taken by other files", path=publish_root / place, remedy="Move those files away")


def _is_numbered(candidate: str, name: str) -> bool:
    """Whether a name is among those that a picture called ``name`` may get."""
    number = _NUMBER.search(PurePath(candidate).stem)
    return candidate == name or (number is not None and numbered(name, int(number[1] or 1)) == candidate)


def _candidates(folder: int, name: str, own: Sequence[Copy], alive: Alive) -> Iterator[str]:
    """The names to try: first those under which an earlier output stands unchanged, then all in turn."""
    for earlier in dict.fromkeys(copy.path.name for copy in own):
        if _is_numbered(earlier, name):
            with suppress(_Taken):
                if _standing(folder, earlier, _under(own, earlier), alive).picture is not None:
                    yield earlier
    yield from names_for(name)


def _under(own: Sequence[Copy], name: str) -> list[Copy]:
    return [copy for copy in own if copy.path.name == name]


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
            settle(held[-1])  # also where it is there: whoever made it may have been ended before this
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
def _regular(folder: int, name: str) -> Iterator[BufferedReader]:
    """A regular file, open for reading.

    Raises:
        FileNotFoundError: Nothing has the name.
        _Taken: A link, a folder, a pipe or anything else that may not be read has it.
    """
    try:
        descriptor = os.open(name, _OLD, dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _Taken from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _Taken
    with os.fdopen(descriptor, "rb") as stream:
        yield stream


def _find(folder: int, name: str, may_have: Callable[[int], bool], alive: Alive) -> _Found | None:
    """The regular file under a name; ``None`` where nothing has it.

    Raises:
        _Taken: Something else has it, or a file of a size that it may not have, which is not read.
    """
    try:
        with _regular(folder, name) as stream:
            looks = FileStat.of(os.fstat(stream.fileno()))
            if not may_have(looks.size):
                raise _Taken
            digest = hashlib.sha256()
            while piece := stream.read(_STEP):
                digest.update(piece)
                alive()
    except FileNotFoundError:
        return None
    return _Found(looks, digest.hexdigest())


def _standing(folder: int, name: str, own: Sequence[Copy], alive: Alive) -> _Standing:
    """What may be replaced under a name.

    Raises:
        _Taken: One of the pair's names holds what this source did not put there.
    """
    if not own and _looks(folder, name) is not None:
        raise _Taken  # whatever it is: it need not be read
    sizes = {copy.size for copy in own}
    picture = _find(folder, name, lambda size: size in sizes or (None in sizes and size <= LARGEST_PICTURE), alive)
    if picture is not None and picture.sha256 not in {copy.sha256 for copy in own}:
        raise _Taken
    sidecar = _find(folder, sidecar_name(name), lambda size: size <= LARGEST, alive)
    if sidecar is not None and not _owns_sidecar(folder, name, sidecar, own):
        raise _Taken
    return _Standing(picture, sidecar)


def _owns_sidecar(folder: int, name: str, sidecar: _Found, own: Sequence[Copy]) -> bool:
    if any(copy.sidecar_sha256 == sidecar.sha256 for copy in own):
        return True
    older = {copy.sha256 for copy in own if copy.sidecar_sha256 is None}
    if not older:
        return False
    try:  # an older version published it, and noted only the picture's hash
        with _regular(folder, sidecar_name(name)) as stream:
            return parse_sidecar(stream.read(LARGEST + 1)).published.sha256 in older
    except (FileNotFoundError, Unreadable):
        return False


def _put(
    folder: int, target: Path, picture: Path, stated: Sidecar, standing: _Standing, ownership: Ownership, alive: Alive
) -> None:
    """Put the pair into place, instead of ``standing``.

    Raises:
        _Taken: Somebody saved something there meanwhile.
    """
    text = stated.to_json().encode()
    wanted = stated.published.sha256, hashlib.sha256(text).hexdigest()
    temporary = _temporaries(target.name, ownership.intend(Copy(target, *wanted, picture.stat().st_size)))
    _remove(folder, temporary)
    if wanted == tuple(one and one.sha256 for one in (standing.picture, standing.sidecar)):
        settle(folder)  # the program ended after publishing it and before it could note so
        return
    names = target.name, sidecar_name(target.name)
    try:
        if _copy(picture, folder, temporary[0], alive) != stated.published.sha256:
            raise Transient(
                "the staged picture is not what its sidecar says", path=picture, remedy="It is shaded again"
            )
        _write(folder, temporary[1], text)
        _expect(folder, names[0], standing.picture, alive)  # somebody may have saved there while it was copied
        _place(folder, temporary[1], names[1], standing.sidecar, alive)
        settle(folder)
        beside = _looks(folder, names[1])
        try:
            _place(folder, temporary[0], names[0], standing.picture, alive)
        except _Taken:
            if _looks(folder, names[1]) == beside:
                os.unlink(names[1], dir_fd=folder)
            raise
        _remove(folder, temporary)  # before the names are waited for: once the copy is noted nobody looks for these
        settle(folder)
    finally:
        _remove(folder, temporary)


def _place(folder: int, temporary: str, name: str, replaced: _Found | None, alive: Alive) -> None:
    """Give a file its name: instead of exactly what was found there, or where nothing was.

    A link fails where a rename would overwrite what has just appeared.
    """
    _expect(folder, name, replaced, alive)
    if replaced is not None:
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        return
    try:
        os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        raise _Taken from None
    except OSError:  # a file system without hard links
        _expect(folder, name, None, alive)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)


def _expect(folder: int, name: str, found: _Found | None, alive: Alive) -> None:
    """Make sure that a name still holds what was found there.

    Where it only looks otherwise (a cloud client notes things in a file's attributes), its bytes decide.
    """
    if _looks(folder, name) == (found and found.looks):
        return
    now = None if found is None else _find(folder, name, lambda size: size == found.looks.size, alive)
    if found is None or now is None or now.sha256 != found.sha256:
        raise _Taken


def _looks(folder: int, name: str) -> FileStat | None:
    try:
        return FileStat.of(os.stat(name, dir_fd=folder, follow_symlinks=False))
    except FileNotFoundError:
        return None


def _temporaries(name: str, token: str) -> tuple[str, str]:
    """The names of a pair's temporary files."""
    return _temporary(name, f"{token}-1"), _temporary(name, f"{token}-2")


def _temporary(name: str, token: str) -> str:
    """A name that cloud clients pass over, no longer than a file system allows, and text where ``name`` is."""
    ending = f".{token}.tmp"
    while len(os.fsencode(name)) > LONGEST_NAME - len(ending) - 2:
        name = name[:-1]
    return f".~{name}{ending}"


def _remove(folder: int, names: Iterable[str]) -> int:
    """Remove temporary files; how many there were."""
    removed = 0
    for name in names:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
            removed += 1
    return removed


def _copy(source: Path, folder: int, name: str, alive: Alive) -> str:
    """Copy a file durably into the folder and return the SHA-256 of what was copied."""
    digest = hashlib.sha256()
    with source.open("rb") as reading, os.fdopen(os.open(name, _NEW, 0o666, dir_fd=folder), "wb") as writing:
        while piece := reading.read(_STEP):
            digest.update(piece)
            writing.write(piece)
            alive()
        writing.flush()
        os.fsync(writing.fileno())
    return digest.hexdigest()


def _write(folder: int, name: str, data: bytes) -> None:
    with os.fdopen(os.open(name, _NEW, 0o666, dir_fd=folder), "wb") as writing:
        writing.write(data)
        writing.flush()
        os.fsync(writing.fileno())


def remove_temporaries(copies: Iterable[Copy]) -> int:
    """Remove the temporary files of copies that a crash interrupted; how many there were.

    Only names with a recorded token are looked for, so that nothing of anybody else's is removed.
    """
    removed = 0
    for copy in copies:
        with suppress(OSError):  # the folder is away, or may not be written: then they stay
            folder = os.open(copy.path.parent, _FOLDER)
            try:
                removed += _remove(folder, _temporaries(copy.path.name, copy.token))
            finally:
                os.close(folder)
    return removed


def write_durably(path: Path, data: bytes) -> None:
    """Write a new file and wait until the disk has it: the ledger will say that it is there."""
    with path.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
