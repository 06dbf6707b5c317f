"""Markers in every metadata carrier: a position, a name, a thumbnail of the original, looked for in what is published.

The carriers are what Pillow, tifffile or a hand-made file can hold: any EXIF and TIFF tag of any type in any directory,
any IPTC dataset, any XMP property in any form, any PNG text and chunk, any JPEG segment, any WebP chunk, AVIF items,
and bytes behind the end. A marker may be found only where the settings allow it.
"""

from __future__ import annotations

import base64
import struct
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from shaded.publishing import exif
from shaded.publishing import exif_tags as tags
from shaded.publishing import xmp_names as names
from shaded.publishing.ifd import Entry
from shaded.publishing.metadata import rights_in
from shaded.publishing.reading import decode
from shaded.publishing.resizing import fit_side
from shaded.publishing.writing import encode
from shaded.settings import Metadata, Rights
from tests.publishing.carriers import (
    FORMATS,
    PIXELS,
    SOURCES,
    avif,
    jpeg,
    png,
    stored_texts,
    tiff,
    webp,
    with_exif,
    with_iptc,
    with_xmp,
)  # fmt: skip
from tests.publishing.samples import ICC_RGB, iptc_records, raw_profile, saved, smooth, xmp_packet

NAME = "Zoë Markerson"
#: A small JPEG of the picture, as cameras store it.
THUMBNAIL = saved(Image.fromarray(smooth(40, 60, seed=3)), "JPEG", quality=60)
PLACES = (
    "52.51634, 13.37770", "N 52° 30.980' E 13° 22.662'", "52,30.9804N", "geo:52.51634,13.37770",
    "+52.51634+013.37770/",
    "52/1, 30/1, 5882/100", "https://www.google.com/maps/@52.51634,13.37770,17z", "GPS 52.51634 13.37770",
)  # fmt: skip
#: Parts of the markers that nothing else in a published file has.
POSITIONS = (
    "51634", "980'", "30.9804", "5882/100", struct.pack("<d", 52.51634), struct.pack(">d", 52.51634),
    struct.pack("<6I", 52, 1, 30, 1, 5882, 100), struct.pack(">6I", 52, 1, 30, 1, 5882, 100),
)  # fmt: skip
FRACTIONS = {order: struct.pack(f"{order}6I", 52, 1, 30, 1, 5882, 100) for order in "<>"}


def _spellings(marker):
    """A marker as bytes, in the ways in which a block may hold it."""
    if isinstance(marker, bytes):
        return [marker]
    return [marker.encode(), marker.encode("utf-16-le"), marker.encode("utf-16-be"), marker.encode("latin-1"),
            marker.encode().hex().encode(), base64.b64encode(marker.encode())[:-4]]  # fmt: skip


def _holds(data, marker):
    whole = stored_texts(data)
    return any(spelling in whole for spelling in _spellings(marker))


def _holds_picture(data):
    """Whether a stretch of the thumbnail's coded pixels is there, as bytes or spelled with letters."""
    piece = THUMBNAIL[-120:-20]
    whole = stored_texts(data)
    encoded = [base64.b64encode(piece[at:]).strip(b"=")[2:60] for at in range(3)]
    wide = [
        bytes(byte for letter in text for byte in (letter, 0)) for text in (encoded[0][:40], piece.hex().encode()[:40])
    ]
    return any(spelling in whole for spelling in (piece[:40], piece.hex().encode()[:60], *encoded, *wide))


