"""Publishing: a finished picture and its sidecar appear in the publish folder, whole, or not at all.

The sidecar is put into place first and the picture last, each from a temporary file that was flushed to the disk; so a
picture that is there is complete and has its sidecar, whatever crashes when. Every step walks from an open descriptor
of the publish root, or of the folder for sidecars, and follows no link below it. A file is replaced only where
:class:`Ownership` has recorded that the same source put exactly these bytes under exactly this name; what is about to
be put is recorded before it appears.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import NamedTuple

from shaded.durable import settle
from shaded.errors import PictureError, Refusal, Transient, Unreadable, from_os_error
from shaded.outbox.screening import LARGEST_PICTURE, open_folder
from shaded.publishing.naming import check_length, is_numbered, names_for, sidecar_name
from shaded.publishing.ownership import Copy, Ownership, real_name
from shaded.publishing.sidecar import LARGEST, Sidecar, parse_sidecar, read_sidecar
from shaded.publishing.sidecar_places import BESIDE, SidecarPlaces, mirrored
from shaded.publishing.standing import Alive, Found, Taken, expect, find, looks, open_regular
from shaded.publishing.temporaries import remove as _remove
from shaded.publishing.temporaries import temporaries

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_STEP = 1 << 20


class _Standing(NamedTuple):
    """What of this source's own stands under a name now; ``None`` for what is not there."""

    picture: Found | None
    sidecar: Found | None


@dataclass(frozen=True, slots=True)
class _Folders:
    """Descriptors of the folders of a pair; one and the same where the sidecar goes beside the picture.

    Attributes:
        path: Of the sidecar's folder, for messages.
        others: Where an earlier sidecar of the picture may stand.
    """

    picture: int
    sidecar: int
    path: Path
    others: tuple[int, ...]

    def settle(self) -> None:
        """Wait until the disk has all names."""
        for folder in dict.fromkeys((self.sidecar, self.picture)):
            settle(folder)


def publish_pair(
    picture: Path,
    sidecar: Path,
    publish_root: Path,
    relative: str | PurePath,
    ownership: Ownership,
    alive: Alive = lambda: None,
    places: SidecarPlaces = BESIDE,
) -> Path:
    """Copy a staged picture and its sidecar to where they are published. The staged files stay where they are.

    The pair takes the place of the same source's earlier one, where that stands unchanged. Otherwise it gets the first
    free name: the wanted one, ``NAME (shaded).SUFFIX``, ``NAME (shaded 2).SUFFIX``, ... What a person put or changed
    under a name, picture or sidecar, is kept. A sidecar of the earlier pair that stands where none goes any more is
    removed, unless somebody changed it.

    Args:
        picture: The rendered file.
        sidecar: Its sidecar; ``published.name`` in it is put right when the file gets another name. Beside the picture
            its public form is written.
        publish_root: An existing folder; it may itself be a link.
        relative: The wanted place below it; folders on the way are made.
        ownership: What the source put there before, and which names belong to others.
        alive: Called between pieces of a long copy; what it raises ends the copy.
        places: Where the sidecar goes.

    Returns:
        The published picture's path.

    Raises:
        Refusal: A link or a file stands where a folder must be, or the name is too long.
        Transient: The root or the folder for sidecars is missing, no space, no permission, and the like.
    """
    place = PurePath(relative)
    if place.is_absolute() or not place.parts or ".." in place.parts:
        raise Refusal("it would be published outside the publish folder", path=publish_root / place)
    stated = read_sidecar(sidecar)
    stated = stated.public() if places.folder is None else stated
    where = publish_root.joinpath(*place.parts[:-1])
    here = real_name(publish_root / place).parent
    own = [c for c in ownership.earlier() if real_name(c.path).parent == here and not ownership.is_taken(c.path)]
    with _errors(publish_root / place), _folders(publish_root, place.parts[:-1], here, places) as folders:
        for name in _candidates(folders, place.name, own, alive):
            check_length(name)
            target = where / name
            if ownership.is_taken(target):
                continue
            try:
                standing = _standing(folders, name, _under(own, name), alive)
                _put(folders, target, picture, stated.with_names(published=name), standing, ownership, alive)
            except Taken:
                continue
            _remove_earlier_sidecars(folders, name, _under(own, name), alive)
            for earlier in {copy.path.name for copy in own} - {name}:
                _remove_earlier_pair(folders, earlier, _under(own, earlier), alive)
            return target
    raise Refusal("all its names are taken by other files", path=publish_root / place, remedy="Move those files away")


