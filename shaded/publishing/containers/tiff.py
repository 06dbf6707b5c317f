"""TIFF through tifffile: 8 or 16 bits, gray or RGB, straight alpha, in the source's own lossless compression.

Layers, previews, further pages and unknown tags are left out: they would be unshaded copies. (TIFF revision 6.0.)
"""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from shaded.publishing import exif, iptc
from shaded.publishing.colour import Chromaticities, Colour, closest
from shaded.publishing.containers.pixels import Planes, mode_name, split, straight
from shaded.publishing.containers.tiff_strict import insist_on_whole
from shaded.publishing.exif_tags import BLOCKS, RESOLUTION
from shaded.publishing.holes import palette
from shaded.publishing.holes.runs import Hole
from shaded.publishing.ifd import Directory, Entry, Header, write_directory
from shaded.publishing.metadata import Carried
from shaded.publishing.picture import Container, Kind, Picture, Pixels, arranged
from shaded.publishing.probing import tiff_pages
from shaded.publishing.remarks import STRAIGHTENED

#: TIFF compression numbers that are lossless and written again; everything else becomes deflate.
_COMPRESSIONS = {1: None, 5: "lzw", 8: "zlib", 32946: "zlib", 32773: "packbits", 34925: "lzma", 50000: "zstd"}
_DEFLATE = 8
_XMP, _IPTC, _PHOTOSHOP, _ICC, _LAYERS = 700, 33723, 34377, 34675, 37724
_CURVE, _WHITE, _PRIMARIES = 301, 318, 319
_BYTES = 7


def _expanded(indices: NDArray[np.uint8], page: Directory, header: Header, data: bytes) -> Pixels:
    """Palette colours: three runs of 16-bit values; 8 bits are kept, unless all values are small (an old mistake)."""
    if palette.has_hole(data, page, np.unique(indices).tolist()):
        raise Hole
    values = np.array(page.entries[320].integers(header.order), dtype=np.uint16).reshape(3, -1).T
    table = (values >> 8 if values.max(initial=0) > 255 else values).astype(np.uint8)
    array = table[indices]
    gray = bool((array[..., 0] == array[..., 1]).all() and (array[..., 1] == array[..., 2]).all())
    return cast(Pixels, array[..., 0] if gray and _ICC not in page.entries else array)