def _value(draw, order):
    """A position or a name or a picture as the value of a tag: the kind of marker, and the entry."""
    kind = draw(st.sampled_from(["place", "name", "picture"]))
    if kind == "place" and draw(st.booleans()):
        form = draw(st.sampled_from(["fractions", "doubles"]))
        if form == "fractions":
            return kind, Entry(draw(st.sampled_from([5, 10])), 3, FRACTIONS[order])
        return kind, Entry(12, 2, struct.pack(f"{order}2d", 52.51634, 13.3777))
    text = {"place": draw(st.sampled_from(PLACES)), "name": NAME, "picture": None}[kind]
    if text is None:
        raw = draw(st.sampled_from([
            THUMBNAIL, b"ASCII\0\0\0" + base64.b64encode(THUMBNAIL), base64.b64encode(THUMBNAIL),
            THUMBNAIL.hex().encode(),
            base64.b64encode(THUMBNAIL).decode().encode("utf-16-le"), base64.encodebytes(THUMBNAIL),
        ]))  # fmt: skip
    else:
        raw = draw(st.sampled_from([
            text.encode() + b"\0", text.encode("utf-16-le"), b"ASCII\0\0\0" + text.encode(), bytes(8) + text.encode(),
            b"UNICODE\0" + text.encode("utf-16-be"), b"UNICODE\0" + text.encode("utf-16-le"), b"-\0" + text.encode(),
        ]))  # fmt: skip
    number, size = draw(
        st.sampled_from([(1, 1), (2, 1), (2, 1), (7, 1), (129, 1), (3, 2), (6, 1), (9, 4), (5, 8), (12, 8)])
    )
    raw += b"\0" * (-len(raw) % size)
    return kind, Entry(number, len(raw) // size, raw)


LISTED = sorted(
    tags.TEXTS
    | tags.WIDE_TEXTS
    | tags.INTEGERS
    | tags.FRACTIONS
    | tags.CODES
    | tags.OF_FULL_SIZE
    | tags.GEOTIFF
    | tags.GPS
)
#: Tags that a TIFF file needs for itself, or that hold blocks of other kinds.
NEEDED = frozenset({
    *range(254, 267), 273, *range(277, 285), 284, 292, 293, 296, *range(317, 326), 330, 338, 339, 347, *range(512, 522),
    *range(529, 533), 700, 33723, 34377, 34665, 34675, 34853, 37724, 40965, 50706,
})  # fmt: skip
any_tag = st.one_of(st.sampled_from(LISTED), st.integers(1, 65535)).filter(lambda tag: tag not in NEEDED)


@st.composite
def in_exif(draw):
    """A marker in any tag of any directory of an EXIF block, or of a TIFF's own directories."""
    order = draw(st.sampled_from("<>"))
    kind, entry = _value(draw, order)
    where = draw(st.sampled_from(["main", "photo", "gps"]))
    tag = draw(st.sampled_from(sorted(tags.GPS))) if where == "gps" else draw(any_tag)
    block = exif.build(exif.Exif(order, **{where: {tag: entry}}))
    spoken = tag in tags.TEXTS | tags.WIDE_TEXTS or (where == "gps" or tag in tags.GEOTIFF)
    form = draw(st.sampled_from(SOURCES))
    if form == "png" and draw(st.booleans()):
        profile = raw_profile("exif", b"Exif\0\0" + block)
        data = png((b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(profile)))
    else:
        data = with_exif(form, block)
    return kind, "exif" if spoken else "nothing", f"{where} {tag} {entry.type} of a {form}", data


@st.composite
def in_iptc(draw):
    """A marker in any dataset, in a JPEG, a TIFF or a PNG's raw profile."""
    kind = draw(st.sampled_from(["place", "place name", "name", "picture"]))
    texts = {"place": draw(st.sampled_from(PLACES)), "place name": "Markerville", "name": NAME}
    value = texts[kind].encode() if kind in texts else draw(st.sampled_from([THUMBNAIL, base64.b64encode(THUMBNAIL)]))
    record, number = draw(st.sampled_from([1, 2, 2, 2, 2, 3, 7, 8])), draw(st.integers(0, 255))
    if kind == "place name":
        record, number = 2, draw(st.sampled_from([26, 27, 90, 92, 95, 100, 101]))
    form = draw(st.sampled_from(["jpeg", "png", "tiff"]))
    return (
        kind,
        "xmp",
        f"{record}:{number} of a {form}",
        with_iptc(form, iptc_records((2, 25, b"cow"), (record, number, value))),
    )


SPACES = {**names.PREFIXES, "own": "http://example.org/own/", "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
          "crs": "http://ns.adobe.com/camera-raw-settings/1.0/", "drone": "http://www.dji.com/drone-dji/1.0/",
          "xmpGImg": "http://ns.adobe.com/xap/1.0/g/img/",
          "GImage": "http://ns.google.com/photos/1.0/image/"}  # fmt: skip
listed_names = st.sampled_from(sorted(names.HARMLESS | names.PLACES)).map(names.shown_name)
place_names = st.sampled_from(sorted(names.PLACES)).map(names.shown_name)
own_names = st.tuples(
    st.sampled_from(sorted(set(SPACES) - {"x", "rdf"})),
    st.sampled_from(["History", "Thumbnails", "GPSLatitude", "Data", "image"]),
).map(":".join)


@st.composite
def in_xmp(draw):
    """A marker in any property: as element, attribute, item, field, qualifier, comment or text between."""
    kind = draw(st.sampled_from(["place", "place name", "name", "picture"]))
    texts = {"place": draw(st.sampled_from(PLACES)), "place name": "Markerville", "name": NAME}
    text = texts.get(kind) or draw(st.sampled_from([base64.b64encode(THUMBNAIL).decode(), THUMBNAIL.hex()]))
    text = text.replace("'", "&apos;")
    name = draw(place_names if kind == "place name" else st.one_of(listed_names, own_names))
    outer = draw(listed_names)
    inner, attributes = draw(st.sampled_from([
        (f"<{name}>{text}</{name}>", ""),
        ("", f"{name}='{text}'"),
        (f"<{outer}><rdf:Bag><rdf:li>cow</rdf:li><rdf:li><{name}>{text}</{name}></rdf:li></rdf:Bag></{outer}>", ""),
        (f"<{outer} rdf:parseType='Resource'><{name}>{text}</{name}></{outer}>", ""),
        (f"<{outer}><rdf:Description {name}='{text}'/></{outer}>", ""),
        (f"<{outer} {name}='{text}'/>", ""),
        (f"<{name} rdf:resource='{text}'/>", ""),
        (f"<{name}><rdf:Alt><rdf:li xml:lang='x-default'>{text}</rdf:li></rdf:Alt></{name}>", ""),
        (f"<{name} xml:lang='{text}'>a</{name}>", ""),
    ] if kind != "place name" else [(f"<{name}>{text}</{name}>", ""), ("", f"{name}='{text}'")]))  # fmt: skip
    declared = " ".join(f'xmlns:{prefix}="{space}"' for prefix, space in SPACES.items()
                        if prefix not in ("x", "rdf", "dc", "exif", "xmp", "xmpGImg", "own", "plus"))  # fmt: skip
    packet = xmp_packet(inner, f"{declared} {attributes}")
    form = draw(st.sampled_from(SOURCES))
    if form == "jpeg" and draw(st.booleans()):
        head = b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32 + struct.pack(">II", len(packet), 0)
        data = jpeg((1, head + packet)) if len(packet) < 65_000 else with_xmp(form, packet)
    else:
        data = with_xmp(form, packet)
    foreign = name.partition(":")[0] in ("own", "xmpMM", "crs", "drone", "xmpGImg", "GImage")
    return kind, "nothing" if foreign else "xmp", f"{inner or attributes} of a {form}"[:300], data


@st.composite
def in_texts(draw):
    """A marker in a PNG's text under any keyword, a JPEG's comment, or where nobody looks."""
    kind = draw(st.sampled_from(["place", "name", "picture"]))
    text = {"place": draw(st.sampled_from(PLACES)), "name": NAME, "picture": base64.b64encode(THUMBNAIL).decode()}[kind]
    raw = text.encode()
    keyword = draw(st.sampled_from([
        "Title", "Author", "Comment", "Source", "Creation Time", "exif:GPSLatitude", "exif:Artist", "Location", "geo",
        "Thumb::Image", "parameters", "Raw profile type exif", "Raw profile type generic", "XML:com.adobe.xmp",
        "Software",
    ])).encode()  # fmt: skip
    private = [  # no carrier of any setting: nothing may be left of it
        jpeg((draw(st.integers(2, 15)), b"Marker\0" + raw)), jpeg((1, b"Marker\0" + raw)),
        jpeg((0, b"JFXX\0\x10" + raw)),
        png((draw(st.sampled_from([b"prVt", b"gIFx", b"sPLT", b"hIST", b"gAMA", b"tIME", b"iDOT"])), raw)),
        png(after=[(b"prVt", raw)]), webp((b"MARK", raw)), avif() + struct.pack(">I", 8 + len(raw)) + b"free" + raw,
        png() + raw, jpeg() + raw, webp() + raw,
        tiff({draw(st.sampled_from([269, 285, 316, 33432 + 7, 37393, 50341, 59932, 65000])): Entry(7, len(raw), raw)}),
        jpeg((13, b"Photoshop 3.0\x008BIM" + draw(st.sampled_from([b"\x04\x0c", b"\x04\x09", b"\x03\xf0"])) + b"\0\0"
              + struct.pack(">I", len(raw)) + raw + b"\0" * (len(raw) & 1))),
    ]  # fmt: skip
    spoken = [
        png((b"tEXt", keyword + b"\0" + raw)), png((b"zTXt", keyword + b"\0\0" + zlib.compress(raw))),
        png((b"iTXt", keyword + b"\0\0\0\0\0" + raw)), png(after=[(b"iTXt", keyword + b"\0\1\0en\0" + raw[:60] + b"\0"
                                                                   + zlib.compress(raw))]),
        jpeg(comment=raw),
    ]  # fmt: skip
    hidden = draw(st.booleans())
    return kind, "nothing" if hidden else "xmp", keyword.decode(), draw(st.sampled_from(private if hidden else spoken))


@st.composite
def in_profile(draw):
    """A position or a picture among the words of a colour profile."""
    kind = draw(st.sampled_from(["place", "picture"]))
    text = draw(st.sampled_from(PLACES)) if kind == "place" else base64.b64encode(THUMBNAIL).decode()
    words = draw(
        st.sampled_from([text.encode(), text.encode("utf-16-be"), *([THUMBNAIL] if kind == "picture" else [])])
    )
    form = draw(st.sampled_from(["JPEG", "PNG", "WEBP", "TIFF", "AVIF"]))
    return kind, "profile", form, saved(PIXELS, form, icc_profile=ICC_RGB + words)


ways = (
    st.one_of(in_exif(), in_iptc(), in_xmp(), in_texts(), in_profile()),
    st.sampled_from(["same", *FORMATS]), st.booleans(), st.booleans(), st.booleans(), st.booleans(),
)  # fmt: skip


def _judge(carrier, output, keep_exif, keep_xmp, gps, reduced):
    kind, setting, where, data = carrier
    picture = decode(data)
    if reduced:
        picture = fit_side(picture, 15)
    keep = Metadata(exif=keep_exif, xmp=keep_xmp, gps=gps)
    published = encode(picture, picture.colour, output, metadata=keep, rights=Rights(creator="Bob")).data
    kept = {"exif": keep_exif, "xmp": keep_xmp, "nothing": False, "profile": True}[setting]
    assert not _holds_picture(published), where
    if kind == "place" and not (gps and kept):
        assert not any(_holds(published, marker) for marker in POSITIONS), where
    if kind == "place name" and not (gps and kept):
        assert not _holds(published, "Markerville"), where
    if kind == "name" and not kept:
        assert not _holds(published, "Markerson"), where


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(*ways)
def test_a_marker_is_published_only_where_the_settings_allow_it(carrier, output, keep_exif, keep_xmp, gps, reduced):
    """Positions only with ``gps``, names only while their block is kept, pictures never."""
    _judge(carrier, output, keep_exif, keep_xmp, gps, reduced)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(max_examples=2_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(*ways)
def test_two_thousand_markers(carrier, output, keep_exif, keep_xmp, gps, reduced):
    """The same with two thousand."""
    _judge(carrier, output, keep_exif, keep_xmp, gps, reduced)


CREATORS = (
    *(("exif", 315, kind) for kind in (2, 129)), ("photo", 42039, 129), ("xp", 40093, 1),
)  # fmt: skip


@pytest.mark.parametrize("output", FORMATS)
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(("where", "tag", "kind"), CREATORS)
def test_a_name_that_may_stay_is_found(where, tag, kind, source, output):
    """Every EXIF tag that names who made a picture is in the published file, from any container in any."""
    raw = f"{NAME}\0".encode("utf-16-le" if where == "xp" else "utf-8")
    tree = exif.Exif("<", **{"photo" if where == "photo" else "main": {tag: Entry(kind, len(raw), raw)}})
    picture = decode(with_exif(source, exif.build(tree)))
    published = encode(picture, picture.colour, output, rights=Rights(creator="Bob")).data
    assert _holds(published, NAME)
    assert rights_in(decode(published)).creator == NAME
    assert b"Bob" not in published


@pytest.mark.parametrize("output", FORMATS)
@pytest.mark.parametrize("source", SOURCES)
def test_a_place_that_may_stay_is_found(source, output):
    """The GPS directory and XMP's GPS properties, from any container in any."""
    tree = exif.Exif("<", gps={1: Entry(2, 2, b"N\0"), 2: Entry(5, 3, FRACTIONS["<"])})
    picture = decode(with_exif(source, exif.build(tree)))
    assert not _holds(encode(picture, picture.colour, output).data, FRACTIONS["<"])
    assert _holds(encode(picture, picture.colour, output, metadata=Metadata(gps=True)).data, FRACTIONS["<"])
    picture = decode(with_xmp(source, xmp_packet("<exif:GPSLatitude>52,30.9804N</exif:GPSLatitude>")))
    assert not _holds(encode(picture, picture.colour, output).data, "30.9804")
    assert _holds(encode(picture, picture.colour, output, metadata=Metadata(gps=True)).data, "30.9804")


def test_the_search_finds_markers():
    """The test's own eyes: each marker is found in a file that holds it, in each spelling."""
    for text in PLACES:
        assert any(_holds(with_xmp("jpeg", xmp_packet(f"<dc:title>{text}</dc:title>")), marker) for marker in POSITIONS)
    for raw in (
        THUMBNAIL,
        base64.b64encode(THUMBNAIL),
        THUMBNAIL.hex().encode(),
        b"a" + base64.b64encode(b"a" + THUMBNAIL),
    ):
        assert _holds_picture(png((b"tEXt", b"Comment\0" + raw)))
        assert _holds_picture(png((b"zTXt", b"Comment\0\0" + zlib.compress(raw))))
    assert not _holds_picture(saved(smooth(40, 60, seed=4), "JPEG"))
