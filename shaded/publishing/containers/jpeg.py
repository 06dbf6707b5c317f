"""JPEG through libjpeg-turbo: the source's quantisation, subsampling and scan order are used again."""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
from PIL import JpegImagePlugin

from shaded.publishing import exif, iptc, remarks
from shaded.publishing.colour import ADOBE_GAMMA, ADOBE_RGB, Colour
from shaded.publishing.containers.jpeg_strict import insist_on_whole
from shaded.publishing.containers.jpeg_unknown import unknown_segments
from shaded.publishing.containers.pixels import Planes, split
from shaded.publishing.exif_texts import decode_text
from shaded.publishing.ifd import Directory
from shaded.publishing.metadata import Carried
from shaded.publishing.picture import Container, Kind, Picture, arranged

_QUALITY = 92
_EXIF = b"Exif\0\0"
#: How EXIF segments begin; the byte after the zero varies among writers.
_EXIF_BEGIN = re.compile(rb"exif\0.", re.IGNORECASE | re.DOTALL)
_TIFF_BEGIN = re.compile(rb"II\*\0|MM\0\*|II\0\*|MM\*\0", re.IGNORECASE)
_XMP = re.compile(rb".{0,20}ns\.adobe\.com/xap/1\.0/\0?", re.DOTALL)
_EXTENDED = b"http://ns.adobe.com/xmp/extension/\0"
_GUID = 32
#: No segment has such a name: it was lost, whatever it was.
_EMPTIED = bytes(4)
_LARGEST_EXTENDED = 16_000_000
_MARK_PROFILE = b"ICC_PROFILE\0"
_PROFILE_HEAD = len(_MARK_PROFILE) + 2
#: EXIF 2.32, 4.6.5 and 4.6.6; the value 2 is a habit of older cameras.
_INTEROPERABILITY_INDEX, _COLOUR_SPACE, _ADOBE_RGB = 1, 40961, 2


def _subsampling(layers: list[tuple[int, int, int, int]]) -> int:
    """The class as Pillow numbers it; an unusual one becomes the next finer: 0 is 4:4:4, 1 is 4:2:2, 2 is 4:2:0."""
    if len(layers) < 3:
        return 0
    across, down = layers[0][1] / layers[1][1], layers[0][2] / layers[1][2]
    if across < 2:
        return 0
    return 2 if down >= 2 else 1


def _remarks(segments: list[tuple[str, bytes]]) -> tuple[str, ...]:
    """What will be missing from the published file, for a person."""
    found = []
    if any(name == "APP2" and content.startswith(b"MPF\0") for name, content in segments):
        found.append(remarks.FURTHER_PICTURES)
    if any(name == "APP11" for name, _ in segments):
        found.append(remarks.NO_CREDENTIALS)
    return tuple(found)


def _exif_blocks(segments: list[bytes]) -> list[bytes]:
    """The EXIF blocks; a segment without a TIFF header of its own continues the one before it."""
    found: list[bytes] = []
    for content in segments:
        if _EXIF_BEGIN.match(content) is None:
            continue
        if found and _TIFF_BEGIN.search(content, 0, 32) is None:
            found[-1] += content[len(_EXIF) :]
        else:
            found.append(content)
    return [block for block in map(exif.block_of, found) if block]


def _extended_packets(segments: list[bytes]) -> tuple[list[bytes], bool]:
    """The extended XMP packets, put together from their portions, and whether none is missing.

    A portion has GUID, full length, offset and content (XMP part 3).
    """
    portions: dict[bytes, dict[int, bytes]] = {}
    lengths: dict[bytes, int] = {}
    complete = True
    for content in segments:
        head = len(_EXTENDED) + _GUID
        if content.startswith(_EXTENDED) and len(content) > head + 8:
            full, at = (int.from_bytes(content[head + n : head + n + 4], "big") for n in (0, 4))
            portions.setdefault(content[len(_EXTENDED) : head], {})[at] = content[head + 8 :]
            lengths[content[len(_EXTENDED) : head]] = full
    packets = []
    for guid, parts in portions.items():
        packet = bytearray()
        for at in sorted(parts):
            if at == len(packet):
                packet += parts[at]
        complete = complete and len(packet) >= lengths[guid]
        packets.append(bytes(packet[:_LARGEST_EXTENDED]))
    return packets, complete


def _found(segments: list[tuple[str, bytes]]) -> dict[str, Any]:
    """The metadata of the marker segments, as the container's fields."""
    ours = [content for name, content in segments if name == "APP1"]
    blocks: list[tuple[Kind, bytes]] = [("exif", block) for block in _exif_blocks(ours)]
    blocks += [("xmp", content[found.end() :]) for content in ours if (found := _XMP.match(content)) is not None]
    extended, complete = _extended_packets(ours)
    blocks += [("xmp", packet) for packet in extended]
    photoshop = iptc.photoshop_block([content for name, content in segments if name == "APP13"])
    more, whole = iptc.blocks_of(photoshop)
    blocks += [(kind, block) for kind, block in more if kind != "icc"]
    profile = next((block for kind, block in more if kind == "icc"), None)
    emptied = any(content.startswith(_EMPTIED) for _, content in segments)
    unreadable = [
        name
        for name, lost in (
            ("Photoshop resources", not whole), ("extended XMP packet", not complete), ("metadata segment", emptied),
        )
        if lost
    ]  # fmt: skip
    comments = [content for name, content in segments if name == "COM" and content]
    return {
        **arranged(blocks),
        "icc": profile,
        "texts": tuple(("Comment", decode_text(content)) for content in reversed(comments[:-1])),
        "comment": comments[-1] if comments else None,
        "unreadable": tuple(unreadable),
        "unknown": tuple(iptc.unknown_resources(photoshop)),
    }


