"""Files that carry given metadata blocks, one way for each container."""

from __future__ import annotations

import io
import struct
import zlib

import tifffile

from shaded.publishing import exif, iptc
from shaded.publishing.ifd import Entry, read_directory, read_header, write_directory
from shaded.publishing.walking import png_chunk, png_chunks
from tests.publishing import colours
from tests.publishing.isofile import HEIC, Part, assembled, imir, irot, part_of
from tests.publishing.samples import saved, smooth

FORMATS = ("jpeg", "png", "webp", "tiff", "avif")
SOURCES = (*FORMATS, "heic")
PIXELS = smooth(20, 30)


def jpeg(*segments, comment=None):
    """A JPEG with these marker segments: number of the APP marker and content."""
    data = saved(PIXELS, "JPEG", **({} if comment is None else {"comment": comment}))
    added = b"".join(
        b"\xff" + bytes([0xE0 + number]) + (len(content) + 2).to_bytes(2, "big") + content
        for number, content in segments
    )
    return data[:20] + added + data[20:]


def png(*chunks, after=()):
    """A PNG with these chunks before its pixels, and ``after`` behind them."""
    data = saved(PIXELS, "PNG")
    out = bytearray(data[:8])
    for part in png_chunks(data):
        if part.kind == b"IEND":
            out += b"".join(png_chunk(kind, content) for kind, content in after)
        out += png_chunk(part.kind, part.content)
        if part.kind == b"IHDR":
            out += b"".join(png_chunk(kind, content) for kind, content in chunks)
    return bytes(out)


def webp(*chunks, flags=0x0C):
    """A WebP with these chunks behind its pixels, announced by the flags of its header (EXIF and XMP)."""
    plain = saved(PIXELS, "WEBP", lossless=True)[12:]
    header = bytes([flags, 0, 0, 0]) + (29).to_bytes(3, "little") + (19).to_bytes(3, "little")
    body = b"WEBPVP8X" + (10).to_bytes(4, "little") + header + plain
    for kind, content in chunks:
        body += kind + len(content).to_bytes(4, "little") + content + b"\0" * (len(content) & 1)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def tiff(entries, tree=None, order="<"):
    """A TIFF with these entries in its directory, and with the branches of an EXIF tree."""
    out = io.BytesIO()
    tifffile.imwrite(out, PIXELS, photometric="rgb", metadata=None, software=False, byteorder=order)
    data = out.getvalue()
    header = read_header(data)
    tree = tree or exif.Exif(order)
    start = len(data) + (len(data) & 1)
    main = {**entries, **tree.main, **exif.write_tree(tree, 0)[1], **read_directory(data, header.first, header).entries}
    branches, pointers = exif.write_tree(tree, start + len(write_directory(main, start, order)))
    directory = write_directory({**main, **pointers}, start, order)
    return data[:4] + struct.pack(f"{order}I", start) + data[8:].ljust(start - 8, b"\0") + directory + branches


#: The property boxes that say each EXIF orientation.
TURNS = {
    1: (), 2: (imir(1),), 3: (irot(2),), 4: (imir(0),), 5: (irot(1), imir(0)), 6: (irot(3),), 7: (irot(1), imir(1)),
    8: (irot(1),),
}  # fmt: skip
_AVIF = saved(PIXELS, "AVIF", speed=10)
_HEIC = colours.heic(PIXELS)


def _still(coded, brands, block, packet, orientation):
    parts = [part_of(coded, *TURNS[orientation])]
    if block is not None:
        parts.append(Part(b"Exif", bytes(4) + block, (), ((b"cdsc", (1,)),)))
    if packet is not None:
        parts.append(Part(b"mime", packet, (), ((b"cdsc", (1,)),)))
    return assembled(parts, brands=brands)


def avif(block=None, packet=None, orientation=1):
    """An AVIF with an EXIF block and an XMP packet as they are; the orientation is the container's own."""
    return _still(_AVIF, (b"avif", b"mif1", b"avif", b"miaf"), block, packet, orientation)


def heic(block=None, packet=None, orientation=1):
    """A HEIC with the same."""
    return _still(_HEIC, HEIC, block, packet, orientation)


def blocks_of(block):
    """The parts of an EXIF block as they lie there, without anything left out: main entries and raw branches."""
    header = read_header(block)
    main = dict(read_directory(block, header.first, header).entries)
    branches = {}
    for tag in (34665, 34853):
        if tag in main:
            branches[tag] = dict(read_directory(block, main.pop(tag).integers(header.order)[0], header).entries)
    return header.order, main, branches


def with_exif(form, block):
    """A file of a format with an EXIF block (a TIFF: with the block's directories as its own)."""
    if form == "jpeg":
        return jpeg((1, b"Exif\0\0" + block))
    if form == "png":
        return png((b"eXIf", block))
    if form == "webp":
        return webp((b"EXIF", block))
    if form in ("avif", "heic"):
        return {"avif": avif, "heic": heic}[form](block)
    order, main, branches = blocks_of(block)
    photo = branches.get(34665, {})
    photo.pop(40965, None)
    return tiff({}, exif.Exif(order, main, photo, branches.get(34853, {})), order)


def with_xmp(form, packet):
    """A file of a format with an XMP packet."""
    if form == "jpeg":
        return jpeg((1, b"http://ns.adobe.com/xap/1.0/\0" + packet))
    if form == "png":
        return png((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet))
    if form == "webp":
        return webp((b"XMP ", packet))
    if form in ("avif", "heic"):
        return {"avif": avif, "heic": heic}[form](packet=packet)
    return tiff({700: Entry(1, len(packet), packet)})


def with_iptc(form, records):
    """A file of a format with IPTC records; WebP and AVIF have no place for them."""
    if form == "jpeg":
        return jpeg((13, iptc.app13(records)[4:]))
    if form == "png":
        profile = f"\niptc\n{len(records):8}\n{records.hex()}\n".encode()
        return png((b"zTXt", b"Raw profile type iptc\0\0" + zlib.compress(profile)))
    return tiff({33723: Entry(7, len(records), records)})


def stored_texts(data):
    """The file, and behind it everything that it holds compressed: a PNG's texts and profile."""
    out = bytearray(data)
    if data.startswith(b"\x89PNG"):
        for part in png_chunks(data):
            if part.kind in (b"zTXt", b"iCCP"):
                out += zlib.decompress(part.content.split(b"\0", 1)[1][1:])
    return bytes(out)
