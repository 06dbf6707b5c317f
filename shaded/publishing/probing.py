"""Size and kind of a picture from its header, before anything is decoded.

Each probe answers with a :class:`Probe`; an obstacle in it says, for a person, why the picture cannot be shaded. A file
that ends too early or contradicts itself raises ``ValueError`` (:class:`~shaded.publishing.walking.Cut` among them).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from shaded.publishing.formats import Format
from shaded.publishing.ifd import Directory, Header, read_directory, read_header
from shaded.publishing.remarks import UNKNOWN_CROP
from shaded.publishing.stills import still_facts
from shaded.publishing.walking import Cut, jpeg_scans, jpeg_segments, png_chunks, png_is_sound, riff_chunks

_ANIMATION = ("it is an animation", "Export one still picture of it as PNG or JPEG")
_PAGES = ("it holds several pages", "Save each page as a file of its own")
_CMYK = ("its colours are CMYK (for print)", "Convert it to RGB and save it again")
_RAW = ("it is a camera raw file", "Develop it in your raw converter and export a JPEG or TIFF")
_SCANS = ("it is stored in an absurd number of passes", "Open it in a picture editor and save it again")
_HDR = ("it is a high-dynamic-range picture", "Export a standard-range (SDR) version")
_MOST_PAGES = 64
#: Each scan of a progressive JPEG costs a pass over the whole picture and may have a few bytes only; libjpeg's own
#: scripts have ten, the finest that is of any use some dozens.
_MOST_SCANS = 100


#: The chunks of a PNG that say what it looks like; another one that is damaged is no reason to refuse the picture.
_PNG_LOOKS = frozenset({b"IHDR", b"PLTE", b"IDAT", b"tRNS", b"iCCP", b"cICP", b"sRGB", b"gAMA", b"cHRM"})


@dataclass(frozen=True)
class Probe:
    """What a header says.

    Attributes:
        width: In pixels, as stored.
        height: In pixels, as stored.
        obstacle: Why the picture cannot be shaded and what to do, or ``None``.
    """

    width: int
    height: int
    obstacle: tuple[str, str] | None = None


def probe(data: bytes, form: Format) -> Probe:
    """Read the header of ``data``, which :func:`~shaded.publishing.formats.sniff` has recognised as ``form``.

    Raises:
        ValueError: It is broken or cut off.
    """
    found = _PROBES[form](data)
    if found.obstacle is None and (found.width < 1 or found.height < 1):
        raise ValueError("the picture has no pixels")
    return found


def _jpeg(data: bytes) -> Probe:
    frame: Probe | None = None
    for marker, _, content in jpeg_segments(data):
        code = marker[0]
        if 0xC0 <= code <= 0xCF and code not in (0xC4, 0xC8, 0xCC):
            if len(content) < 6:
                raise Cut("the frame header is cut off")
            height, width = int.from_bytes(content[1:3], "big"), int.from_bytes(content[3:5], "big")
            obstacle = None
            if content[0] != 8:
                obstacle = (f"it is a {content[0]}-bit JPEG, which is hardly used", "Export a 16-bit PNG or TIFF")
            elif code in (0xC3, 0xC7, 0xCB, 0xCF):
                obstacle = ("it is a lossless JPEG, which is hardly used", "Export a PNG or TIFF")
            elif content[5] == 4:
                obstacle = _CMYK
            frame = Probe(width, height, obstacle)
    if frame is None:
        raise Cut("there is no frame header")
    scans = sum(1 for _ in islice(jpeg_scans(data), _MOST_SCANS + 1))
    return Probe(frame.width, frame.height, _SCANS) if scans > _MOST_SCANS else frame


def _png(data: bytes) -> Probe:
    found: Probe | None = None
    pixels = False
    for chunk in png_chunks(data):
        kind, _, content = chunk
        if kind in _PNG_LOOKS and not png_is_sound(data, chunk):
            raise ValueError(f"the check sum of a {kind.decode('ascii')} chunk does not fit")
        if found is None:
            if kind != b"IHDR" or len(content) != 13:
                raise ValueError("the header is missing")
            found = Probe(int.from_bytes(content[:4], "big"), int.from_bytes(content[4:8], "big"))
        elif kind == b"acTL" and int.from_bytes(content[:4], "big") > 1:
            found = Probe(found.width, found.height, _ANIMATION)
        elif kind == b"cICP" and len(content) == 4 and content[1] in (16, 18):
            found = Probe(found.width, found.height, _HDR)
        pixels = pixels or kind == b"IDAT"
    if found is None or not pixels:
        raise Cut("there are no pixels")
    return found


def _webp(data: bytes) -> Probe:
    found: Probe | None = None
    for kind, _, content in riff_chunks(data):
        if kind == b"VP8X" and len(content) >= 10:
            size = 1 + int.from_bytes(content[4:7], "little"), 1 + int.from_bytes(content[7:10], "little")
            found = Probe(*size, _ANIMATION if content[0] & 0x02 else None)
        elif kind == b"VP8 " and found is None:
            if content[3:6] != b"\x9d\x01\x2a" or len(content) < 10:
                raise ValueError("the frame header is damaged")
            width, height = int.from_bytes(content[6:8], "little"), int.from_bytes(content[8:10], "little")
            found = Probe(width & 0x3FFF, height & 0x3FFF)
        elif kind == b"VP8L" and found is None:
            if content[:1] != b"\x2f" or len(content) < 5:
                raise ValueError("the frame header is damaged")
            bits = int.from_bytes(content[1:5], "little")
            found = Probe((bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1)
    if found is None:
        raise Cut("there are no pixels")
    return found


def tiff_pages(data: bytes) -> tuple[Header, list[Directory]]:
    """The first two full-size pages of a TIFF; reduced copies (thumbnails, NewSubfileType bit 0) are passed over."""
    header = read_header(data)
    pages: list[Directory] = []
    seen: set[int] = set()
    at = header.first
    while at and at not in seen and len(seen) < _MOST_PAGES and len(pages) < 2:
        seen.add(at)
        page = read_directory(data, at, header)
        if not pages or not page.number(254, header.order) & 1:
            pages.append(page)
        at = page.following
    return header, pages


#: TIFF compression numbers whose decoders write no more than a strip has room for: none, CCITT, LZW, deflate, PackBits,
#: LZMA, Zstandard; and JPEG, which is looked into. A whole picture of another format may be a bomb of any size.
_BOUNDED = frozenset({1, 2, 3, 4, 5, 8, 32946, 32773, 34925, 50000})
_JPEG_INSIDE = 7
_MOST_SAMPLES = 16


def _tiff_obstacle(page: Directory, header: Header) -> tuple[str, str] | None:
    order = header.order
    photometric = page.number(262, order, -1)
    if 50706 in page.entries or photometric in (32803, 34892) or (page.number(254, order) & 1 and 330 in page.entries):
        return _RAW
    if photometric == 5:
        return _CMYK
    compression = page.number(259, order, 1)
    if compression not in (*_BOUNDED, _JPEG_INSIDE):
        return f"its compression (TIFF scheme {compression}) is not read here", "Save it with LZW or ZIP compression"
    if photometric == 6 and compression == _JPEG_INSIDE:
        photometric = 2
    if photometric not in (0, 1, 2, 3):
        return "its colour model is not gray, palette or RGB", "Convert it to RGB and save it again"
    return _samples_obstacle(page, header, photometric)


def _samples_obstacle(page: Directory, header: Header, photometric: int) -> tuple[str, str] | None:
    order = header.order
    bits = page.entries[258].integers(order) if 258 in page.entries else (1,)
    kinds = page.entries[339].integers(order) if 339 in page.entries else (1,)
    samples = page.number(277, order, 1)
    if samples > _MOST_SAMPLES:
        return f"it has {samples} channels", "Save it without the saved selections"
    if set(kinds) - {1, 4}:
        return "its pixels are not plain whole numbers (floating point or signed)", "Save it with 16 bits per channel"
    if len(set(bits)) != 1 or not (bits[0] in (8, 16) or bits[0] == 1 or (photometric == 3 and bits[0] in (2, 4))):
        return f"it has {bits[0] if bits else 0} bits per channel", "Save it with 8 or 16 bits per channel"
    return None


def _tiff(data: bytes) -> Probe:
    header, pages = tiff_pages(data)
    if not pages:
        raise Cut("there are no pixels")
    page = pages[0]
    if not {256, 257} <= page.entries.keys() or not page.entries.keys() & {273, 324}:
        raise Cut("it is not said where the pixels are")
    size = page.number(256, header.order), page.number(257, header.order)
    obstacle = _tiff_obstacle(page, header)
    if obstacle is not None:
        return Probe(*size, obstacle)
    if len(pages) > 1:
        return Probe(*size, _PAGES)
    for offsets, counts in ((273, 279), (324, 325)):
        if offsets in page.entries and counts in page.entries:
            places = page.entries[offsets].integers(header.order)
            sizes = page.entries[counts].integers(header.order)
            pieces = list(zip(places, sizes, strict=False))
            if any(at + length > len(data) for at, length in pieces):
                raise Cut("the pixels are cut off")
            if page.number(259, header.order, 1) == _JPEG_INSIDE:
                _check_jpegs(data, pieces, page, header)
    return Probe(*size)


def _check_jpegs(data: bytes, pieces: list[tuple[int, int]], page: Directory, header: Header) -> None:
    """Raise ``ValueError`` where a strip or tile that is a JPEG is larger than its place in the picture."""
    width = page.number(322, header.order) or page.number(256, header.order)
    height = page.number(323, header.order) or page.number(278, header.order) or page.number(257, header.order)
    for at, length in pieces:
        for marker, _, content in jpeg_segments(data[at : at + length]):
            if 0xC0 <= marker[0] <= 0xCF and marker[0] not in (0xC4, 0xC8, 0xCC):
                down, across = int.from_bytes(content[1:3], "big"), int.from_bytes(content[3:5], "big")
                if across > width + 15 or down > height + 15:
                    raise ValueError("a part is larger than its place in the picture")


def _still(data: bytes) -> Probe:
    facts = still_facts(data)
    obstacle = _ANIMATION if facts.animated else _HDR if facts.colour.is_hdr else None
    if obstacle is None and facts.frame is None:
        obstacle = UNKNOWN_CROP
    return Probe(facts.width, facts.height, obstacle)


_PROBES: dict[Format, Callable[[bytes], Probe]] = {
    "jpeg": _jpeg, "png": _png, "webp": _webp, "tiff": _tiff, "avif": _still, "heic": _still,
}  # fmt: skip