def _samples(data: bytes) -> Pixels:
    """``(H, W)`` or ``(H, W, channels)`` of the first page, whatever its layout in the file."""
    import tifffile  # noqa: PLC0415 - only TIFF files need it

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages[0]
        array = np.asarray(page.asarray(maxworkers=1))
        if array.ndim == 3 and page.planarconfig == 2 and page.samplesperpixel > 1:
            array = np.moveaxis(array, 0, -1)
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    return cast(Pixels, np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="))))


def _channels(
    samples: Pixels, kinds: tuple[int, ...], colours: int, warnings: list[str]
) -> tuple[Pixels, Pixels | None]:
    """Colour and straight alpha out of all the samples of a page."""
    if samples.ndim == 2:
        return split(samples)
    colour = cast(Pixels, np.ascontiguousarray(samples[..., :colours]))
    extras = [*kinds, *([2] * (samples.shape[2] - colours - len(kinds)))]
    transparent = next((n for n, kind in enumerate(extras) if kind in (1, 2)), None)
    if len(extras) > (transparent is not None):
        warnings.append("Extra channels (saved selections) were left out.")
    if transparent is None:
        return colour, None
    alpha = cast(Pixels, np.ascontiguousarray(samples[..., colours + transparent]))
    if extras[transparent] == 1:
        warnings.append(STRAIGHTENED)
        colour = straight(colour, alpha)
    return colour, alpha


def _stored_mode(photometric: int, bits: int, channels: int) -> str:
    if photometric == 3:
        return "P"
    return "1" if bits == 1 else mode_name(channels, wide=bits == 16)


def decode(data: bytes) -> Picture:
    """The first page, which has passed :func:`shaded.publishing.probing.probe`."""
    header, pages = tiff_pages(data)
    page = pages[0]
    warnings: list[str] = []
    insist_on_whole(data, page, header)
    photometric, bits = page.number(262, header.order), page.number(258, header.order, 1)
    samples = _samples(data)
    if photometric == 3:
        samples = _expanded(cast("NDArray[np.uint8]", samples), page, header, data)
    elif photometric == 0:
        samples = np.iinfo(samples.dtype).max - samples
    kinds = page.entries[338].integers(header.order) if 338 in page.entries else ()
    colours = 3 if photometric in (2, 6) or (photometric == 3 and samples.ndim == 3) else 1
    colour, alpha = _channels(samples, kinds, colours, warnings)
    compression = page.number(259, header.order, 1)
    if compression not in _COMPRESSIONS:
        warnings.append(
            "The file's compression is not written again; the published file is stored without loss (deflate)."
        )
    if _LAYERS in page.entries:
        warnings.append("Layers were left out; the published file has the flattened picture.")
    mode = _stored_mode(photometric, bits, colours + (alpha is not None))
    return Picture(colour, alpha, replace(_container(data, header, page), mode=mode, warnings=tuple(warnings)))


def _chromaticities(page: Directory, header: Header) -> Chromaticities | None:
    """White and primaries by their tags, which say colours to readers that find no profile (TIFF 6.0, section 20)."""
    white, primaries = page.entries.get(_WHITE), page.entries.get(_PRIMARIES)
    if white is None or primaries is None or (white.type, primaries.type) != (5, 5):
        return None
    if (white.count, primaries.count) != (2, 6):
        return None
    parts = struct.unpack(f"{header.order}16I", white.raw + primaries.raw)
    numbers = [top / bottom if bottom else 0.0 for top, bottom in zip(parts[::2], parts[1::2], strict=True)]
    return cast(Chromaticities, tuple(numbers))


def _stated_colour(page: Directory, header: Header) -> Colour | None:
    """The colour space by TIFF's own tags, which are not written again. Without a curve the gamma is 2.2."""
    numbers, curve = _chromaticities(page, header), page.entries.get(_CURVE)
    if numbers is None and curve is None:
        return None
    if curve is None:
        return Colour(chromaticities=numbers, gamma=2.2)
    steps = np.array(curve.integers(header.order))
    tables = steps.reshape(3, -1) if len(steps) == 3 << page.number(258, header.order, 8) else steps[None]
    if not (tables == tables[:1]).all():
        return Colour(transfer=0, chromaticities=numbers)
    inverted = page.number(262, header.order) == 0  # white is 0, and the samples are turned round when they are read
    return closest(numbers, tables[0][::-1] / 65535 if inverted else tables[0] / 65535)


def _container(data: bytes, header: Header, page: Directory) -> Container:
    """What the page carries besides its pixels; mode and warnings come from decoding them."""
    tree = exif.read_tree(data, page, header, BLOCKS)

    def raw(tag: int) -> bytes:
        return page.entries[tag].raw if tag in page.entries else b""

    more, whole = iptc.blocks_of(raw(_PHOTOSHOP))
    blocks: list[tuple[Kind, bytes]] = [("exif", exif.build(tree) or b""), ("xmp", raw(_XMP))]
    blocks += [("iptc", iptc.in_order(raw(_IPTC))), *((kind, block) for kind, block in more if kind != "icc")]
    icc = raw(_ICC) or next((block for kind, block in more if kind == "icc"), None)
    return Container(
        "tiff",
        "",
        icc=icc,
        colour=None if icc else _stated_colour(page, header),
        **arranged(blocks),
        unknown=(
            *tree.unknown,
            *iptc.unknown_resources(raw(_PHOTOSHOP)),
            *(("the camera owner's name",) if tree.owner else ()),
        ),
        unreadable=(*(("EXIF data",) if tree.lost else ()), *(() if whole else ("Photoshop resources",))),
        dpi=tree.dpi,
        tiff_compression=(page.number(259, header.order, 1), page.number(317, header.order, 1)),
    )


def _options(source: Container, carried: Carried) -> dict[str, Any]:
    """Compression, resolution and colour profile, as tifffile wants them."""
    number, predictor = source.tiff_compression or (_DEFLATE, 2)
    compression = _COMPRESSIONS.get(number, "zlib")
    options: dict[str, Any] = {
        "compression": compression,
        "predictor": bool(compression not in (None, "packbits") and (predictor == 2 or number not in _COMPRESSIONS)),
        "iccprofile": carried.icc,
        "software": False,
        "metadata": None,
    }
    if source.dpi is not None:
        options |= {"resolution": source.dpi, "resolutionunit": "INCH"}
    return options


def encode(planes: Planes, source: Container, carried: Carried) -> bytes:
    """8 or 16 bits, gray or RGB, with or without straight alpha, without loss."""
    import tifffile  # noqa: PLC0415 - only TIFF files need it

    tree = carried.exif or exif.Exif("<")
    out = io.BytesIO()
    with tifffile.TiffWriter(out, byteorder=tree.order, bigtiff=False) as writer:
        writer.write(
            planes.interleaved(),
            photometric="minisblack" if planes.is_gray else "rgb",
            planarconfig="contig",
            extrasamples=["unassalpha"] if planes.alpha is not None else None,
            rowsperstrip=64,
            **_options(source, carried),
        )
    described = {tag: entry for tag, entry in tree.main.items() if tag not in RESOLUTION}
    if carried.xmp is not None:
        described[_XMP] = Entry(1, len(carried.xmp), carried.xmp)
    if carried.iptc is not None:
        described[_IPTC] = Entry(_BYTES, len(carried.iptc), carried.iptc)
    return _described(out.getvalue(), described, tree)


def _described(data: bytes, entries: dict[int, Entry], tree: exif.Exif) -> bytes:
    """The file with another, last main directory: the one that was written, the descriptions, and their branches."""
    header, pages = tiff_pages(data)
    start = len(data) + (len(data) & 1)
    pointers = exif.write_tree(tree, 0)[1]
    main = {**entries, **pointers, **pages[0].entries}
    branches, pointers = exif.write_tree(tree, start + len(write_directory(main, start, header.order)))
    directory = write_directory({**main, **pointers}, start, header.order)
    lead = data[:4] + struct.pack(f"{header.order}I", start)
    return lead + data[8:].ljust(start - 8, b"\0") + directory + branches
