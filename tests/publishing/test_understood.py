"""The settings' creator stands on a picture only where all of its metadata were understood and name nobody."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from PIL import Image, PngImagePlugin

from shaded.publishing import exif, iptc
from shaded.publishing.ifd import Entry
from shaded.publishing.metadata import rights_in
from shaded.publishing.reading import decode
from shaded.publishing.walking import png_chunk
from shaded.publishing.writing import encode
from shaded.settings import Metadata, Rights
from tests.publishing import carriers
from tests.publishing.carriers import FORMATS, jpeg, png, tiff, webp, with_exif, with_iptc, with_xmp
from tests.publishing.isofile import Part, assembled, box, part_of
from tests.publishing.samples import exif_with_thumbnail, iptc_records, raw_profile, saved, text_entry, xmp_packet

_NAME = b"Alice Author"
_CREATOR = "<dc:creator><rdf:Seq><rdf:li>Alice Author</rdf:li></rdf:Seq></dc:creator>"
_PACKET = xmp_packet(_CREATOR)
_ARTIST = exif.build(exif.Exif("<", {315: text_entry("Alice Author")}))
_RECORDS = iptc_records((2, 80, _NAME))


def _tagged(tag, raw, kind=7):
    """An EXIF block with one tag of any number."""
    return exif.build(exif.Exif("<", {tag: Entry(kind, len(raw), raw)}))


def _behind(data, segment):
    """A JPEG with a segment between its pixels and its end mark."""
    return data[:-2] + segment + data[-2:]


def _segment(marker, content):
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content


def _second_directory(tag):
    """An EXIF block whose second directory, a thumbnail's, has a tag."""
    block = bytearray(exif.build(exif.Exif("<", {274: Entry(3, 1, b"\1\0")})))
    struct.pack_into("<I", block, 22, len(block))
    block += struct.pack("<HHHIII", 1, tag, 2, len(_NAME), len(block) + 18, 0) + _NAME
    return bytes(block)


def _still(*properties, boxes=b"", more=()):
    coded = saved(carriers.PIXELS, "AVIF", speed=10)
    return assembled([part_of(coded, *properties), *more], brands=(b"avif", b"mif1", b"avif", b"miaf")) + boxes


def _xmp(inner="", attributes=""):
    spaces = {
        "o": "http://example.org/own/", "p": "http://ns.adobe.com/photoshop/1.0/",
        "u": "http://ns.useplus.org/ldf/xmp/1.0/", "c": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    }  # fmt: skip
    stated = " ".join(f'xmlns:{prefix}="{space}"' for prefix, space in spaces.items())
    return with_xmp("jpeg", xmp_packet(inner, f"{stated} {attributes}"))


_DUCKY = b"Ducky\0\1\0\4\0\0\0P\0\2\0\x1c\0\0\0\x0c" + "Alice Author".encode("utf-16-be") + b"\0\0"
_DEEP = "<dc:creator>" + "<rdf:Bag><rdf:li>" * 20 + "Alice" + "</rdf:li></rdf:Bag>" * 20 + "</dc:creator>"
_MANY = "".join(f'<rdf:li xml:lang="x-{n}">(c) Alice</rdf:li>' for n in range(3000))

