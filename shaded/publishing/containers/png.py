"""PNG: chunks are walked and written here, pixels are compressed by Pillow (8 bits) or imagecodecs (16 bits).

Palette, 1-bit and key-colour pictures come out in a mode that holds every colour: L, LA, RGB or RGBA.
(PNG, third edition.)
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import PngImagePlugin

from shaded.publishing import texts
from shaded.publishing.claims import credentials_may_name, may_hold_words
from shaded.publishing.containers.pixels import Planes, mode_name, split
from shaded.publishing.containers.png_colour import read_colour
from shaded.publishing.exif import block_of
from shaded.publishing.metadata import Carried
from shaded.publishing.picture import Container, Kind, Picture, Pixels, arranged
from shaded.publishing.remarks import NO_CREDENTIALS
from shaded.publishing.walking import PNG_SIGNATURE, png_chunk, png_chunks, png_is_sound

_PIXEL_CHUNKS = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
#: Chunks on colour, and how many bytes each has: a longer one holds something else.
_COLOUR_CHUNKS = {b"cICP": 4, b"mDCV": 24, b"cLLI": 8, b"gAMA": 4, b"cHRM": 32, b"sRGB": 1}
#: The registered chunk, and as programs wrote it before that.
_EXIF_CHUNKS = (b"eXIf", b"exIf")
#: Chunks that name nobody: pixels, colour, time, size, animation, and what programs note for themselves.
_SILENT_CHUNKS = frozenset({
    *_PIXEL_CHUNKS, b"tRNS", b"iCCP", b"bKGD", b"hIST", b"pHYs", b"sBIT", b"sPLT", b"tIME", b"oFFs", b"pCAL", b"sCAL",
    b"sTER", b"gIFg", b"acTL", b"fcTL", b"fdAT", b"vpAg", b"caNv", b"orNT", b"npTc", b"npOl", b"npLb", b"CgBI", b"iDOT",
    b"prVW", b"mkBF", b"mkTS", b"mkBS", b"mkBT", b"cmOD", b"cpIp", b"dSIG",
})  # fmt: skip
_XMP_KEYWORD = b"XML:com.adobe.xmp"
_CREDENTIALS = b"caBX"
_INCHES_PER_METRE = 0.0254
#: Higher levels take up to five times as long for a percent less, on shaded pictures.
_COMPRESSION = 5


def _dpi(content: bytes) -> tuple[float, float] | None:
    if len(content) != 9 or content[8] != 1:
        return None
    across, down = struct.unpack(">II", content[:8])
    return (across * _INCHES_PER_METRE, down * _INCHES_PER_METRE) if across and down else None


def _key_alpha(samples: Pixels, key: tuple[int, ...], depth: int) -> Pixels:
    """Alpha of a picture with one transparent colour: 0 where all channels have it, opaque elsewhere."""
    scale = 255 // ((1 << depth) - 1) if depth < 8 else 1
    channels = samples if samples.ndim == 3 else samples[..., None]
    hit = np.all(channels == np.array(key, dtype=np.int64) * scale, axis=2)
    return cast(Pixels, np.where(hit, 0, np.iinfo(samples.dtype).max).astype(samples.dtype))


def _decode_palette(data: bytes, *, coloured: bool) -> Pixels:
    """A palette picture in the smallest mode that has its colours: gray only where no colour profile says otherwise."""
    with PngImagePlugin.PngImageFile(io.BytesIO(data)) as image:
        image.load()
        see_through = "transparency" in image.info
        array = np.array(image.convert("RGBA" if see_through else "RGB"))
    opaque = bool((array[..., 3] == 255).all()) if see_through else True
    gray = not coloured and bool((array[..., 0] == array[..., 1]).all() and (array[..., 1] == array[..., 2]).all())
    wanted = ([0] if gray else [0, 1, 2]) + ([] if opaque else [3])
    return np.ascontiguousarray(array[..., wanted])


def _decode_samples(data: bytes, depth: int) -> NDArray[np.uint8] | NDArray[np.uint16]:
    if depth == 16:
        import imagecodecs  # noqa: PLC0415 - large, and only 16-bit pictures need it

        return cast("NDArray[np.uint16]", imagecodecs.png_decode(data))
    with PngImagePlugin.PngImageFile(io.BytesIO(data)) as image:
        image.load()
        return np.array(image.convert("L") if image.mode == "1" else image)


def _decode_pixels(chunks: dict[bytes, bytes], data: bytes) -> tuple[Pixels, str]:
    """Interleaved samples, and the stored mode's name."""
    depth, kind = chunks[b"IHDR"][8], chunks[b"IHDR"][9]
    if kind == 3:
        return _decode_palette(data, coloured=b"iCCP" in chunks), "P"
    samples = _decode_samples(data, depth)
    stored = "1" if depth == 1 else mode_name(1 if samples.ndim == 2 else samples.shape[2], wide=depth == 16)
    key = chunks.get(b"tRNS")
    if key is not None and kind in (0, 2) and len(key) == (2 if kind == 0 else 6):
        colours = struct.unpack(f">{len(key) // 2}H", key)
        channels = samples if samples.ndim == 3 else samples[..., None]
        samples = np.concatenate([channels, _key_alpha(samples, colours, depth)[..., None]], axis=2)
    return samples, stored