def _candidates(folders: _Folders, name: str, own: Sequence[Copy], alive: Alive) -> Iterator[str]:
    """The names to try: first those under which an earlier output stands unchanged, then all in turn."""
    for earlier in dict.fromkeys(copy.path.name for copy in own):
        if is_numbered(earlier, name):
            with suppress(Taken):
                if _standing(folders, earlier, _under(own, earlier), alive).picture is not None:
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
def _folders(root: Path, parts: tuple[str, ...], here: Path, places: SidecarPlaces) -> Iterator[_Folders]:
    """The folders for a pair: the picture's is ``parts`` below ``root``, and ``here`` is its real path."""
    with ExitStack() as held:
        sidecar = None
        if places.folder is not None:
            with _errors(mirrored(places.folder, here)):
                sidecar = held.enter_context(_folder(places.folder, here.parts[1:], "folder for sidecars"))
        picture = held.enter_context(_folder(root, parts))
        path = here if places.folder is None else mirrored(places.folder, here)
        others = []
        for place in places.others:
            with suppress(PictureError):  # there is no such folder, so that no earlier sidecar is there
                found = picture if place is None else held.enter_context(open_folder(mirrored(place, here), place))
                others.append(found)
        sidecar = picture if sidecar is None else sidecar
        yield _Folders(picture, sidecar, path, tuple(o for o in others if not os.path.sameopenfile(o, sidecar)))


@contextmanager
def _folder(root: Path, parts: tuple[str, ...], what: str = "publish folder") -> Iterator[int]:
    """A descriptor of a folder below ``root``, made where it is missing, reached without following links."""
    held: list[int] = []
    try:
        try:
            held.append(os.open(root, _FOLDER))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise Transient(f"the {what} is missing", path=root, remedy="Mount it, or make it again") from error
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


def _standing(folders: _Folders, name: str, own: Sequence[Copy], alive: Alive) -> _Standing:
    """What may be replaced under a name.

    Raises:
        Taken: One of the pair's names holds what this source did not put there.
    """
    standing = (looks(folders.picture, name), looks(folders.sidecar, sidecar_name(name)))
    if not own and standing != (None, None):
        raise Taken  # whatever it is: it need not be read
    picture = _own_picture(folders.picture, name, own, alive)
    sidecar = find(folders.sidecar, sidecar_name(name), lambda size: size <= LARGEST, alive)
    if sidecar is not None and not _owns_sidecar(folders.sidecar, name, sidecar, own):
        raise Taken
    return _Standing(picture, sidecar)


def _own_picture(folder: int, name: str, own: Sequence[Copy], alive: Alive) -> Found | None:
    """The earlier picture under a name; ``None`` where nothing has it.

    Raises:
        Taken: It is another picture, or something else.
    """
    sizes = {copy.size for copy in own}
    found = find(folder, name, lambda size: size in sizes or (None in sizes and size <= LARGEST_PICTURE), alive)
    if found is not None and found.sha256 not in {copy.sha256 for copy in own}:
        raise Taken
    return found


def _owns_sidecar(folder: int, name: str, sidecar: Found, own: Sequence[Copy]) -> bool:
    if any(copy.sidecar_sha256 == sidecar.sha256 for copy in own):
        return True
    older = {copy.sha256 for copy in own if copy.sidecar_sha256 is None}
    if not older:
        return False
    try:  # an older version published it, and noted only the picture's hash
        with open_regular(folder, sidecar_name(name)) as stream:
            return parse_sidecar(stream.read(LARGEST + 1)).published.sha256 in older
    except (FileNotFoundError, Unreadable):
        return False