PIECES = {
    **{f"tag {tag} in EXIF, {form}": with_exif(form, _tagged(tag, raw))
       for form in ("jpeg", "png", "webp", "avif", "heic")
       for tag, raw in ((700, _PACKET), (33723, _RECORDS), (34377, iptc.app13(_RECORDS)[18:]), (269, _NAME),
                        (60000, _NAME))},
    **{f"a private tag, {kind}": jpeg((1, b"Exif\0\0" + _tagged(60000, raw, kind)))
       for kind, raw in ((1, _NAME), (2, _NAME), (7, "Alice".encode("utf-16-le")))},
    "a TIFF's document name": tiff({269: text_entry("Alice Author")}),
    "a TIFF's private tag": tiff({60000: text_entry("Alice Author")}),
    "GDAL's metadata": tiff({42112: text_entry("<GDALMetadata><Item name='Author'>Alice</Item></GDALMetadata>")}),
    "an OME document": tiff({270: text_entry("<?xml version='1.0'?><OME><Experimenter FirstName='Alice'/></OME>")}),
    "a thumbnail's artist": jpeg((1, b"Exif\0\0" + _second_directory(315))),
    "an earlier comment": jpeg()[:2] + _segment(0xFE, b"Copyright 2020 Alice") + _segment(0xFE, b"GD") + jpeg()[2:],
    "a comment behind the pixels": _behind(jpeg(), _segment(0xFE, b"(c) Alice")),
    "EXIF behind the pixels": _behind(jpeg(), _segment(0xE1, b"Exif\0\0" + _ARTIST)),
    "a segment behind the end": jpeg() + _segment(0xE1, b"Exif\0\0" + _ARTIST),
    "a WebP's chunk behind the end": webp() + b"EXIF" + len(_ARTIST).to_bytes(4, "little") + _ARTIST,
    "a PNG's chunk behind the end": png() + png_chunk(b"tEXt", b"Author\0Alice"),
    "Ducky": jpeg((12, _DUCKY)),
    "a segment of a program": jpeg((9, b"Studio\0by Alice")),
    "EXIF without zeros": jpeg((1, b"Exif" + _ARTIST)),
    "EXIF in another segment": jpeg((3, b"Exif\0\0" + _ARTIST)),
    "XMP without a heading": jpeg((1, _PACKET)),
    "Photoshop's address of the owner": jpeg((13, b"Photoshop 3.0\x008BIM\4\x0b\0\0\0\0\0\x0calice.author")),
    "content credentials": jpeg((11, b"JP\0\1\0\0\0\1jumb stds.schema-org.CreativeWork Alice")),
    "an IPTC dataset": with_iptc("jpeg", iptc_records((2, 187, _NAME))),
    "an IPTC record": with_iptc("jpeg", iptc_records((3, 80, _NAME))),
    "an IPTC source": with_iptc("jpeg", iptc_records((2, 115, _NAME))),
    "the 1,001st text": png(*((b"tEXt", b"Comment\0v"),) * 1000, (b"tEXt", b"Author\0Alice")),
    "a raw profile of no name": png((b"tEXt", b"Raw profile type generic\0" + raw_profile("generic", _ARTIST))),
    "an unreadable text": png((b"zTXt", b"Credit\0\0rubbish")),
    **{f'the text "{keyword}"': png((b"tEXt", keyword.encode("latin-1") + b"\0Alice Author")) for keyword in (
        "Copyright Owner", "Rights Holder", "Attribution", "Artist Name", "Urheber", "Auteur", "Anything")},
    "a chunk": png((b"naMe", _NAME)),
    "a colour chunk with words": png((b"gAMA", b"Alice Author")),
    **{f"WebP's {kind!r}": webp((kind, content)) for kind, content in (
        (b"xmp ", _PACKET), (b"IPTC", _RECORDS), (b"LIST", b"INFOIART\x0c\0\0\0Alice Author"), (b"META", _NAME))},
    "an XMP box": _still(boxes=box(b"uuid", bytes.fromhex("be7acfcb97a942e89c71999491e3afac"), _PACKET)),
    "packed XMP": _still(more=[Part(b"mime", zlib.compress(_PACKET), (), ((b"cdsc", (1,)),))]),
    "an item": _still(more=[Part(b"uri ", _NAME, (), ((b"cdsc", (1,)),))]),
    "a description among the properties": _still(box(b"udes", bytes(4), b"en\0Title\0(c) Alice\0a,b\0")),
    "XMP of one's own": _xmp("<o:drawnBy>Alice Author</o:drawnBy>"),
    "XMP of one's own, short": _xmp(attributes='o:drawnBy="Alice Author"'),
    "a structure of one's own": _xmp("<o:who rdf:parseType='Resource'><o:name>Alice</o:name></o:who>"),
    "a field of one's own": _xmp("<dc:title><o:by>Alice</o:by></dc:title>"),
    "a node of one's own": with_xmp("jpeg", xmp_packet().replace(
        b"</rdf:RDF>", b"<own:Person xmlns:own='urn:own'>Alice</own:Person></rdf:RDF>")),
    "a value as an attribute": _xmp("<dc:creator><rdf:Description rdf:value='Alice Author'/></dc:creator>"),
    "text between items": _xmp("<dc:creator><rdf:Seq><rdf:li/>Alice Author</rdf:Seq></dc:creator>"),
    "text outside of properties": with_xmp("jpeg", xmp_packet().replace(b"</x:xmpmeta>", b"Alice</x:xmpmeta>")),
    "a second packet behind the first": with_xmp("jpeg", xmp_packet() + _PACKET),
    "a name behind the end of a text": jpeg((1, b"Exif\0\0" + _tagged(315, b"\0Alice Author\0", 2))),
    "a deep creator": _xmp(_DEEP),
    "a large creator": with_xmp("png", xmp_packet(_CREATOR.replace("Alice", "Alice" + "x" * 70_000))),
    "rights in 3,000 languages": with_xmp("png", xmp_packet(f"<dc:rights><rdf:Alt>{_MANY}</rdf:Alt></dc:rights>")),
    "a contributor": _xmp("<dc:contributor><rdf:Bag><rdf:li>Alice</rdf:li></rdf:Bag></dc:contributor>"),
    "a publisher": _xmp("<dc:publisher><rdf:Bag><rdf:li>Alice</rdf:li></rdf:Bag></dc:publisher>"),
    "a source": _xmp(attributes='p:Source="Alice"'),
    "a supplier": _xmp("<u:ImageSupplier><rdf:Seq><rdf:li u:ImageSupplierName='Alice'/></rdf:Seq></u:ImageSupplier>"),
    "a contact": _xmp("<c:CreatorContactInfo rdf:parseType='Resource'><c:CiEmailWork>alice@example.com</c:CiEmailWork>"
                      "</c:CreatorContactInfo>"),
    "a title that claims": _xmp(attributes='dc:title="Cow, painted by Alice"'),
    "an instruction that claims": with_iptc("jpeg", iptc_records((2, 40, b"Credit: Alice"))),
}  # fmt: skip


