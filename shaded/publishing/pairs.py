"""Published pairs, a picture and its sidecar, found and read in a folder where others may write too.

A publish folder is as hostile as an outbox: what has a picture's or a sidecar's name may be a link, a pipe or of any
size. Below the folder that a person named no link is followed, and nothing is held but the sidecar.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePath

from shaded.errors import PictureError, Refusal, from_os_error
from shaded.outbox.scan import DEEPEST
from shaded.outbox.screening import hash_inside, open_folder
from shaded.publishing.naming import SIDECAR_SUFFIX, names_for
from shaded.publishing.ownership import Copy
from shaded.publishing.sidecar import Sidecar, parse_sidecar, read_document
from shaded.publishing.sidecar_places import BESIDE, SidecarPlaces, mirrored

#: So many of the names that a picture may get are looked at, where others hold the first ones.
MOST_LOOKED_AT = 100
#: So many of them may be free before one that is found: what held them may have been taken away since.
FREE_NAMES = 3
#: Told what could not be looked at, and why; the error's path names it.
Trouble = Callable[[PictureError], None]


@dataclass(frozen=True)
class Pair:
    """A picture and its sidecar as they lie there now.

    Attributes:
        document: The sidecar's bytes.
        stated: What they say.
        sha256: Of the picture's bytes, which were read and not believed.
    """

    document: bytes
    stated: Sidecar
    sha256: str

    @property
    def agrees(self) -> bool:
        """Whether the sidecar describes these very bytes, so that this is a pair that was published and not altered.

        Bytes that are said to be their own source were not shaded, whoever says so.
        """
        return self.stated.published.sha256 == self.sha256 != self.stated.source.sha256


@dataclass(frozen=True)
class FoundPair:
    """A pair, where it stands, and the publish folder above it."""

    path: Path
    pair: Pair
    root: Path

    @property
    def copy(self) -> Copy:
        """What the ledger keeps of it."""
        beside = hashlib.sha256(self.pair.document).hexdigest()
        return Copy(self.path, self.pair.sha256, beside, self.pair.stated.published.bytes)


def read_pair(picture: Path, root: Path, places: SidecarPlaces = BESIDE) -> Pair:
    """Read a published picture's sidecar and hash the picture, without following a link below ``root``.

    The picture may have any size: it is hashed piece by piece, after its sidecar was found to be one.

    Raises:
        SourceChanged: One of the two is missing, or changed while it was read.
        Refusal: The picture or a folder on the way is a link, or the picture is no regular file.
        Unreadable: The sidecar is none.
        Transient: It cannot be read now.
    """
    sidecar = places.find(picture, root)
    document = read_document(*sidecar)
    stated = parse_sidecar(document, sidecar.path)
    return Pair(document, stated, hash_inside(picture, root, stated.published.bytes))


def walk(root: Path, wanted: Callable[[str], bool], trouble: Trouble) -> Iterator[Path]:
    """Everything below ``root`` but links whose name is wanted, each folder's in the order of the names.

    Folders are entered without following links, so that no loop and no way out is walked, and to a depth that no
    person's folders have. Only wanted names are held in memory.

    Args:
        root: The folder; it may itself be a link, since a person named it.
        wanted: Whether a name is; asked of every name, also of folders, pipes and links.
        trouble: Told which folder could not be looked into, and why; the others are walked.
    """
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        try:
            with open_folder(folder, root) as descriptor, os.scandir(descriptor) as listing:
                names, folders = [], []
                for entry in listing:
                    if wanted(entry.name):
                        names.append(entry.name)
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.name)
        except OSError as error:
            trouble(from_os_error(error, folder))
            continue
        except PictureError as error:
            trouble(error)
            continue
        yield from (folder / name for name in sorted(names))
        if folders and len(folder.relative_to(root).parts) >= DEEPEST:
            trouble(Refusal("its folders are nested too deeply", path=folder, remedy="Name a folder further inside"))
            continue
        waiting += [folder / name for name in sorted(folders, reverse=True)]


def pictures_with_sidecars(root: Path, trouble: Trouble, places: SidecarPlaces = BESIDE) -> Iterator[Path]:
    """Everything below ``root`` where something has its sidecar's name; neither was opened yet."""
    for place in places.all:
        top = root if place is None else mirrored(place, root)
        if place is not None and _absent(top):
            continue
        for sidecar in walk(top, lambda name: name.endswith(SIDECAR_SUFFIX) and name != SIDECAR_SUFFIX, trouble):
            picture = root / sidecar.relative_to(top).with_name(sidecar.name.removesuffix(SIDECAR_SUFFIX))
            if os.path.lexists(picture) and places.find(picture, root).path == sidecar:
                yield picture


def _absent(folder: Path) -> bool:
    """Whether nothing has that name; what may not be looked at is not called absent."""
    try:
        folder.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def find_pair(
    root: Path,
    relative: PurePath,
    source_sha256: str,
    usable: Callable[[FoundPair], bool],
    alive: Callable[[], None] = lambda: None,
    places: SidecarPlaces = BESIDE,
) -> FoundPair | None:
    """The pair that was made from these source bytes and stands where it would be published; ``None``: there is none.

    Args:
        root: The publish folder.
        relative: The wanted place below it. The names that are given where it is taken are looked at too, some of
            which may be free.
        source_sha256: Of the source; a sidecar that names another source is somebody else's.
        usable: Whether a pair may be taken; asked last.
        alive: Called between pieces of a long read; what it raises ends it.
        places: Where sidecars stand.
    """
    folder, free = root / relative.parent, 0
    for name in islice(names_for(relative.name), MOST_LOOKED_AT):
        path = folder / name
        if not os.path.lexists(path):
            free += 1
            if free > FREE_NAMES:
                return None
            continue
        with suppress(PictureError):
            document = read_document(*places.find(path, root))
            stated = parse_sidecar(document)
            if stated.source.sha256 == source_sha256:
                found = FoundPair(
                    path, Pair(document, stated, hash_inside(path, root, stated.published.bytes, alive)), root
                )
                if found.pair.agrees and usable(found):
                    return found
    return None