def _profile(segments: list[tuple[str, bytes]]) -> tuple[bytes | None, tuple[str, ...]]:
    """The ICC profile of all its segments, as a forgiving reader puts them together; and what a person is to know.

    They are numbered, from 0 as well as from 1, and may stand in any order. Where numbers are wrong, the size at the
    beginning of the profile tells whether they are complete. (ICC.1:2022, annex B.4 and 7.2.2.)
    """
    pieces = [content for name, content in segments if name == "APP2" and content.startswith(_MARK_PROFILE)]
    pieces = [piece for piece in pieces if len(piece) > _PROFILE_HEAD]
    if not pieces:
        return None, ()
    numbered = {piece[12]: piece[_PROFILE_HEAD:] for piece in reversed(pieces)}
    in_order = b"".join(numbered[number] for number in sorted(numbered))
    as_found = b"".join(piece[_PROFILE_HEAD:] for piece in pieces)
    if len(numbered) == pieces[0][13] == max(numbered) - min(numbered) + 1 and min(numbered) in (0, 1):
        return in_order, ()
    for joined in (in_order, as_found):
        if int.from_bytes(joined[:4], "big") == len(joined):
            return joined, ()
    return None, ("The colour profile is incomplete and was left out.",)


def _stated_colour(block: bytes) -> Colour | None:
    """Adobe RGB, as a camera says it without a profile (DCF 2.0, "option file"); else nothing that is to be kept."""
    try:
        tree = exif.parse(block)
    except ValueError:
        return None
    index = tree.interoperability.get(_INTEROPERABILITY_INDEX)
    named = index is not None and index.raw.startswith(b"R03")
    adobe = named or Directory(tree.photo).number(_COLOUR_SPACE, tree.order) == _ADOBE_RGB
    return Colour(chromaticities=ADOBE_RGB, gamma=ADOBE_GAMMA) if adobe else None


def _dpi(info: dict[str | tuple[int, int], object]) -> tuple[float, float] | None:
    density = info.get("dpi")
    if not isinstance(density, tuple) or min(density) <= 0:
        return None
    return float(density[0]), float(density[1])


def decode(data: bytes) -> Picture:
    """The first picture of the file; ``mode`` is ``L`` or ``RGB``."""
    with JpegImagePlugin.JpegImageFile(io.BytesIO(data)) as image:
        image.load()
        pixels = np.array(image)
        insist_on_whole(data, pixels)
        colour, alpha = split(pixels)
        layers: list[tuple[int, int, int, int]] = image.layer
        tables = [tuple(image.quantization[layer[3]]) for layer in layers]
        while len(tables) > 1 and tables[-1] == tables[-2]:
            tables.pop()
        segments = list(image.applist)
        icc, lacking = _profile(segments)
        found = _found(segments)
        found["icc"] = icc or found["icc"]
        found["unknown"] = (*unknown_segments(data), *found["unknown"])
        block = found.get("exif")
        container = Container(
            "jpeg",
            image.mode,
            colour=_stated_colour(block) if block and found["icc"] is None else None,
            **found,
            dpi=_dpi(image.info),
            jpeg_tables=tuple(tables),
            jpeg_subsampling=_subsampling(layers),
            jpeg_progressive=bool(image.info.get("progressive")),
            jpeg_rgb=len(layers) == 3 and image.info.get("adobe_transform") == 0,
            warnings=(*lacking, *_remarks(segments)),
        )
    return Picture(colour, alpha, container)


def encode(planes: Planes, source: Container, carried: Carried, quality: int | None) -> bytes:
    """8-bit gray or RGB without alpha.

    ``quality`` (1 to 100) replaces the source's own tables; a source of another format gets 92 and full chroma.
    """
    options: dict[str, object] = {"quality": quality or _QUALITY, "subsampling": source.jpeg_subsampling or 0}
    if quality is None and source.jpeg_tables is not None:
        options["qtables"] = [list(table) for table in source.jpeg_tables]
        del options["quality"]
    if source.dpi is not None and max(source.dpi) < 65535:
        options["dpi"] = source.dpi
    block = carried.exif_block
    if block is not None:
        options["exif"] = _EXIF + block
    if carried.iptc:
        options["extra"] = iptc.app13(carried.iptc)
    image = planes.image()
    plain = source.jpeg_rgb and image.mode == "RGB"
    out = io.BytesIO()
    image.save(
        out, "JPEG", optimize=True, progressive=source.jpeg_progressive, keep_rgb=plain,
        icc_profile=carried.icc, xmp=carried.xmp, comment=carried.comment or b"", **options,
    )  # fmt: skip
    return out.getvalue()
