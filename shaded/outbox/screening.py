"""Screening: a settled file is opened without following links, read once, recognised, and bounded before decoding.

Everything that is said about a file comes from one open descriptor and the bytes read from it, never from its name; so
what was checked is what is shaded. Pure Python: the idle daemon screens without loading an imaging library.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shaded.errors import PictureError, Refusal, SourceChanged, Unreadable, from_os_error
from shaded.filestat import FileStat
from shaded.publishing import formats
from shaded.publishing.formats import Format, sniff
from shaded.publishing.probing import probe

__all__ = [
    "Screened", "hash_inside", "open_folder", "open_inside", "read_bytes", "read_settled", "screen", "sniff",
]  # fmt: skip

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
#: O_NONBLOCK: opening a pipe that nobody writes to must not hang; it is refused right after.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_STEP = 1 << 20
#: No published picture has more bytes. A file may claim any size and hold nothing, and is read for hours all the same.
LARGEST_PICTURE = 4 << 30


@dataclass(frozen=True)
class Screened:
    """A file that may be decoded: its format, from the content, and its size in pixels as stored."""

    format: Format
    width: int
    height: int


def _parts_below(path: Path, root: Path) -> tuple[str, ...]:
    try:
        parts = path.relative_to(root).parts
    except ValueError:
        parts = ()
    if not parts or ".." in parts:
        raise Refusal(f"it lies outside the folder {root}", path=path, remedy="Put the file itself there")
    return parts


def _folder_error(error: OSError, parent: int, name: str, path: Path) -> PictureError:
    """Opening a folder no-follow says "not a directory" for a link as well; tell the two apart."""
    try:
        is_link = stat.S_ISLNK(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    except OSError:
        is_link = False
    if is_link:
        return Refusal(f"its folder {name!r} is a symbolic link", path=path, remedy="Put the folder itself there")
    return from_os_error(error, path)


def _file_error(error: OSError, parent: int, name: str, path: Path) -> PictureError:
    """Opening a socket, say, fails as if a disk were gone: tell what is no file from a file that cannot be opened."""
    try:
        kind = os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
    except (OSError, ValueError):
        return from_os_error(error, path)
    return from_os_error(error, path) if stat.S_ISREG(kind) or stat.S_ISLNK(kind) else _no_file(path)


def _no_file(path: Path) -> Refusal:
    return Refusal("it is not a regular file", path=path, remedy="Put the file itself there")


@contextmanager
def open_folder(path: Path, root: Path) -> Iterator[int]:
    """A descriptor of the folder ``path``, which is ``root`` or below it, reached without following a link below it.

    Raises:
        Refusal: It, or a folder on the way below ``root``, is a link; or it lies elsewhere.
        SourceChanged: It is gone.
        Transient: It cannot be opened now.
    """
    parts = () if path == root else _parts_below(path, root)
    held: list[int] = []
    try:
        try:
            held.append(os.open(root, _FOLDER))
            for name in parts:
                try:
                    held.append(os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=held[-1]))
                except OSError as error:
                    raise _folder_error(error, held[-1], name, path) from error
        except OSError as error:
            raise from_os_error(error, path) from error
        except ValueError as error:
            raise Refusal("no file can have such a name", path=path, remedy="Rename it") from error
        yield held[-1]
    finally:
        for descriptor in reversed(held):
            os.close(descriptor)


@contextmanager
def open_inside(path: Path, root: Path) -> Iterator[int]:
    """A read-only descriptor of the regular file ``path`` below ``root``, reached without following any link below it.

    Raises:
        Refusal: The file, or a folder on the way below ``root``, is a link; it is no regular file; it lies elsewhere.
        SourceChanged: It is gone.
        Transient: It cannot be opened now.
    """
    name = _parts_below(path, root)[-1]
    with open_folder(path.parent, root) as folder:
        try:
            descriptor = os.open(name, _FILE, dir_fd=folder)
        except OSError as error:
            raise _file_error(error, folder, name, path) from error
        except ValueError as error:
            raise Refusal("no file can have such a name", path=path, remedy="Rename it") from error
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _no_file(path)
            yield descriptor
        finally:
            os.close(descriptor)


def _read_exactly(descriptor: int, size: int, alive: Callable[[], None]) -> bytes:
    """At most ``size`` + 1 bytes: the one more tells that the file has grown."""
    pieces: list[bytes] = []
    left = size + 1
    while left > 0:
        piece = os.read(descriptor, min(left, _STEP))
        if not piece:
            break
        pieces.append(piece)
        left -= len(piece)
        alive()
    return b"".join(pieces)


def read_bytes(path: Path, root: Path, max_bytes: int, alive: Callable[[], None] = lambda: None) -> bytes:
    """Read a settled file once, from one descriptor.

    Args:
        path: The file, below ``root``.
        root: The watched folder; it may itself be a link, since the user named it.
        max_bytes: Larger files are refused before they are read.
        alive: Called between pieces; what it raises ends the read.

    Raises:
        Refusal: See :func:`open_inside`; or the file is larger than ``max_bytes``.
        Unreadable: It is empty.
        SourceChanged: It is gone, or it changed while it was read.
        Transient: It cannot be read now.
    """
    with open_inside(path, root) as descriptor:
        before = os.fstat(descriptor)
        if before.st_size == 0:
            raise Unreadable("the file is empty", path=path, remedy="Save the picture again")
        if before.st_size > max_bytes:
            raise Refusal(
                f"the file has {before.st_size:,} bytes and the limit is {max_bytes:,}",
                path=path, remedy="Save it smaller, or raise watching.max_bytes",
            )  # fmt: skip
        try:
            data = _read_exactly(descriptor, before.st_size, alive)
            after = os.fstat(descriptor)
        except OSError as error:
            raise from_os_error(error, path) from error
    if FileStat.of(before) != FileStat.of(after) or len(data) != before.st_size:
        raise SourceChanged("the file changed while it was read", path=path, remedy="It is looked at again by itself")
    return data


def hash_inside(path: Path, root: Path, size: int, alive: Callable[[], None] = lambda: None) -> str:
    """The SHA-256 of a file, read piece by piece from one descriptor; one of another size is not read.

    Args:
        path: The file, below ``root``.
        root: See :func:`open_inside`.
        size: How many bytes it is to have.
        alive: Called between pieces; what it raises ends the read.

    Raises:
        Unreadable: It has another size, or one that no picture has.
        SourceChanged: It is gone, or it changed while it was read.
        PictureError: See :func:`open_inside`.
    """
    digest = hashlib.sha256()
    with open_inside(path, root) as descriptor:
        try:
            before = os.fstat(descriptor)
            if before.st_size != size or size > LARGEST_PICTURE:
                raise Unreadable(f"it has {before.st_size:,} bytes and not {size:,}", path=path)
            left = size
            while left > 0 and (piece := os.read(descriptor, min(left, _STEP))):
                digest.update(piece)
                left -= len(piece)
                alive()
            after = os.fstat(descriptor)
        except OSError as error:
            raise from_os_error(error, path) from error
    if FileStat.of(before) != FileStat.of(after) or left:
        raise SourceChanged("the file changed while it was read", path=path, remedy="It is looked at again by itself")
    return digest.hexdigest()


def read_settled(path: Path, root: Path, max_bytes: int, sha256: str) -> bytes:
    """Read a file whose bytes are known to have hashed to ``sha256``.

    Raises:
        SourceChanged: It is not that file any more; a link that has taken its place since says nothing about the
            content that settled.
        PictureError: See :func:`read_bytes`.
    """
    try:
        data = read_bytes(path, root, max_bytes)
    except (Refusal, Unreadable) as error:
        raise SourceChanged(error.what, path=path, remedy=error.remedy) from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise SourceChanged("the file changed after it had settled", path=path)
    return data


def screen(data: bytes, path: Path | None, max_pixels: int) -> Screened:
    """Decide, without decoding, whether the bytes of a file can be shaded.

    Args:
        data: The whole file.
        path: Only for messages.
        max_pixels: The largest width times height that is decoded.

    Raises:
        Refusal: It is a known kind that is not shaded (an animation, a document, CMYK, too many pixels).
        Unreadable: It is no picture, or cut off, or damaged.
    """
    if not data:
        raise Unreadable("the file is empty", path=path, remedy="Save the picture again")
    form = sniff(data)
    if form is None:
        known = formats.foreign(data)
        if known is not None:
            raise Refusal(f"it is {known[0]}", path=path, remedy=known[1])
        raise Unreadable(
            "it is not a picture that is known here",
            path=path,
            remedy="JPEG, PNG, WebP, TIFF, AVIF and HEIC are shaded",
        )
    try:
        found = probe(data, form)
    except ValueError as error:
        raise Unreadable(
            f"the {form.upper()} file is damaged or incomplete ({error})", path=path, remedy="Save the picture again"
        ) from error
    if found.obstacle is not None:
        raise Refusal(found.obstacle[0], path=path, remedy=found.obstacle[1])
    if found.width * found.height > max_pixels:
        raise Refusal(
            f"it has {found.width} x {found.height} pixels and the limit is {max_pixels:,} in all",
            path=path, remedy="Save it smaller, or raise watching.max_pixels",
        )  # fmt: skip
    return Screened(form, found.width, found.height)
