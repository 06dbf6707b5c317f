"""What kind of file some bytes are, from the bytes alone.

A file's name is never asked: a PNG that is called ``fox.jpg`` is a PNG.
"""

from __future__ import annotations

import re
import struct
from typing import Literal

from shaded.publishing.boxes import read_items

Format = Literal["jpeg", "png", "webp", "tiff", "avif", "heic"]
#: Those that are written, with the suffix that each is given; HEIC is only read.
SUFFIX: dict[Format, str] = {"jpeg": ".jpg", "png": ".png", "webp": ".webp", "tiff": ".tif", "avif": ".avif"}
#: All suffixes, and what they promise.
SUFFIXES: dict[str, Format] = {
    ".jpg": "jpeg", ".jpeg": "jpeg", ".jpe": "jpeg", ".jfif": "jpeg",
    ".png": "png", ".webp": "webp", ".tif": "tiff", ".tiff": "tiff", ".avif": "avif",
    ".heic": "heic", ".heif": "heic", ".hif": "heic",
}  # fmt: skip

_PNG = b"\x89PNG\r\n\x1a\n"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
#: Brands of HEIF whatever the coding: of one picture, of a sequence, and of H.264, JPEG and VVC.
_HEIF_BRANDS = frozenset({
    b"mif1", b"mif2", b"mif3", b"msf1", b"miaf", b"1pic", b"avci", b"avcs", b"jpeg", b"jpgs", b"vvic", b"vvis",
    b"evbi", b"evmi", b"j2ki", b"j2is", b"unif",
})  # fmt: skip
#: How an item that is coded as one of the formats that are read is called.
_CODINGS: dict[bytes, Format] = {b"av01": "avif", b"hvc1": "heic", b"hev1": "heic"}
_OTHER_CODINGS = {
    b"avc1": "H.264", b"jpeg": "JPEG", b"j2k1": "JPEG 2000", b"vvc1": "VVC", b"evc1": "EVC", b"lhv1": "layered HEVC",
    b"unci": "uncompressed",
}  # fmt: skip
_VIDEO_BRANDS = re.compile(
    rb"iso[m2-9c]|avc[1-4]|mp4[12]|mp71|M4V.|qt  |3g[2egprst].|mmp4|dash|dby1|f4[pv] |F4[VP] |MSNV|XAVC|kddi|NDX.|"
    rb"hvt1|cmf[cs2]|niko|pana|CAEP|isml|piff|NDSC|ndsc"
)

_EXPORT = "Export a PNG or JPEG from the program that made it"
_STILL = "Export one still picture of it as PNG or JPEG"
_DEVELOP = "Develop it in your raw converter and export a JPEG or TIFF"

_JPEG_2000 = ("a JPEG 2000 picture, which is not supported", "Export a PNG or JPEG")
_JPEG_XL = ("a JPEG XL picture, which is not supported", "Export a PNG or JPEG")
_SOUND = ("a sound file and not a picture", "Take it out of the outbox")
#: By the major brand of an ISO base media file.
_OTHER_MEDIA: dict[bytes, tuple[str, str]] = {
    b"crx ": ("a camera raw file", _DEVELOP),
    b"jp2 ": _JPEG_2000, b"jpx ": _JPEG_2000, b"jpm ": _JPEG_2000, b"jxl ": _JPEG_XL,
    b"M4A ": _SOUND, b"M4B ": _SOUND, b"M4P ": _SOUND, b"F4A ": _SOUND, b"F4B ": _SOUND,
}  # fmt: skip

