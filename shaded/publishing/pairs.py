"""Published pairs, a picture and the sidecar beside it, found and read in a folder where others may write too.

A publish folder is as hostile as an outbox: what has a picture's or a sidecar's name may be a link, a pipe or of any
size. Below the folder that a person named no link is followed, and nothing is held but the sidecar.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from shaded.errors import PictureError, Refusal, from_os_error
from shaded.outbox.scan import DEEPEST
from shaded.outbox.screening import hash_inside, open_folder
from shaded.publishing.naming import SIDECAR_SUFFIX
from shaded.publishing.sidecar import Sidecar, parse_sidecar, read_document, sidecar_path

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
        """Whether the sidecar describes these very bytes, so that this is a pair that was published and not altered."""
        return self.stated.published.sha256 == self.sha256


def read_pair(picture: Path, root: Path) -> Pair:
    """Read a published picture's sidecar and hash the picture, without following a link below ``root``.

    The picture may have any size: it is hashed piece by piece, after its sidecar was found to be one.

    Raises:
        SourceChanged: One of the two is missing, or changed while it was read.
        Refusal: The picture or a folder on the way is a link, or the picture is no regular file.
        Unreadable: The sidecar is none.
        Transient: It cannot be read now.
    """
    beside = sidecar_path(picture)
    document = read_document(beside, root)
    return Pair(document, parse_sidecar(document, beside), hash_inside(picture, root))


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


def pictures_with_sidecars(root: Path, trouble: Trouble) -> Iterator[Path]:
    """Everything below ``root`` beside which something has its sidecar's name; neither was opened yet."""
    for beside in walk(root, lambda name: name.endswith(SIDECAR_SUFFIX) and name != SIDECAR_SUFFIX, trouble):
        picture = beside.with_name(beside.name.removesuffix(SIDECAR_SUFFIX))
        if os.path.lexists(picture):
            yield picture
