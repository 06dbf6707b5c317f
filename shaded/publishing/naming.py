"""How a published file is called: as its source, so that the publish folder mirrors the outbox.

When another output format is set, the format's suffix is added to the whole name (``fox.png`` gives ``fox.png.webp``),
so that two sources never share one published name; a source that already has that suffix keeps its name. HEIC is only
read, so that ``fox.heic`` gives ``fox.heic.jpg`` without one. The rule looks at names only, never at content, and is
injective for each output format (a test tries to break it).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import PurePath

from shaded.errors import Refusal
from shaded.publishing.formats import SUFFIX, SUFFIXES, Format
from shaded.settings import OutputFormat

SIDECAR_SUFFIX = ".shaded.json"
#: Stands where a source has no picture suffix of its own, so that its name cannot meet another's.
_UNNAMED = ".shaded"
LONGEST_NAME = 255
_MOST_NAMES = 10_000


def _suffix(name: str) -> str:
    return PurePath(name).suffix.casefold()


def format_of(name: str) -> Format | None:
    """The format that a name's suffix promises, if any."""
    return SUFFIXES.get(_suffix(name))


def _was_heic(name: str) -> bool:
    """Whether a name promises HEIC, which is published as JPEG, or is one that such a file would get."""
    while name.endswith(SUFFIX["jpeg"]):
        name = name.removesuffix(SUFFIX["jpeg"])
    return format_of(name) == "heic"


def published_name(name: str, output_format: OutputFormat) -> str:
    """The published file's name for a source's name.

    Raises:
        Refusal: The sidecar's name would be longer than a file system allows.
    """
    if output_format == "same":
        result = name + SUFFIX["jpeg"] if _was_heic(name) else name
    else:
        stem = name[: len(name) - len(_suffix(name))]
        ambiguous = format_of(stem) is not None or _suffix(stem) == _UNNAMED
        if format_of(name) == output_format and not ambiguous:
            result = name
        elif format_of(name) is not None:
            result = name + SUFFIX[output_format]
        else:
            result = name + _UNNAMED + SUFFIX[output_format]
    check_length(result)
    return result


def sidecar_name(published: str) -> str:
    """The name of the sidecar that stands beside a published file."""
    return published + SIDECAR_SUFFIX


def check_length(published: str) -> None:
    """Refuse a name whose sidecar's name is longer than file systems allow (255 bytes)."""
    length = len(os.fsencode(sidecar_name(published)))
    if length > LONGEST_NAME:
        spare = LONGEST_NAME - length
        raise Refusal(
            f"its name is too long: {-spare} bytes more than the published file's sidecar can have",
            path=published, remedy="Give the picture a shorter name",
        )  # fmt: skip


def names_for(published: str) -> Iterator[str]:
    """The names that a picture may get, in the order in which they are tried."""
    yield published
    for number in range(1, _MOST_NAMES):
        yield numbered(published, number)


def numbered(published: str, number: int) -> str:
    """Another name, when the first is taken by somebody's file: ``fox (shaded).png``, ``fox (shaded 2).png``.

    A name that would be too long for its sidecar loses its last characters before the number.
    """
    suffix = PurePath(published).suffix
    stem = published[: len(published) - len(suffix)] if suffix else published
    ending = f" (shaded{f' {number}' if number > 1 else ''}){suffix}"
    while stem and len(os.fsencode(sidecar_name(stem + ending))) > LONGEST_NAME:
        stem = stem[:-1]
    return stem + ending
