"""Files that somebody made to hurt: bombs, loops, entity expansions, files that contradict themselves."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import tifffile
from PIL import Image

from shaded.publishing.walking import PNG_SIGNATURE, png_chunk
from tests.publishing.samples import ICC_RGB, exif_block, saved, smooth

LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lollollollollollollollollollol">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    + ']><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    "<rdf:Description>&j;</rdf:Description></rdf:RDF></x:xmpmeta>"
).encode()
OUTSIDE = (
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description>&a;</rdf:Description></rdf:RDF>'
    b"</x:xmpmeta>"
)


def wide_packet(inner):
    """A packet of nearly four megabytes of small elements."""
    body = inner * (3_900_000 // len(inner))
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description xmlns:e="http://ns.adobe.com/exif/1.0/">{body}</rdf:Description></rdf:RDF></x:xmpmeta>'
    ).encode()


def png(width, height, *chunks, depth=8, kind=2, pixels=None):
    """A PNG with these chunks before its pixels."""
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    rows = zlib.compress(b"\0" * 200) if pixels is None else pixels
    parts = [(b"IHDR", head), *chunks, (b"IDAT", rows), (b"IEND", b"")]
    return PNG_SIGNATURE + b"".join(png_chunk(name, content) for name, content in parts)


def bomb(size):
    """Zeros that inflate to ``size`` bytes (whole mebibytes), made without compressing them all."""
    machine = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = machine.compress(bytes(1 << 20)) + machine.flush(zlib.Z_FULL_FLUSH)
    check = (size % 65521) << 16 | 1  # Adler-32 of so many zeros (RFC 1950)
    return b"\x78\xda" + block * (size >> 20) + b"\x03\0" + check.to_bytes(4, "big")


def tiff(entries, tail=b"", order="<"):
    """A classic TIFF with one directory at 8: ``entries`` of (tag, type, count, value), then ``tail``."""
    head = b"II*\0" if order == "<" else b"MM\0*"
    body = struct.pack(f"{order}H", len(entries))
    for tag, kind, count, value in sorted(entries):
        body += struct.pack(f"{order}HHI", tag, kind, count) + (
            struct.pack(f"{order}HH", value, 0) if kind == 3 and count == 1 else struct.pack(f"{order}I", value)
        )
    return head + struct.pack(f"{order}I", 8) + body + b"\0\0\0\0" + tail


def strip_tiff(compression, strip, *, width=8, height=8, samples=3, bits=8, more=()):
    """A TIFF of one strip."""
    entries = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, bits), (259, 3, 1, compression),
        (262, 3, 1, 2 if samples > 1 else 1),
        (273, 4, 1, 0), (277, 3, 1, samples), (278, 4, 1, height), (279, 4, 1, len(strip)), *more,
    ]  # fmt: skip
    start = len(tiff(entries))
    return tiff([(273, 4, 1, start) if entry[0] == 273 else entry for entry in entries], strip)


def _looped_exif():
    block = bytearray(exif_block())
    count = struct.unpack_from("<H", block, 8)[0]
    struct.pack_into("<I", block, 10 + 12 * count, 8)
    for at in range(10, 10 + 12 * count, 12):
        if struct.unpack_from("<H", block, at)[0] in (34665, 34853):
            struct.pack_into("<I", block, at + 8, 8)
    return bytes(block)


def _paged_tiff(pages):
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as writer:
        for _ in range(pages):
            writer.write(np.zeros((2, 2), np.uint8), metadata=None)
    return out.getvalue()


def _looped_tiff():
    data = bytearray(saved(smooth(), "TIFF"))
    first = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, first)[0]
    struct.pack_into("<I", data, first + 2 + 12 * count, first)
    return bytes(data)


def _overlapping_tiff(tags):
    """Every entry claims nearly the whole file as its value."""
    length = 2_000_000
    entries = [
        (256, 4, 1, 8),
        (257, 4, 1, 8),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, 1, 8),
        (279, 4, 1, 64),
    ]
    return tiff(entries + [(1000 + n, 7, length, 8) for n in range(tags)], bytes(length + 100))


def _many_scans(scans):
    """A progressive JPEG whose last scan comes again and again."""
    data = saved(np.zeros((1200, 1200), np.uint8), "JPEG", progressive=True)
    at = data.rindex(b"\xff\xda")
    return data[:at] + data[at:-2] * scans + b"\xff\xd9"


def _icc_jpeg():
    pieces = [b"ICC_PROFILE\0" + bytes([n + 1, 255]) + bytes(65000) for n in range(255)]
    plain = saved(smooth(), "JPEG")
    return plain[:2] + b"".join(b"\xff\xe2" + struct.pack(">H", len(p) + 2) + p for p in pieces) + plain[2:]


def _patched(data, at, new):
    return data[:at] + new + data[at + len(new) :]


def _lying_avif():
    data = saved(smooth(1500, 1500), "AVIF", speed=10)
    return data.replace(b"ispe\0\0\0\0" + struct.pack(">II", 1500, 1500), b"ispe\0\0\0\0" + struct.pack(">II", 16, 16))


def _lying_webp():
    data = saved(smooth(1500, 1500), "WEBP", exif=exif_block())
    at = data.index(b"VP8X") + 8
    return _patched(data, at + 4, (15).to_bytes(3, "little") * 2)


def _two_frame_headers():
    data = saved(smooth(), "JPEG")
    at = data.index(b"\xff\xc0")
    size = int.from_bytes(data[at + 2 : at + 4], "big") + 2
    big = bytearray(data[at : at + size])
    big[5:9] = b"\xff\xdc\xff\xdc"
    return data[:at] + bytes(big) + data[at:]


def _huge_jpeg():
    data = saved(smooth(), "JPEG")
    at = data.index(b"\xff\xc0")
    return _patched(data, at + 5, b"\xff\xdc\xff\xdc")


def _frames(form, **options):
    frames = [Image.fromarray(smooth(seed=n)) for n in range(3)]
    out = io.BytesIO()
    frames[0].save(out, form, save_all=True, append_images=frames[1:], **options)
    return out.getvalue()


def _tagged_tiff(tag, content):
    out = io.BytesIO()
    tifffile.imwrite(out, smooth(), metadata=None, extratags=[(tag, 1, None, content, True)])
    return out.getvalue()


#: Makers by name. What each is to come to is decided by the same rule as for the mutated ones.
CRAFTED = {
    "dimensions of a PNG": lambda: png(0x7FFFFFFF, 0x7FFFFFFF),
    "dimensions of a JPEG": _huge_jpeg,
    "two frame headers in a JPEG": _two_frame_headers,
    "a PNG that promises more than it has": lambda: png(1400, 1400),
    "a PNG whose pixels inflate for ever": lambda: png(8, 8, pixels=bomb(400 << 20)),
    "a text that inflates for ever": lambda: png(8, 8, (b"zTXt", b"k\0\0" + bomb(400 << 20))),
    "an international text that inflates for ever": lambda: png(8, 8, (b"iTXt", b"k\0\1\0\0\0" + bomb(400 << 20))),
    "a packet that inflates for ever": lambda: png(8, 8, (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + bomb(400 << 20))),
    "a profile that inflates for ever": lambda: png(8, 8, (b"iCCP", b"k\0\0" + bomb(400 << 20))),
    "a huge profile in a PNG": lambda: saved(smooth(), "PNG", icc_profile=ICC_RGB + bytes(20_000_000)),
    "a huge profile in a JPEG": _icc_jpeg,
    "a hundred thousand chunks": lambda: png(8, 8, *[(b"tEXt", b"k\0v")] * 100_000),
    "laughs in a PNG": lambda: png(8, 8, (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + LAUGHS)),
    "laughs in a JPEG": lambda: saved(smooth(), "JPEG", xmp=LAUGHS),
    "laughs in a WebP": lambda: saved(smooth(), "WEBP", xmp=LAUGHS),
    "laughs in an AVIF": lambda: saved(smooth(), "AVIF", xmp=LAUGHS, speed=10),
    "laughs in a TIFF": lambda: _tagged_tiff(700, LAUGHS),
    "another file's content in a packet": lambda: saved(smooth(), "WEBP", xmp=OUTSIDE),
    "a packet of a million elements": lambda: saved(smooth(), "WEBP", xmp=wide_packet("<a/>")),
    "a packet of places to take out": lambda: saved(smooth(), "WEBP", xmp=wide_packet("<e:GPSx>1</e:GPSx>")),
    "a packet of attributes": lambda: saved(
        smooth(), "WEBP", xmp=wide_packet("<a b='1' c='1' d='1' f='1' g='1' h='1' i='1' j='1'/>")
    ),
    "EXIF that goes in circles, in a JPEG": lambda: saved(smooth(), "JPEG", exif=b"Exif\0\0" + _looped_exif()),
    "EXIF that goes in circles, in a PNG": lambda: saved(smooth(), "PNG", exif=_looped_exif()),
    "EXIF that goes in circles, in a WebP": lambda: saved(smooth(), "WEBP", exif=_looped_exif()),
    "a TIFF that goes in circles": _looped_tiff,
    "a TIFF of a thousand pages": lambda: _paged_tiff(1000),
    "a TIFF whose values overlap": lambda: _overlapping_tiff(4000),
    "a TIFF of 65,535 samples a pixel": lambda: strip_tiff(1, bytes(192), width=1000, height=1000, samples=65535),
    "a deflated TIFF that inflates for ever": lambda: strip_tiff(8, bomb(2000 << 20)),
    "a TIFF with a huge JPEG inside": lambda: strip_tiff(7, _huge_jpeg()),
    "a TIFF with a huge PNG inside": lambda: strip_tiff(34933, png(30000, 30000)),
    "a TIFF of packed zeros": lambda: strip_tiff(32773, b"\x81\0" * 3_000_000),
    "a TIFF of unknown compression": lambda: strip_tiff(12345, bytes(192)),
    "an AVIF that lies about its size": _lying_avif,
    "a WebP that lies about its size": _lying_webp,
    "a JPEG of three thousand scans": lambda: _many_scans(3000),
    "an animated PNG": lambda: _frames("PNG"),
    "an animated WebP": lambda: _frames("WEBP"),
    "an animated AVIF": lambda: _frames("AVIF"),
    "a JPEG with further pictures": lambda: _frames("MPO"),
    "a TIFF of three pages": lambda: _frames("TIFF"),
}


def zstd_tiff(size):
    """A TIFF whose one strip is Zstandard-compressed zeros."""
    import imagecodecs

    return strip_tiff(50000, imagecodecs.zstd_encode(bytes(size), level=3))


def lzma_tiff(size):
    """The same with LZMA."""
    import lzma

    return strip_tiff(34925, lzma.compress(bytes(size)))


CRAFTED["a TIFF of Zstandard zeros"] = lambda: zstd_tiff(600 << 20)
CRAFTED["a TIFF of LZMA zeros"] = lambda: lzma_tiff(40 << 20)
