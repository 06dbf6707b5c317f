"""Files that lie among pictures and are none: documents of painting programs, archives, videos, notes.

What a file is, its first bytes say where they can. Many programs keep their documents in the same containers (ZIP, PDF,
RIFF, SQLite) or in ones that nobody described; those are called by their names, which are asked for nothing else: a
picture is one whatever it is called.
"""

from __future__ import annotations

import re
from pathlib import PurePath

from shaded.publishing.formats import SUFFIXES

#: How many bytes of a file are enough to say what it is.
HEAD = 4096

_EXPORT = "Export a PNG or JPEG from it"
_UNPACK = "Unpack it, and put the pictures in it there"
_STILL = "Export one still picture of it as PNG or JPEG"
_NOTHING = "Nothing needs doing, unless you expected a picture"

#: What pictures are called, read here or not: a file of such a name that holds none is broken, and its owner is told.
_OTHER_PICTURES = frozenset({
    ".apng", ".pjpeg", ".pjp", ".mpo", ".jps", ".heic", ".heif", ".hif", ".avifs", ".gif", ".bmp", ".dib", ".jxl",
    ".jp2", ".j2k", ".j2c", ".jpf", ".jpx", ".jpm", ".exr", ".hdr", ".tga", ".pcx", ".ppm", ".pgm", ".pbm", ".pnm",
    ".pam", ".qoi", ".dds", ".sgi", ".wdp", ".jxr", ".hdp",
    ".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".raf", ".orf", ".rw2", ".rwl", ".pef",
    ".srw", ".x3f", ".3fr", ".fff", ".iiq", ".erf", ".mef", ".mos", ".mrw", ".kdc", ".dcr", ".raw",
})  # fmt: skip

#: Beginnings that tell: (offset, magic, what it is, what to do).
_TELLING: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"8BPS", "a Photoshop document", _EXPORT),
    (0, b"gimp xcf", "a GIMP document", _EXPORT),
    (0, b"CSFCHUNK", "a Clip Studio Paint document", _EXPORT),
    (0, b"\x00\xffKA", "an Affinity document", _EXPORT),
    (0, b"Paint Shop Pro Image File", "a PaintShop Pro document", _EXPORT),
    (30, b"mimetypeapplication/x-krita", "a Krita document", _EXPORT),
    (30, b"Document.archive", "a Procreate document", _EXPORT),
    (30, b"mimetypeimage/openraster", "an OpenRaster document", _EXPORT),
    (0, b"SAI-CANVAS", "a PaintTool SAI document", _EXPORT),
    (0, b"mdipack", "a MediBang Paint or FireAlpaca document", _EXPORT),
    (0, b"PDN3", "a paint.net document", _EXPORT),
    (0, b"BLENDER", "a Blender document", _EXPORT),
    (0, b"fig-kiwi", "a Figma document", _EXPORT),
    (8, b"CDR", "a CorelDRAW document", _EXPORT),
    (8, b"cdr", "a CorelDRAW document", _EXPORT),
    (0, b"\x1aE\xdf\xa3", "a video", _STILL),
    (8, b"AVI ", "a video", _STILL),
    (0, b"7z\xbc\xaf\x27\x1c", "an archive", _UNPACK),
    (0, b"Rar!\x1a\x07", "an archive", _UNPACK),
    (0, b"\xfd7zXZ\x00", "an archive", _UNPACK),
    (257, b"ustar", "an archive", _UNPACK),
)
#: Beginnings of containers that many programs use: the name says more, where it says something.
_CONTAINERS: tuple[tuple[int, bytes, str, str], ...] = (
    (
        0,
        b"PK\x03\x04",
        "a ZIP archive or a document of a painting program",
        "Export a PNG or JPEG from it, or unpack it",
    ),
    (0, b"%PDF", "a PDF document", _EXPORT),
    (0, b"%!PS", "a PostScript document", _EXPORT),
    (0, b"\x1f\x8b", "a compressed file", _UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "a compressed file", _UNPACK),
    (0, b"SQLite format 3\x00", "a database", _NOTHING),
)
_TEXTS = (
    (re.compile(rb"<svg[\s>]", re.IGNORECASE), "an SVG drawing, which has no pixels", _EXPORT),
    (re.compile(rb"\A\s*<(!doctype )?html", re.IGNORECASE), "a web page and not a picture", "Save the picture itself"),
)  # fmt: skip

_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")

#: How programs call their documents.
_SUFFIXES_OF = {
    "Krita": (".kra", ".krz"),
    "OpenRaster": (".ora",),
    "Clip Studio Paint": (".clip", ".lip", ".cmc", ".csp"),
    "Photoshop": (".psd", ".psb", ".pdd"),
    "Procreate": (".procreate", ".swatch", ".swatches", ".brush", ".brushset"),
    "GIMP": (".xcf",),
    "Affinity": (".af", ".afphoto", ".afdesign", ".afpub"),
    "PaintTool SAI": (".sai", ".sai2"),
    "MediBang Paint or FireAlpaca": (".mdp",),
    "Painter": (".rif", ".riff"),
    "paint.net": (".pdn",),
    "PaintShop Pro": (".psp", ".pspimage"),
    "Illustrator": (".ai",),
    "InDesign": (".indd",),
    "Adobe XD": (".xd",),
    "CorelDRAW": (".cdr",),
    "Corel PHOTO-PAINT": (".cpt",),
    "SVG": (".svg", ".svgz"),
    "Sketch": (".sketch",),
    "Figma": (".fig",),
    "Pixelmator": (".pxd", ".pxm"),
    "ArtRage": (".ptg",),
    "Rebelle": (".reb",),
    "Sketchbook": (".skba",),
    "MyPaint": (".mypaint",),
    "TVPaint": (".tvp", ".tvpp"),
    "Aseprite": (".ase", ".aseprite"),
    "Blender": (".blend",),
    "Cinema 4D": (".c4d",),
    "Maya": (".ma", ".mb"),
    "ZBrush": (".ztl", ".zpr"),
    "Substance Painter": (".spp",),
    "painting program's": (".art",),
}
_PROGRAMS = {suffix: program for program, suffixes in _SUFFIXES_OF.items() for suffix in suffixes}


def is_picture_name(name: str) -> bool:
    """Whether a file of that name is meant to be a picture."""
    suffix = PurePath(name).suffix.lower()
    return suffix in SUFFIXES or suffix in _OTHER_PICTURES


def is_text(data: bytes) -> bool:
    """Whether the first bytes are text: no control characters but those of lines, tabs and escapes."""
    return _CONTROL.search(data[:HEAD]) is None


def document(data: bytes, name: str) -> tuple[str, str] | None:
    """What a file is that is no picture ("a Photoshop document") and what to do; ``None`` where it is not known.

    Args:
        data: Its first :data:`HEAD` bytes, or more; of a known picture format they are not.
        name: Its name, or nothing.
    """
    return _beginning(data, _TELLING) or _by_name(data, name) or _beginning(data, _CONTAINERS)


def _beginning(data: bytes, known: tuple[tuple[int, bytes, str, str], ...]) -> tuple[str, str] | None:
    return next(((what, todo) for at, magic, what, todo in known if data[at : at + len(magic)] == magic), None)


def _by_name(data: bytes, name: str) -> tuple[str, str] | None:
    for pattern, what, remedy in _TEXTS:
        if pattern.search(data[:HEAD]):
            return what, remedy
    program = _PROGRAMS.get(PurePath(name).suffix.lower())
    if program is None:
        return None
    return f"{'an' if program[0] in 'AIO' or program == 'SVG' else 'a'} {program} document", _EXPORT
