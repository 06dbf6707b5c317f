"""Tags of a TIFF that are cut off, or were never written. Programs write texts and profiles behind the pixels."""

from __future__ import annotations

from shaded.publishing import exif_tags as tags
from shaded.publishing.holes.profiles import is_sound
from shaded.publishing.holes.runs import Hole, is_lost
from shaded.publishing.ifd import Directory, Header, read_directory
from shaded.publishing.walking import Cut

_XMP, _IPTC, _PHOTOSHOP, _PROFILE = 700, 33723, 34377, 34675
#: Colours beside a profile: the curve, white and primaries, the colour table.
_COLOURS = frozenset({301, 318, 319, 320})
_TEXTS = tags.TEXTS | tags.WIDE_TEXTS
_WANTED = frozenset({_XMP, _IPTC, _PHOTOSHOP, _PROFILE}) | _COLOURS | _TEXTS
_SHORTEST_TAIL = 64


def insist_on_tags(data: bytes, page: Directory, header: Header) -> None:
    """Check the tags that say what a page looks like and what it says about itself.

    Raises:
        Hole: One holds only zeros that are a part of more, or the profile breaks off in zeros to the end of the file.
        Cut: The file ends before one, or inside of it.
    """
    at = page.number(tags.EXIF_POINTER, header.order)
    try:
        photo = read_directory(data, at, header, forgiving=True) if at else Directory()
    except ValueError as error:
        if at + 2 > len(data):
            raise Cut("the EXIF data are cut off") from error
        photo = Directory()
    for directory in (page, photo):
        if directory.outside & _WANTED:
            raise Cut("what it says about itself is cut off")
        for tag in directory.entries.keys() & (_WANTED - _COLOURS):
            start = directory.places[tag]
            if is_lost(data, start, start + len(directory.entries[tag].raw)):
                raise Hole
    profile = page.entries.get(_PROFILE)
    if profile is not None and not is_sound(profile.raw) and data.endswith(bytes(_SHORTEST_TAIL)):
        raise Hole
