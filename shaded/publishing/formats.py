"""What kind of file some bytes are, from the bytes alone.

A file's name is never asked: a PNG that is called ``fox.jpg`` is a PNG.
"""

from __future__ import annotations

import re
import struct
from typing import Literal

Format = Literal["jpeg", "png", "webp", "tiff", "avif"]
FORMATS: tuple[Format, ...] = ("jpeg", "png", "webp", "tiff", "avif")

#: The suffix that is written for a format, and all those that are read as it.
SUFFIX: dict[Format, str] = {"jpeg": ".jpg", "png": ".png", "webp": ".webp", "tiff": ".tif", "avif": ".avif"}
SUFFIXES: dict[str, Format] = {
    ".jpg": "jpeg", ".jpeg": "jpeg", ".jpe": "jpeg", ".jfif": "jpeg",
    ".png": "png", ".webp": "webp", ".tif": "tiff", ".tiff": "tiff", ".avif": "avif",
}  # fmt: skip

_PNG = b"\x89PNG\r\n\x1a\n"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})

_EXPORT = "Export a PNG or JPEG from the program that made it"
_STILL = "Export one still picture of it as PNG or JPEG"
_DEVELOP = "Develop it in your raw converter and export a JPEG or TIFF"

#: Beginnings of pictures that are known and not shaded: (offset, magic, what it is, what to do).
_FOREIGN: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"GIF87a", "a GIF picture, which is limited to 256 colours and cannot hold the shading", _STILL),
    (0, b"GIF89a", "a GIF picture, which is limited to 256 colours and cannot hold the shading", _STILL),
    (0, b"BM", "a Windows bitmap (BMP)", "Save it as PNG"),
    (0, b"\xff\x0a", "a JPEG XL picture, which is not supported", "Export a PNG or JPEG"),
    (0, b"\x00\x00\x00\x0cJXL \r\n\x87\n", "a JPEG XL picture, which is not supported", "Export a PNG or JPEG"),
    (0, b"\x00\x00\x00\x0cjP  \r\n\x87\n", "a JPEG 2000 picture, which is not supported", "Export a PNG or JPEG"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 picture, which is not supported", "Export a PNG or JPEG"),
    (0, b"\x76\x2f\x31\x01", "an OpenEXR picture, whose values have no fixed range", "Export a 16-bit TIFF or PNG"),
    (0, b"#?RADIANCE", "a Radiance HDR picture, whose values have no fixed range", "Export a 16-bit TIFF or PNG"),
    (0, b"FUJIFILMCCD-RAW", "a camera raw file", _DEVELOP),
    (0, b"IIRO", "a camera raw file", _DEVELOP),
    (0, b"IIRS", "a camera raw file", _DEVELOP),
    (0, b"MMOR", "a camera raw file", _DEVELOP),
    (0, b"IIU\0", "a camera raw file", _DEVELOP),
    (8, b"CR\x02", "a camera raw file", _DEVELOP),
    (0, b"qoif", "a QOI picture, which is not supported", "Save it as PNG"),
    (0, b"DDS ", "a DirectDraw texture", "Save it as PNG"),
    (0, b"icns", "an icon file with several pictures", _EXPORT),
    (0, b"\x00\x00\x01\x00", "an icon file with several pictures", _EXPORT),
)
_NETPBM = re.compile(rb"\AP[1-7]\s")


def brands(data: bytes) -> tuple[bytes, ...]:
    """The brands of an ISO base media file (ISO/IEC 14496-12, 4.3), the major one first; empty for other files."""
    if len(data) < 16 or data[4:8] != b"ftyp":
        return ()
    size = min(struct.unpack(">I", data[:4])[0], len(data), 4096)
    return (data[8:12], *(data[at : at + 4] for at in range(16, size - 3, 4)))


def sniff(data: bytes) -> Format | None:
    """The format of ``data`` if it is one that can be shaded, else ``None``. Looks at the first bytes only."""
    found = brands(data)
    signs: dict[Format, bool] = {
        "jpeg": data.startswith(b"\xff\xd8\xff"),
        "png": data.startswith(_PNG),
        "webp": data[:4] == b"RIFF" and data[8:12] == b"WEBP",
        "tiff": data.startswith(_TIFF) and data[8:10] != b"CR",
        "avif": bool(_AVIF_BRANDS.intersection(found)) and found[0] not in _HEIC_BRANDS,
    }
    return next((form for form, seen in signs.items() if seen), None)


def foreign(data: bytes) -> tuple[str, str] | None:
    """What a picture that cannot be shaded is ("a GIF picture") and what to do; ``None`` when it is unknown.

    What is no picture at all, :mod:`shaded.publishing.documents` knows.
    """
    found = brands(data)
    if found:
        if _HEIC_BRANDS.intersection(found):
            return "a HEIC picture, which cannot be written back", "Export a JPEG or PNG"
        if found[0] == b"crx ":
            return "a camera raw file", _DEVELOP
        return "a video", _STILL
    for at, magic, what, remedy in _FOREIGN:
        if data[at : at + len(magic)] == magic:
            return what, remedy
    if _NETPBM.match(data):
        return "a Netpbm picture (PPM, PGM, PBM), which is not supported", "Save it as PNG"
    return None