def _put(
    folders: _Folders, target: Path, picture: Path, stated: Sidecar, standing: _Standing, ownership: Ownership,
    alive: Alive,
) -> None:  # fmt: skip
    """Put the pair into place, instead of ``standing``; what of it stands there already stays as it is.

    Raises:
        Taken: Somebody saved something there meanwhile.
    """
    text = stated.to_json().encode()
    wanted = stated.published.sha256, hashlib.sha256(text).hexdigest()
    temporary = temporaries(target.name, ownership.intend(Copy(target, *wanted, picture.stat().st_size)))
    names = target.name, sidecar_name(target.name)
    _remove(folders.picture, temporary[0])
    _remove(folders.sidecar, temporary[1])
    stands = [bool(one and one.sha256 == sha256) for one, sha256 in zip(standing, wanted, strict=True)]
    if all(stands):
        folders.settle()  # the program ended after publishing it and before it could note so
        return
    try:
        if not stands[0] and _copy(picture, folders.picture, temporary[0], alive) != stated.published.sha256:
            raise Transient(
                "the staged picture is not what its sidecar says", path=picture, remedy="It is shaded again"
            )
        with _errors(folders.path / names[1]):
            _write(folders.sidecar, temporary[1], text)
        expect(folders.picture, names[0], standing.picture, alive)  # somebody may have saved there meanwhile
        with _errors(folders.path / names[1]):
            _place(folders.sidecar, temporary[1], names[1], standing.sidecar, alive)
            _remove(folders.sidecar, temporary[1])  # once the copy is noted nobody looks for these any more
            settle(folders.sidecar)
            beside = looks(folders.sidecar, names[1])
        if stands[0]:  # the same picture has another sidecar, or one in another place
            settle(folders.picture)
            return
        try:
            _place(folders.picture, temporary[0], names[0], standing.picture, alive)
        except Taken:
            if looks(folders.sidecar, names[1]) == beside:
                os.unlink(names[1], dir_fd=folders.sidecar)
            raise
        _remove(folders.picture, temporary[0])
        settle(folders.picture)
    finally:
        _remove(folders.picture, temporary[0])
        _remove(folders.sidecar, temporary[1])


def _remove_earlier_sidecars(folders: _Folders, name: str, own: Sequence[Copy], alive: Alive) -> None:
    """Remove the earlier pair's sidecar from where none goes any more, if nobody changed it.

    One beside the picture must go, since others see it. Elsewhere it may stay: its disk may be read-only for ever.
    """
    beside = sidecar_name(name)
    for folder in folders.others:
        with suppress(Taken, *(() if folder == folders.picture else (OSError,))):
            found = find(folder, beside, lambda size: size <= LARGEST, alive)
            if found is not None and _owns_sidecar(folder, name, found, own):
                expect(folder, beside, found, alive)
                os.unlink(beside, dir_fd=folder)
                settle(folder)


def _remove_earlier_pair(folders: _Folders, name: str, own: Sequence[Copy], alive: Alive) -> None:
    """Remove a pair whose picture has just got another name, if nobody changed it, and its sidecar stands elsewhere.

    The picture goes first: what is left after a crash in between is still known by its sidecar.
    """
    if not any(_is_own_sidecar(folder, name, own, alive) for folder in folders.others):
        return
    with suppress(Taken):
        picture = _own_picture(folders.picture, name, own, alive)
        if picture is not None:
            expect(folders.picture, name, picture, alive)
            os.unlink(name, dir_fd=folders.picture)
            settle(folders.picture)
        _remove_earlier_sidecars(folders, name, own, alive)


def _is_own_sidecar(folder: int, name: str, own: Sequence[Copy], alive: Alive) -> bool:
    with suppress(Taken, OSError):
        found = find(folder, sidecar_name(name), lambda size: size <= LARGEST, alive)
        return found is not None and _owns_sidecar(folder, name, found, own)
    return False


def _place(folder: int, temporary: str, name: str, replaced: Found | None, alive: Alive) -> None:
    """Give a file its name: instead of exactly what was found there, or where nothing was.

    A link fails where a rename would overwrite what has just appeared.
    """
    expect(folder, name, replaced, alive)
    if replaced is not None:
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        return
    try:
        os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        raise Taken from None
    except OSError:  # a file system without hard links
        expect(folder, name, None, alive)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)


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
