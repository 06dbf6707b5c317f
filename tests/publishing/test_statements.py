"""What a picture says about itself, wherever it says it."""

from __future__ import annotations

import struct

import pytest

from shaded.publishing import exif, statements
from shaded.publishing import xmp_names as names
from shaded.publishing.ifd import Entry
from shaded.publishing.picture import Container
from shaded.publishing.statements import Statements
from tests.publishing.samples import exif_block, iptc_records, text_entry, xmp_packet


def _xmp(attributes="", inner=""):
    spaces = " ".join(f'xmlns:{prefix}="{space}"' for prefix, space in names.PREFIXES.items()
                      if prefix not in ("x", "rdf", "dc", "exif", "xmp", "plus"))  # fmt: skip
    return xmp_packet(inner, f"{spaces} {attributes}")


def _exif(**entries):
    tree = {int(name[1:]): entry for name, entry in entries.items()}
    return exif.build(exif.Exif("<", tree))


def _wide(text):
    raw = f"{text}\0".encode("utf-16-le")
    return Entry(1, len(raw), raw)


NAMED = {
    "EXIF Artist": {"exif": _exif(t315=text_entry("Zoë"))},
    "EXIF Artist as UTF-8": {"exif": _exif(t315=Entry(129, 5, "Zoë\0".encode()))},
    "EXIF Photographer": {"exif": exif.build(exif.Exif("<", photo={42039: Entry(129, 5, "Zoë\0".encode())}))},
    "XPAuthor": {"exif": _exif(t40093=_wide("Zoë"))},
    "second EXIF block": {"exif": exif_block(), "further": (("exif", _exif(t315=text_entry("Zoë"))),)},
    "IPTC": {"iptc": iptc_records((2, 80, "Zoë".encode()))},
    "IPTC in Latin-1": {"iptc": iptc_records((1, 90, b"\x1b-A"), (2, 80, b"Zo\xeb"))},
    "dc:creator": {"xmp": _xmp(inner="<dc:creator><rdf:Seq><rdf:li>Zoë</rdf:li></rdf:Seq></dc:creator>")},
    "dc:creator, short": {"xmp": _xmp('dc:creator="Zoë"')},
    "tiff:Artist": {"xmp": _xmp('tiff:Artist="Zoë"')},
    "exifEX:Photographer": {"xmp": _xmp('exifEX:Photographer="Zoë"')},
    "plus:ImageCreator": {"xmp": _xmp(inner="<plus:ImageCreator><rdf:Seq><rdf:li plus:ImageCreatorName='Zoë'/>"
                                            "</rdf:Seq>"
                                            "</plus:ImageCreator>")},
    "extended XMP": {"xmp": _xmp(), "further": (("xmp", _xmp('dc:creator="Zoë"')),)},
    "PNG Author": {"texts": (("Author", "Zoë"),)},
    "ImageMagick's exif:Artist": {"texts": (("exif:Artist", "Zoë"),)},
}  # fmt: skip


@pytest.mark.parametrize("where", NAMED)
def test_people_are_found_everywhere(where):
    """Whoever is named in any carrier is named."""
    assert "Zoë" in statements.of(Container("png", "RGB", **NAMED[where])).creators


@pytest.mark.parametrize(
    "fields",
    [
        {"exif": _exif(t33432=text_entry("© Zoë"))}, {"iptc": iptc_records((2, 116, "© Zoë".encode()))},
        {"exif": _exif(t33432=Entry(2, 8, "\0© Zoë\0".encode()))}, {"xmp": _xmp('dc:rights="© Zoë"')},
        {"xmp": _xmp('tiff:Copyright="© Zoë"')}, {"xmp": _xmp('xmpRights:UsageTerms="© Zoë"')},
        {"texts": (("Copyright", "© Zoë"),)},
    ],
)  # fmt: skip
def test_notices_are_found_everywhere(fields):
    """EXIF (the editor's part as well), IPTC, XMP, PNG."""
    assert statements.of(Container("png", "RGB", **fields)).notices == ("© Zoë",)


@pytest.mark.parametrize(
    "fields",
    [
        {"exif": exif.build(exif.Exif("<", photo={42038: text_entry("A cow")}))},
        {"exif": _exif(t40091=_wide("A cow"))},
        {"iptc": iptc_records((2, 5, b"A cow"))}, {"xmp": _xmp('dc:title="A cow"')}, {"texts": (("title", "A cow"),)},
    ],
)  # fmt: skip
def test_titles_are_found_everywhere(fields):
    """EXIF 3.0, Windows, IPTC, XMP, PNG."""
    assert statements.of(Container("png", "RGB", **fields)).titles == ("A cow",)


def test_keywords_are_collected():
    """XMP, the leaves of Lightroom's hierarchies, IPTC and Windows; each once, whatever its case."""
    inner = (
        "<dc:subject><rdf:Bag><rdf:li>Cow</rdf:li></rdf:Bag></dc:subject>"
        "<lr:hierarchicalSubject><rdf:Bag><rdf:li>animal|cow</rdf:li><rdf:li>land|meadow</rdf:li></rdf:Bag></lr:hierarchicalSubject>"
    )
    container = Container(
        "jpeg", "RGB", xmp=_xmp(inner=inner), iptc=iptc_records((2, 25, b"noon")), exif=_exif(t40094=_wide("cow;grass"))
    )
    assert statements.of(container).keywords == ("Cow", "meadow", "noon", "grass")