def _unknown_chunks(data: bytes) -> Iterator[str]:
    """The chunks, by name, that are not understood and may name somebody."""
    for kind, at, content in png_chunks(data):
        read = kind in texts.TEXT_CHUNKS or kind in _EXIF_CHUNKS or len(content) == _COLOUR_CHUNKS.get(kind)
        if kind == _CREDENTIALS:
            yield from ["content credentials"] if credentials_may_name(content) else []
        elif not read and kind not in _SILENT_CHUNKS and may_hold_words(content):
            yield f"chunk {kind.decode('ascii')}"
        elif kind == b"IEND" and data[at + 8 : at + 12] in (*texts.TEXT_CHUNKS, *_EXIF_CHUNKS):
            yield "chunk behind the end"


def decode(data: bytes) -> Picture:
    """The picture in L, LA, RGB or RGBA, 8 or 16 bits; the library is given only the chunks that it needs."""
    chunks: dict[bytes, bytes] = {}
    kept: list[tuple[bytes, bytes]] = []
    blocks: list[tuple[Kind, bytes]] = []
    found: list[tuple[bytes, bytes]] = []
    needed = bytearray(PNG_SIGNATURE)
    damaged = False
    for chunk in png_chunks(data):
        kind, _, content = chunk
        palette = bool(chunks) and chunks[b"IHDR"][9] == 3
        if kind in _PIXEL_CHUNKS or (kind == b"tRNS" and palette):
            needed += png_chunk(kind, content)
        if kind in texts.TEXT_CHUNKS or kind in _EXIF_CHUNKS:
            damaged = damaged or not png_is_sound(data, chunk)
        if kind != b"IDAT":
            chunks.setdefault(kind, content)
        if len(content) == _COLOUR_CHUNKS.get(kind):
            kept.append((kind, content))
        elif kind in texts.TEXT_CHUNKS:
            found.append((kind, content))
        elif kind in _EXIF_CHUNKS:
            blocks.append(("exif", block_of(content)))
    samples, mode = _decode_pixels(chunks, bytes(needed))
    colour, alpha = split(samples)
    said = texts.read(found)
    icc, stated, warnings = read_colour(chunks, said.icc)
    if _CREDENTIALS in chunks:
        warnings += (NO_CREDENTIALS,)
    container = Container(
        "png",
        mode,
        icc=icc,
        colour=stated,
        **arranged([*blocks, *said.blocks]),
        texts=said.texts,
        unreadable=(*said.unreadable, *(("damaged metadata",) if damaged else ())),
        unknown=(*_unknown_chunks(data), *said.unknown),
        dpi=_dpi(chunks.get(b"pHYs", b"")),
        png_chunks=tuple(kept),
        warnings=warnings,
    )
    return Picture(colour, alpha, container)


def _compressed(planes: Planes) -> bytes:
    if planes.colour.dtype == np.uint16:
        import imagecodecs  # noqa: PLC0415 - large, and only 16-bit pictures need it

        return cast(bytes, imagecodecs.png_encode(planes.interleaved(), level=_COMPRESSION))
    out = io.BytesIO()
    planes.image().save(out, "PNG", compress_level=_COMPRESSION)
    return out.getvalue()


def _ahead(source: Container, carried: Carried) -> bytes:
    """The chunks that stand before the pixels."""
    out = bytearray()
    if carried.icc is not None:
        out += png_chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(carried.icc))
    for kind, content in source.png_chunks:
        if not (kind == b"sRGB" and carried.icc is not None):
            out += png_chunk(kind, content)
    if source.dpi is not None:
        across, down = (min(round(value / _INCHES_PER_METRE), 2**31 - 1) for value in source.dpi)
        out += png_chunk(b"pHYs", struct.pack(">IIB", across, down, 1))
    for keyword, text in carried.texts:
        out += texts.chunk(keyword, text)
    if carried.xmp is not None:
        out += png_chunk(b"iTXt", _XMP_KEYWORD + b"\0\0\0\0\0" + carried.xmp)
    block = carried.exif_block
    if block is not None:
        out += png_chunk(b"eXIf", block)
    return bytes(out)


def encode(planes: Planes, source: Container, carried: Carried) -> bytes:
    """8 or 16 bits, gray or RGB, with or without alpha, without loss."""
    out = bytearray(PNG_SIGNATURE)
    for kind, _, content in png_chunks(_compressed(planes)):
        if kind in (b"IHDR", b"IDAT", b"IEND"):
            out += png_chunk(kind, content)
        if kind == b"IHDR":
            out += _ahead(source, carried)
    return bytes(out)