@pytest.mark.parametrize("where", PIECES)
def test_no_creator_is_written_beside_what_is_not_understood(where):
    """Nor a notice with the creator's name; a sentence says why."""
    picture = decode(PIECES[where])
    for output in ("jpeg", "png"):
        encoded = encode(picture, picture.colour, output, rights=Rights(creator="Bob", notice="(c) Bob"))
        assert b"Bob" not in encoded.data
        assert any(warning.startswith("rights.creator was not written") for warning in encoded.warnings)
        assert any(warning.startswith("rights.notice was not written") for warning in encoded.warnings)


def test_the_warning_names_the_pieces():
    """A person can look there, and not more than a few are listed."""
    tags = {60000 + n: text_entry("Alice") for n in range(7)}
    picture = decode(jpeg((1, b"Exif\0\0" + exif.build(exif.Exif("<", tags)))))
    warning = encode(picture, picture.colour, rights=Rights(creator="Bob")).warnings[-1]
    assert "EXIF's 60000, EXIF's 60001" in warning
    assert warning.endswith("and 2 more).")


def test_without_a_creator_in_the_settings_nothing_is_said():
    """Metadata that nobody understands are a matter of course then."""
    picture = decode(PIECES["a private tag, 2"])
    assert not encode(picture, picture.colour).warnings


def test_numbered_members_are_items():
    """A list of creators says the same in both of RDF's spellings."""
    packet = xmp_packet("<dc:creator><rdf:Seq><rdf:_1>Alice</rdf:_1><rdf:_2>Zoe</rdf:_2></rdf:Seq></dc:creator>")
    assert rights_in(decode(with_xmp("jpeg", packet))).creator == "Alice; Zoe"


def test_a_blank_tag_hides_no_other():
    """Where the first directory has a blank artist, the photo data may have one."""
    block = exif.build(exif.Exif("<", {315: text_entry("   ")}, {315: text_entry("Alice")}))
    assert rights_in(decode(with_exif("jpeg", block))).creator == "Alice"


