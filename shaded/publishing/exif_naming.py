"""Which tags of EXIF may name somebody without being understood: for whoever else the default creator would be put on.

Also what a tag that can be published looks like; another shape is not understood. (CIPA DC-008-2023, "Exif 3.0", 4.6.)
"""

from __future__ import annotations

from shaded.publishing import exif_tags as tags
from shaded.publishing.claims import credentials_may_name, may_hold_words
from shaded.publishing.exif_texts import settled, text_of, trimmed
from shaded.publishing.holes.runs import is_lost
from shaded.publishing.ifd import ByteOrder, Directory, Entry

_INTEGERS, _FRACTIONS = frozenset({1, 3, 4, 6, 8, 9}), frozenset({5, 10})
#: Types of texts in bytes, and of those in UTF-16.
TEXT_TYPES, _WIDE_TYPES = frozenset({1, 2, 7, 129}), frozenset({1, 2, 3, 7})
#: Tags in which somebody may be named; one that is there and cannot be read is not the same as one that is absent.
NAMING = frozenset({
    tags.ARTIST, tags.COPYRIGHT, tags.XP_AUTHOR, tags.XP_TITLE, tags.IMAGE_TITLE, tags.PHOTOGRAPHER, tags.EXIF_POINTER,
})  # fmt: skip
NUMBERS = tags.INTEGERS | tags.FRACTIONS | tags.CODES | tags.OF_FULL_SIZE | tags.GEOTIFF | {tags.ORIENTATION}
#: Texts may begin with a zero, as UTF-16 does.
_EMPTIED = 4


def fits(tag: int, entry: Entry) -> bool:
    """Whether a tag is one that can be published and looks like itself."""
    if tag in tags.TEXTS:
        return entry.type in TEXT_TYPES
    if tag in tags.WIDE_TEXTS:
        return entry.type in _WIDE_TYPES
    if tag == tags.ORIENTATION:  # written as it should be, however it was written
        return True
    if tag in tags.CODES:
        return len(entry.raw) <= 4
    fractional = entry.type in _FRACTIONS
    if tag in tags.FRACTIONS or (tag in tags.OF_FULL_SIZE and fractional):
        return fractional and entry.count == tags.COUNTS.get(tag, 1)
    whole = tag in tags.INTEGERS or tag in tags.OF_FULL_SIZE
    return whole and entry.type in _INTEGERS and entry.count <= tags.COUNTS.get(tag, 1)


def odd(data: bytes, directory: Directory, order: ByteOrder) -> frozenset[int]:
    """The tags that may name somebody and are there in a shape that is none of theirs, or with zeros in their place."""
    return frozenset(
        tag
        for tag, entry in directory.entries.items()
        if tag in NAMING - {tags.EXIF_POINTER}
        and (not fits(tag, entry) or _is_emptied(data, directory.places[tag], tag, entry, order))
    )


def _is_emptied(data: bytes, start: int, tag: int, entry: Entry, order: ByteOrder) -> bool:
    """Whether zeros stand in the place of a text, or of its beginning."""
    behind = len(entry.raw) - len(entry.raw.lstrip(b"\0"))
    if behind >= _EMPTIED and any(entry.raw) and not text_of(tag, settled(tag, entry), order):
        return True
    return is_lost(data, start, start + len(entry.raw))


def _is_understood(tag: int, entry: Entry) -> bool:
    """Whether a tag is read, or cannot name a maker or an owner."""
    if tag == tags.CREDENTIALS:
        return not credentials_may_name(entry.raw)
    if tag in tags.SILENT or tag == tags.CAMERA_OWNER:
        return True
    if not fits(tag, entry):
        return not may_hold_words(entry.raw)
    if tag not in tags.TEXTS and tag not in tags.WIDE_TEXTS:
        return True
    whole = settled(tag, entry)
    return not may_hold_words(whole.raw[len(trimmed(tag, whole).raw) :])


def unknown_in(directory: Directory, read: frozenset[int] = frozenset()) -> list[str]:
    """The tags, by name, that are not understood and may name somebody; ``read`` are those that the caller reads."""
    found = [tag for tag, entry in directory.entries.items() if not _is_understood(tag, entry)]
    found += directory.lost - tags.SILENT - NUMBERS - NAMING
    return [f"EXIF's {tags.name_of(tag)}" for tag in found if tag not in read]


def unread_in(directory: Directory, known: frozenset[int], what: str) -> list[str]:
    """The tags, by name, of a directory of which nothing but what is ``known`` may be there, that may name somebody."""
    return [
        f"EXIF's {tags.name_of(tag)} of {what}"
        for tag, entry in directory.entries.items()
        if tag not in known and may_hold_words(entry.raw)
    ]