def test_several_names_in_one_text_are_several_people():
    """Windows and EXIF separate them by semicolons."""
    assert statements.of(Container("jpeg", "RGB", exif=_exif(t315=text_entry("Ada; Bob")))).creators == ("Ada", "Bob")


def test_what_is_said_here_and_not_there():
    """Differences of case and spaces are none."""
    here = Statements(creators=("Ada  Painter", "Bob"), keywords=("cow",))
    assert here.beyond(Statements(creators=("ada painter",))) == Statements(creators=("Bob",), keywords=("cow",))


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"exif": b"II*\0\xff\xff\xff\xff"}, "EXIF data"),
        ({"exif": b"rubbish"}, "EXIF data"),
        ({"exif": exif_block(), "further": (("exif", b"rubbish"),)}, "EXIF data"),
        ({"exif": _exif(t315=text_entry("Zoe Painter"))[:18] + struct.pack("<I", 60_000) + bytes(20)}, "EXIF data"),
        ({"iptc": iptc_records((2, 80, b"Ada"))[:-1]}, "IPTC records"),
        ({"xmp": b"<broken"}, "XMP packet"),
        ({"xmp": _xmp(), "further": (("xmp", b"<broken"),)}, "XMP packet"),
        ({"unreadable": ('text "Author"',)}, 'text "Author"'),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(fields, name):
    """A block that is there and cannot be read is not absent."""
    assert statements.read(Container("png", "RGB", **fields))[1] == [name]


def test_what_is_too_large_is_named():
    """The property, not the packet."""
    described, unreadable, notes = statements.read(Container("png", "RGB", xmp=_xmp(f'dc:title="{"a" * 70_000}"')))
    assert described.xmp[0].properties == []
    assert not unreadable
    assert notes == ["XMP's dc:title was left out: it is too large."]


NAMED_BESIDE = {
    "the camera's owner": {"exif": exif.build(exif.Exif("<", {271: text_entry("Acme")}))},
    "a credit line": {"iptc": iptc_records((2, 110, b"Zoe"))},
    "a copyright owner": {"xmp": _xmp(inner="<plus:CopyrightOwner><rdf:Seq><rdf:li plus:CopyrightOwnerName='Zoe'/>"
                                            "</rdf:Seq></plus:CopyrightOwner>")},
    "another vocabulary": {"xmp": _xmp('xmlns:pdf="http://ns.adobe.com/pdf/1.3/" pdf:Author="Zoe"')},
    "a notice in a comment": {"comment": b"Copyright 2020 Zoe"},
    "a notice in a description": {"exif": _exif(t270=text_entry("Fox, painted by Zoe"))},
    "a text that is not published": {"texts": (("Credit", "Zoe"),)},
}  # fmt: skip
NAMED_BESIDE["the camera's owner"] = {"exif": b"II*\0" + struct.pack("<IHHHIII", 8, 1, 34665, 4, 1, 26, 0)
                                      + struct.pack("<HHHI4sI", 1, 42032, 2, 4, b"Zoe\0", 0)}  # fmt: skip


@pytest.mark.parametrize("where", NAMED_BESIDE)
def test_whoever_else_is_named_is_credited(where):
    """Owners, credit lines, makers in vocabularies that are not published, and notices inside of other texts."""
    said = statements.of(Container("jpeg", "RGB", **NAMED_BESIDE[where]))
    assert not said.creators
    assert any("Zoe" in text for text in said.credits)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16"])
def test_wide_texts_in_tags_for_narrow_ones_are_read(encoding):
    """A name in UTF-16 where a letter should be a byte is the whole name, and not its first letter."""
    raw = "Zoë".encode(encoding) + b"\0\0"
    assert statements.of(Container("jpeg", "RGB", exif=_exif(t315=Entry(2, len(raw), raw)))).creators == ("Zoë",)


@pytest.mark.parametrize("kind", [1, 2, 7])
def test_narrow_texts_in_tags_for_wide_ones_are_read(kind):
    """A name with a byte for each letter where Windows has two."""
    raw = "Zoë Roe\0".encode()
    assert statements.of(Container("jpeg", "RGB", exif=_exif(t40093=Entry(kind, len(raw), raw)))).creators == (
        "Zoë Roe",
    )


@pytest.mark.parametrize("tag", [315, 33432, 40093])
def test_names_of_an_odd_type_are_unreadable(tag):
    """A tag that names somebody and has a type that no text has is not the same as no tag."""
    block = b"II*\0" + struct.pack("<IHHHI4sI", 8, 1, tag, 9, 1, b"Zoe\0", 0)
    assert "EXIF data" in statements.read(Container("jpeg", "RGB", exif=block))[1]