#: Beginnings of files that are known and not shaded: (offset, magic, what it is, what to do).
_FOREIGN: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"GIF87a", "a GIF picture, which is limited to 256 colours and cannot hold the shading", _STILL),
    (0, b"GIF89a", "a GIF picture, which is limited to 256 colours and cannot hold the shading", _STILL),
    (0, b"8BPS", "a Photoshop document", "Export a PNG or JPEG from it"),
    (0, b"gimp xcf", "a GIMP document", "Export a PNG or JPEG from it"),
    (0, b"CSFCHUNK", "a Clip Studio Paint document", "Export a PNG or JPEG from it"),
    (0, b"\x00\xffKA", "an Affinity document", "Export a PNG or JPEG from it"),
    (0, b"Paint Shop Pro Image File", "a PaintShop Pro document", "Export a PNG or JPEG from it"),
    (30, b"mimetypeapplication/x-krita", "a Krita document", "Export a PNG or JPEG from it"),
    (30, b"mimetypeimage/openraster", "an OpenRaster document", "Export a PNG or JPEG from it"),
    (0, b"PK\x03\x04", "a ZIP archive or a document of a painting program", _EXPORT),
    (0, b"%PDF", "a PDF document", _EXPORT),
    (0, b"%!PS", "a PostScript document", _EXPORT),
    (0, b"BM", "a Windows bitmap (BMP)", "Save it as PNG"),
    (0, b"\xff\x0a", *_JPEG_XL),
    (0, b"\x00\x00\x00\x0cJXL \r\n\x87\n", *_JPEG_XL),
    (0, b"\x00\x00\x00\x0cjP  \r\n\x87\n", *_JPEG_2000),
    (0, b"\xff\x4f\xff\x51", *_JPEG_2000),
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
    (0, b"\x1aE\xdf\xa3", "a video", _STILL),
)
_TEXT_FOREIGN = (
    (re.compile(rb"<svg[\s>]", re.IGNORECASE), "an SVG drawing, which has no pixels", "Export a PNG from it"),
    (
        re.compile(rb"\A\s*<(!doctype html|html)", re.IGNORECASE),
        "a web page and not a picture",
        "Save the picture itself",
    ),
    (re.compile(rb"\AP[1-7]\s"), "a Netpbm picture (PPM, PGM, PBM), which is not supported", "Save it as PNG"),
)


def brands(data: bytes) -> tuple[bytes, ...]:
    """The brands of an ISO base media file (ISO/IEC 14496-12, 4.3), the major one first; empty for other files."""
    if len(data) < 16 or data[4:8] != b"ftyp":
        return ()
    size = min(struct.unpack(">I", data[:4])[0], len(data), 4096)
    return (data[8:12], *(data[at : at + 4] for at in range(16, size - 3, 4)))


def _still_of(data: bytes, found: tuple[bytes, ...]) -> Format | None:
    """The format of a picture with these brands, by the coding of its primary item; else by its brands.

    Brands alone do not tell: AVIF and HEIC files may both have ``mif1`` as the major one.
    """
    if not (_AVIF_BRANDS | _HEIC_BRANDS | _HEIF_BRANDS).intersection(found):
        return None
    coding = _coding(data)
    if coding:
        return _CODINGS.get(coding)
    if _AVIF_BRANDS.intersection(found) and found[0] not in _HEIC_BRANDS:
        return "avif"
    return "heic" if _HEIC_BRANDS.intersection(found) else None


def _coding(data: bytes) -> bytes:
    try:
        return read_items(data).coding()
    except ValueError:  # probing says what is broken
        return b""


def sniff(data: bytes) -> Format | None:
    """The format of ``data``, a whole file, if it is one that can be shaded; else ``None``."""
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith(_PNG):
        return "png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data.startswith(_TIFF) and data[8:10] != b"CR":
        return "tiff"
    return _still_of(data, brands(data))


def written_as(form: Format, wanted: Format | Literal["same"]) -> Format:
    """The format of the published file: the wanted one; for ``same`` the source's, and JPEG for HEIC."""
    if wanted != "same":
        return wanted
    return "jpeg" if form == "heic" else form


def _foreign_media(data: bytes, found: tuple[bytes, ...]) -> tuple[str, str]:
    """What an ISO base media file is that is no AVIF or HEIC, by its brands and the coding of its primary item."""
    coding = _coding(data)
    if coding in _OTHER_CODINGS:
        return f"a HEIF picture with {_OTHER_CODINGS[coding]} inside, which is not supported", "Export a JPEG or PNG"
    if (_AVIF_BRANDS | _HEIC_BRANDS | _HEIF_BRANDS).intersection(found):
        return "a HEIF file without a picture that is read here", "Export a JPEG or PNG"
    if found[0] in _OTHER_MEDIA:
        return _OTHER_MEDIA[found[0]]
    if any(_VIDEO_BRANDS.fullmatch(brand) for brand in found):
        return "a video", _STILL
    kind = found[0].decode("latin-1").strip()
    return f"a media file of a kind that is not known here ({kind!a})", "Export a PNG or JPEG"


def foreign(data: bytes) -> tuple[str, str] | None:
    """What a file that cannot be shaded is ("a Photoshop document") and what to do; ``None`` when it is unknown."""
    found = brands(data)
    if found:
        return _foreign_media(data, found)
    for at, magic, what, remedy in _FOREIGN:
        if data[at : at + len(magic)] == magic:
            return what, remedy
    head = data[:2048]
    for pattern, what, remedy in _TEXT_FOREIGN:
        if pattern.search(head):
            return what, remedy
    return None