def test_the_owner_of_a_tiff_counts():
    """The camera's owner stands in a branch that is not published."""
    picture = decode(tiff({}, exif.Exif("<", photo={42032: text_entry("Zoe")})))
    assert rights_in(decode(encode(picture, picture.colour, rights=Rights(creator="Bob")).data)).creator == ""


_SPACES = " ".join(f'xmlns:{prefix}="{space}"' for prefix, space in {
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/", "stEvt": "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#",
    "crs": "http://ns.adobe.com/camera-raw-settings/1.0/", "p": "http://ns.adobe.com/photoshop/1.0/",
    "GIMP": "http://www.gimp.org/xmp/", "tiff": "http://ns.adobe.com/tiff/1.0/",
    "mwg": "http://www.metadataworkinggroup.com/schemas/regions/", "r": "http://ns.adobe.com/xap/1.0/rights/",
    "GCamera": "http://ns.google.com/photos/1.0/camera/", "tdm": "http://www.w3.org/ns/tdmrep/",
}.items())  # fmt: skip
_PROGRAMS = xmp_packet(
    """<xmpMM:History><rdf:Seq><rdf:li stEvt:action="saved" stEvt:softwareAgent="Adobe Photoshop 25.1"
       stEvt:instanceID="xmp.iid:0f2a"/></rdf:Seq></xmpMM:History><crs:Look><rdf:Description crs:Name="Adobe Color"
       crs:Copyright="© 2018 Adobe"/></crs:Look><p:TextLayers><rdf:Bag><rdf:li p:LayerName="BOOM" p:LayerText="BOOM"/>
       </rdf:Bag></p:TextLayers><mwg:Regions rdf:parseType="Resource"><mwg:Name>A face</mwg:Name></mwg:Regions>
       <dc:title><rdf:Alt><rdf:li xml:lang="x-default">A cow at noon</rdf:li></rdf:Alt></dc:title>""",
    f"""{_SPACES} xmp:CreatorTool="Adobe Photoshop 25.1 (Windows)" dc:format="image/jpeg" p:ColorMode="3"
        p:ICCProfile="sRGB IEC61966-2.1" GIMP:API="2.0" GIMP:Platform="Linux" GIMP:Version="2.10" tiff:Make="Acme"
        crs:ProcessVersion="11.0" GCamera:MicroVideo="1" tdm:reservation="1" r:Marked="True"
        tdm:policy="https://example.org/tdm.json"
        plus:DataMining="http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED"
        r:WebStatement="http://creativecommons.org/licenses/by/4.0/" """,
)  # fmt: skip


def _camera(order="<"):
    """What cameras write: notes, serial numbers, padding, a thumbnail, blank names, a comment that is no more."""
    ascii_tags = {271: "Acme", 272: "Acme X100", 305: "Ver.1.00", 316: "Phone", 315: "      ", 33432: "   "}
    main = {tag: text_entry(text) for tag, text in ascii_tags.items()}
    main |= {
        531: Entry(3, 1, b"\2\0"),
        59932: Entry(7, 2000, bytes(2000)),
        50341: Entry(7, 28, b"PrintIM\x000300" + bytes(16)),
    }
    photo = {
        37500: Entry(7, 600, b"Acme Maker Note" * 40), 37510: Entry(7, 40, b"ASCII\0\0\0" + b" " * 32),
        42016: text_entry("Image-0001"), 42033: text_entry("SN-ABC"), 42036: text_entry("A lens"),
        37121: Entry(7, 4, b"\1\2\3\0"), 41730: Entry(7, 8, b"\2\0\2\0\0\1\1\2"), 41995: Entry(7, 12, b"Acme Setting"),
    }  # fmt: skip
    return exif.build(exif.Exif(order, main, photo))


