from __future__ import annotations

import random

import pytest

from shaded.publishing.documents import HEAD, document, is_picture_name
from shaded.publishing.formats import NO_PICTURES, foreign

ZIP = b"PK\3\4" + bytes(26)
SQLITE = b"SQLite format 3\0" + bytes(99)
RANDOM = random.Random(1).randbytes(64).replace(b"\0", b"\1")


@pytest.mark.parametrize(
    ("data", "name", "what"),
    [
        (b"8BPS\0\1" + bytes(20), "", "a Photoshop document"),
        (b"8BPS\0\2" + bytes(20), "fox.psb", "a Photoshop document"),
        (b"gimp xcf v011", "fox", "a GIMP document"),
        (b"CSFCHUNK" + bytes(9), "fox.dat", "a Clip Studio Paint document"),
        (b"\0\xffKA", "fox.af", "an Affinity document"),
        (ZIP + b"mimetypeapplication/x-krita", "fox.zip", "a Krita document"),
        (ZIP + b"mimetypeimage/openraster", "", "an OpenRaster document"),
        (ZIP + b"Document.archive", "", "a Procreate document"),
        (b"SAI-CANVAS-TYPE0", "", "a PaintTool SAI document"),
        (b"mdipack\0", "", "a MediBang Paint or FireAlpaca document"),
        (b"PDN3", "", "a paint.net document"),
        (b"BLENDER-v300", "", "a Blender document"),
        (b"fig-kiwi", "", "a Figma document"),
        (b"RIFF\0\0\0\0CDRv", "", "a CorelDRAW document"),
        (ZIP, "fox.procreate", "a Procreate document"),
        (ZIP, "FOX.SKETCH", "a Sketch document"),
        (ZIP, "fox.cdr", "a CorelDRAW document"),
        (ZIP, "fox.zip", "a ZIP archive or a document of a painting program"),
        (b"%PDF-1.5", "fox.ai", "an Illustrator document"),
        (b"%PDF-1.5", "fox.pdf", "a PDF document"),
        (SQLITE, "fox.reb", "a Rebelle document"),
        (SQLITE, "catalog.lrcat", "a database"),
        (b"\x1f\x8b\x08", "fox.blend", "a Blender document"),
        (b"\x1f\x8b\x08", "fox.svgz", "an SVG document"),
        (b"\x1f\x8b\x08", "fox.gz", "a compressed file"),
        (RANDOM, "fox.sai", "a PaintTool SAI document"),
        (RANDOM, "fox.rif", "a Painter document"),
        (RANDOM, "fox.tvpp", "a TVPaint document"),
        (RANDOM, "fox.art", "a painting program's document"),
        (b"<?xml version='1.0'?><svg xmlns='x'/>", "fox.txt", "an SVG drawing, which has no pixels"),
        (b"<!DOCTYPE html><html>", "fox.png", "a web page and not a picture"),
        (b"\x1aE\xdf\xa3", "", "a video"),
        (b"RIFF\0\0\0\0AVI LIST", "", "a video"),
        (b"7z\xbc\xaf\x27\x1c", "", "an archive"),
        (b"Rar!\x1a\x07\0", "", "an archive"),
        (bytes(257) + b"ustar\0", "", "an archive"),
    ],
)
def test_documents_are_called_by_their_programs(data, name, what):
    """By content where that tells, whatever the name; by name where the container is everybody's."""
    found = document(data, name)
    assert found is not None
    assert found[0] == what
    assert found[1]


@pytest.mark.parametrize(
    "name",
    [
        "kra",
        "clip",
        "psd",
        "psb",
        "ora",
        "procreate",
        "xcf",
        "afphoto",
        "af",
        "afdesign",
        "sai",
        "sai2",
        "mdp",
        "rif",
        "pdn",
        "blend",
        "ai",
        "cdr",
        "svg",
        "sketch",
        "fig",
        "tvpp",
        "csp",
        "lip",
        "art",
        "mypaint",
        "swatches",
    ],
)
@pytest.mark.parametrize("data", [RANDOM, ZIP, SQLITE, bytes(5000)])
def test_a_working_file_is_told_to_be_exported(name, data):
    """Whatever its program puts into it."""
    found = document(data, f"fox.{name}")
    assert found is not None
    assert "document" in found[0] or "drawing" in found[0]
    assert found[1] == "Export a PNG or JPEG from it"


def test_what_is_unknown_is_not_guessed():
    """Notes, unknown data and pictures of other kinds are no documents."""
    assert document(b"buy paint", "notes.txt") is None
    assert document(RANDOM, "fox") is None
    assert document(b"GIF89a", "fox.gif") is None
    assert document(b"", "") is None


def test_a_head_is_enough():
    """What the whole file says, its first bytes say."""
    data = b"8BPS\0\1" + bytes(100_000)
    assert document(data, "") == document(data[:HEAD], "")


def test_names_of_pictures_are_known_in_any_case():
    """Those that are read here and those that are not."""
    for name in ("fox.png", "FOX.JPG", "a.b.heic", "fox.gif", "fox.CR3", "fox.tga", "dir/fox.webp"):
        assert is_picture_name(name)
    for name in ("fox", "png", "fox.psd", "fox.txt", "fox.png.txt", ".png", "fox."):
        assert not is_picture_name(name)


def test_what_moves_is_no_picture():
    """A video is none; a GIF and a camera's raw file are, though they are not shaded."""
    video = foreign(b"\0\0\0\x14ftypisom\0\0\0\0mp42" + bytes(9))
    gif, raw = foreign(b"GIF89a"), foreign(b"FUJIFILMCCD-RAW 0201")
    assert video is not None
    assert gif is not None
    assert raw is not None
    assert video[0] in NO_PICTURES
    assert gif[0] not in NO_PICTURES
    assert raw[0] not in NO_PICTURES
