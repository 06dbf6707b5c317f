"""What AVIF and HEIC files say about the picture that they show, before it is decoded."""

from __future__ import annotations

from dataclasses import dataclass

from shaded.publishing.av1 import stated_colour
from shaded.publishing.boxes import Item, Items, read_items
from shaded.publishing.colour import Colour
from shaded.publishing.formats import brands
from shaded.publishing.framing import Frame, framed
from shaded.publishing.remarks import FURTHER_PICTURES, NO_CREDENTIALS, fewer_bits
from shaded.publishing.walking import Cut, iso_places

_SEQUENCES = frozenset({b"avis", b"msf1", b"hevc", b"hevx", b"hevm", b"hevs"})
#: A grid's tiles reach beyond its edge, and transparency is a picture of its own; more than this is no honest file.
_MOST_TIMES, _SPARE = 4, 1 << 20
#: What the C2PA specification (A.5) calls a box with content credentials.
CREDENTIALS = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")


@dataclass(frozen=True)
class StillFacts:
    """What the boxes say.

    Attributes:
        width: In pixels, before it is cropped and turned.
        height: The same.
        bits: Per channel.
        colour: The colour space by its H.273 numbers, as far as it is stated.
        animated: Whether it is a sequence of pictures.
        further: Whether it accompanies the picture with others that are no thumbnails: depth, gain maps, a series.
        credentials: Whether it has content credentials (C2PA).
        frame: What of it is shown, and how it is turned; ``None`` where a crop is not understood.
    """

    width: int
    height: int
    bits: int
    colour: Colour
    animated: bool
    further: bool
    credentials: bool
    frame: Frame | None

    @property
    def is_cropped(self) -> bool:
        """Whether its boxes crop it."""
        return self.frame is None or self.frame.crops((self.width, self.height))

    @property
    def remarks(self) -> tuple[str, ...]:
        """What will be missing from the published file, for a person."""
        found = [fewer_bits(self.bits)] if self.bits > 8 else []
        found += [FURTHER_PICTURES] if self.further else []
        return (*found, *([NO_CREDENTIALS] if self.credentials else []))


def _bits(coded: Item | None) -> int:
    av1 = coded.stated(b"av1C") if coded is not None else None
    hevc = coded.stated(b"hvcC") if coded is not None else None
    if av1 is not None and len(av1) > 2 and av1[2] & 0x40:
        return 12 if av1[2] & 0x20 else 10
    return 8 + (hevc[17] & 7) if hevc is not None and len(hevc) > 17 else 8


def _colour(data: bytes, shown: Item, coded: Item | None) -> Colour:
    """The box of the picture, or of its first tile; else what an AV1 stream says, as libavif has it.

    A HEIC without the box is sRGB (MIAF, ISO/IEC 23000-22, 7.3.6.4), and so is whatever is left open.
    """
    for item in (shown, coded):
        for kind, content in item.properties if item is not None else ():
            if kind == b"colr" and content[:4] == b"nclx" and len(content) >= 10:
                return Colour(int.from_bytes(content[4:6], "big"), int.from_bytes(content[6:8], "big"))
    if coded is None or coded.kind != b"av01" or not coded.extents:
        return Colour()
    start, end = coded.extents[0]
    return Colour(*stated_colour(data[start : min(end, start + 4096)]))


def _has_further(items: Items) -> bool:
    """Whether there are coded pictures besides the one that is shown, its tiles, its transparency and thumbnails."""
    if any(not items.is_alpha(number) for number in items.auxiliary()):
        return True
    inside = {number for kind, _, others in items.references if kind == b"dimg" for number in others}
    beside = {at for kind, at, _ in items.references if kind in (b"thmb", b"auxl")}
    return any(
        number not in (items.primary, *inside, *beside) and (item.size != (0, 0) or item.kind == b"tmap")
        for number, item in items.all.items()
    )


def still_facts(data: bytes) -> StillFacts:
    """Read the boxes of an AVIF or HEIC.

    Raises:
        ValueError: They are cut off, or the parts of the picture are far larger than itself.
    """
    items = read_items(data)
    boxes = [(kind, data[start : min(start + 16, end)]) for kind, start, end in iso_places(data)]
    movie = any(kind == b"moov" for kind, _ in boxes)
    credentials = (b"uuid", CREDENTIALS) in boxes
    found = brands(data)
    animated = found[:1] != () and (found[0] in _SEQUENCES or (movie and bool(_SEQUENCES.intersection(found))))
    shown = items.shown
    if shown is None and not animated:
        raise Cut("there is no picture in it")
    if shown is None:
        return StillFacts(0, 0, 8, Colour(), animated, further=False, credentials=credentials, frame=framed(items))
    parts = items.coded()
    first = parts[0] if parts else None
    width, height = shown.size
    largest = sum(part.size[0] * part.size[1] for part in parts)
    if largest > _MOST_TIMES * width * height + _SPARE:
        raise ValueError("its parts are far larger than the picture")
    colour, further = _colour(data, shown, first), _has_further(items)
    return StillFacts(width, height, _bits(first), colour, animated, further, credentials, framed(items))