def _magick():
    info = PngImagePlugin.PngInfo()
    for key, text in {
        "date:create": "2024-05-01T10:20:30+00:00", "date:modify": "2024-05-01T10:20:30+00:00", "exif:Make": "Acme",
        "exif:ExifVersion": "48, 50, 51, 50", "exif:MakerNote": "65, 99", "icc:description": "sRGB",
        "Software": "Krita",
        "icc:copyright": "Public Domain", "png:IHDR.color_type": "2", "Thumb::URI": "file:///a/b.png",
        "signature": "d41d8cd98f00b204e9800998ecf8427e" * 2, "Comment": "Created with GIMP", "Title": "A cow",
    }.items():  # fmt: skip
        info.add_text(key, text)
    return saved(carriers.PIXELS, "PNG", pnginfo=info, dpi=(72, 72))


def _photoshop():
    resources = b"".join(
        b"8BIM" + struct.pack(">HHI", number, 0, len(content)) + content + b"\0" * (len(content) & 1)
        for number, content in (
            (0x03ED, b"\0\x48\0\0\0\1\0\1\0\x48\0\0\0\1\0\1"), (0x041A, "Untitled".encode("utf-16-be")),
            (0x0421, b"\0\0\0\1\1\0\0\0\x0f" + "Adobe Photoshop".encode("utf-16-be")), (0x0425, bytes(range(16))),
            (0x2710, bytes(10)),
        )
    )  # fmt: skip
    return jpeg(
        (1, b"http://ns.adobe.com/xap/1.0/\0" + _PROGRAMS), (2, b"MPF\0" + bytes(40)),
        (12, b"Ducky\0\1\0\4\0\0\0P\0\0"),
        (13, b"Photoshop 3.0\0" + resources), (11, b"JP\0\1\0\0\0\1jumb c2pa.actions"),
        comment=b"File written by Adobe Photoshop\xa8 4.0",
    )  # fmt: skip


def _by_pillow(form, **options):
    image = Image.fromarray(carriers.PIXELS)
    tags = image.getexif()
    tags[271], tags[305], tags[274] = "Acme", "Krita", 1
    out = io.BytesIO()
    image.save(out, form, exif=tags, **options)
    return out.getvalue()


ORDINARY = {
    **{f"a camera's, {form}": with_exif(form, _camera()) for form in ("jpeg", "png", "webp", "tiff", "avif", "heic")},
    "a camera's, with a thumbnail": jpeg((1, b"Exif\0\0" + exif_with_thumbnail().replace(b"Ada Painter", b" " * 11))),
    **{f"a program's XMP, {form}": with_xmp(form, _PROGRAMS) for form in carriers.SOURCES},
    "ImageMagick's texts": _magick(),
    "Photoshop's JPEG": _photoshop(),
    "IPTC without names": with_iptc("jpeg", iptc_records((1, 90, b"\x1b%G"), (2, 0, b"\0\4"), (2, 5, b"A cow"),
                                                         (2, 25, b"cow"), (2, 55, b"20240501"), (2, 65, b"Acme"))),
    **{f"Pillow's {form}": _by_pillow(form) for form in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF")},
    "a phone's film behind the end": jpeg() + jpeg() + b"ftypmp42 film of Alice",
    "GD's JPEG": jpeg(comment=b"CREATOR: gd-jpeg v1.0 (using IJG JPEG v62), quality = 90\n"),
    "tifffile's": tiff({270: text_entry('{"shape": [20, 30, 3]}'), 305: text_entry("tifffile.py")}),
    "an animation's chunks": png((b"vpAg", bytes(9)), (b"iDOT", b"\0\0\0\2" * 7), (b"tIME", b"\7\xe8\5\1\12\24\36")),
}  # fmt: skip


@pytest.mark.parametrize("where", ORDINARY)
def test_ordinary_files_without_a_name_get_the_creator(where):
    """What cameras, phones and painting programs write about themselves is known to name nobody."""
    picture = decode(ORDINARY[where])
    for output in FORMATS:
        encoded = encode(picture, picture.colour, output, rights=Rights(creator="Bob"), metadata=Metadata(gps=True))
        assert rights_in(decode(encoded.data)).creator == "Bob"
        again = decode(encoded.data)
        assert not again.container.unknown
        assert not again.container.unreadable
