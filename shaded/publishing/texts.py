"""The texts of a PNG: which are published, and the metadata of other kinds that programs store in them.

Published are the keywords that the standard registers. ImageMagick and GIMP write EXIF, IPTC, XMP and ICC profiles as
hexadecimal digits under "Raw profile type NAME"; those are read like the blocks that they are.
(PNG, third edition, 11.3.3; ImageMagick's coders/png.c for the raw profiles.)
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from shaded.publishing import iptc
from shaded.publishing.claims import has_words, may_hold_words, shown
from shaded.publishing.embedded import left_out, objection, together
from shaded.publishing.exif import block_of
from shaded.publishing.exif_texts import decode_text
from shaded.publishing.ifd import ByteOrder, Entry
from shaded.publishing.picture import Kind
from shaded.publishing.walking import png_chunk

TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt")
_XMP = "xml:com.adobe.xmp"
_RAW = re.compile(r"raw\s+profile\s+type\s+(\S.*)", re.IGNORECASE | re.DOTALL)
_XMP_SEGMENT = b"http://ns.adobe.com/xap/1.0/\0"
_LARGEST = 16_000_000
_LONGEST = 60_000
_MOST_TEXTS = 1000
_MANY = f"texts after the first {_MOST_TEXTS:,}"
_PHOTOSHOP = ("iptc", "8bim", "app13")
_MOST_IN_ALL = 48_000_000

#: Keywords that are published, and other spellings of them: without a prefix such as ``exif:``, in small letters.
_KEYWORDS = {
    "title": "Title", "imagetitle": "Title", "author": "Author", "artist": "Author", "creator": "Author",
    "photographer": "Author", "byline": "Author", "by-line": "Author", "authors": "Author", "author(s)": "Author",
    "image author": "Author", "owner": "Author", "copyright notice": "Copyright", "copyrightnotice": "Copyright",
    "description": "Description", "imagedescription": "Description", "copyright": "Copyright",
    "rights": "Copyright", "creation time": "Creation Time", "software": "Software", "disclaimer": "Disclaimer",
    "warning": "Warning", "source": "Source", "comment": "Comment", "usercomment": "Comment",
}  # fmt: skip
#: Keywords that are not published and name a maker or an owner.
_NAMING = frozenset({"credit", "cameraownername", "camera owner name", "ownername", "maker", "autor", "by", "licensor"})
#: Registered keywords whose texts are times and programs.
_SILENT_KEYWORDS = ("Creation Time", "Software")
#: Registered keywords whose texts describe; a claim in them counts, another word does not.
DESCRIBING = ("Comment", "Disclaimer", "Warning", "Source")
#: Prefixes of what programs note about themselves, other files and profiles.
_SILENT_PREFIXES = ("thumb:", "icc:", "png:", "jpeg:", "date:")
#: Keywords, without a prefix and in small letters, whose texts name no maker and no owner: times, programs, renderers,
#: and EXIF's tags on the camera as ImageMagick writes them.
_SILENT = frozenset({
    "aperturevalue", "artfilter", "aspect", "bitspersample", "brightnessvalue", "camera", "cfapattern",
    "colorspace", "componentsconfiguration", "compressedbitsperpixel", "compression", "contrast", "create-date",
    "creationdate", "creator-tool", "creatortool", "customrendered", "date", "datetime", "datetimedigitized",
    "datetimeoriginal", "devicesettingdescription", "digitalzoomratio", "encoder", "exifimagelength",
    "exifimagewidth", "exifoffset", "exifversion", "exposurebiasvalue", "exposureindex", "exposuremode",
    "exposureprogram", "exposuretime", "file", "filename", "filesource", "flash", "flashenergy", "flashpixversion",
    "fnumber", "focallength", "focallengthin35mmfilm", "focalplaneresolutionunit", "focalplanexresolution",
    "focalplaneyresolution", "frame", "gaincontrol", "generator", "hostcomputer", "imagelength", "imageuniqueid",
    "imagewidth", "interoperabilityindex", "interoperabilityoffset", "interoperabilityversion", "isospeedratings",
    "jpeginterchangeformat", "jpeginterchangeformatlength", "lensmake", "lensmodel", "lensserialnumber",
    "lensspecification", "lightsource", "make", "makernote", "maxaperturevalue", "meteringmode", "model",
    "modify-date", "offsettime", "offsettimedigitized", "offsettimeoriginal", "orientation",
    "photographicsensitivity", "photometricinterpretation", "pixelxdimension", "pixelydimension",
    "primarychromaticities", "printimagematching", "recommendedexposureindex", "render-time", "rendertime",
    "resolution", "resolutionunit", "samplesperpixel", "saturation", "scene", "scenecapturetype", "scenetype",
    "sensingmethod", "sensitivitytype", "sharpness", "shutterspeedvalue", "standardoutputsensitivity",
    "subjectarea", "subjectdistance", "subjectdistancerange", "subjectlocation", "subsectime",
    "subsectimedigitized", "subsectimeoriginal", "thumbnail", "time", "timestamp", "version", "whitebalance",
    "whitepoint", "xresolution", "ycbcrcoefficients", "ycbcrpositioning", "yresolution",
})  # fmt: skip
#: GPS tags by the names that ImageMagick writes as ``exif:NAME``, and whether they hold fractions.
_GPS_TAGS = {
    "gpslatituderef": (1, False), "gpslatitude": (2, True), "gpslongituderef": (3, False), "gpslongitude": (4, True),
    "gpsaltitude": (6, True), "gpstimestamp": (7, True), "gpsspeedref": (12, False), "gpsspeed": (13, True),
    "gpsimgdirectionref": (16, False), "gpsimgdirection": (17, True), "gpsmapdatum": (18, False),
    "gpsdatestamp": (29, False),
}  # fmt: skip
_FRACTION = re.compile(r"(\d{1,9})/(\d{1,9})")


@dataclass(frozen=True)
class Texts:
    """What the text chunks of a file hold.

    Attributes:
        texts: Keyword and text of each, as written.
        blocks: Blocks of other kinds that were stored as texts.
        icc: A colour profile that was stored as a text.
        unreadable: What was there and could not be read, by name.
        unknown: What could be read and is not understood, by name.
    """

    texts: tuple[tuple[str, str], ...]
    blocks: tuple[tuple[Kind, bytes], ...]
    icc: bytes | None
    unreadable: tuple[str, ...]
    unknown: tuple[str, ...] = ()


def inflate(data: bytes, most: int = _LARGEST) -> bytes | None:
    """Decompressed data, or ``None`` when they are damaged or longer than ``most`` bytes."""
    machine = zlib.decompressobj()
    try:
        out = machine.decompress(data, max(most, 1))
    except zlib.error:
        return None
    return out if machine.eof else None


def _split(kind: bytes, content: bytes, left: int) -> tuple[str, bytes | None]:
    """Keyword and text of a text chunk; the text is ``None`` when it cannot be read, in ``left`` bytes at most."""
    key, _, rest = content.partition(b"\0")
    keyword = decode_text(key).strip()
    block = keyword.casefold() == _XMP or _RAW.match(keyword) is not None
    most = min(left, _LARGEST if block else 2 * _LONGEST)
    text: bytes | None = rest
    if kind == b"zTXt":
        text = inflate(rest[1:], most)
    elif kind == b"iTXt" and len(rest) >= 2:
        text = rest[2:].split(b"\0", 2)[-1]
        if rest[0]:
            text = inflate(text, most)
    return keyword, text


def _named(keyword: str) -> str:
    return f'text "{shown(keyword)}"'


def _short(keyword: str) -> str:
    return re.split("[:.]", keyword)[-1].strip().casefold()


def _raw_profile(text: bytes) -> bytes | None:
    """The bytes of a raw profile: a name and a length on lines of their own, then hexadecimal digits."""
    lines = text.strip().split(b"\n", 2)
    try:
        length, content = int(lines[1]), bytes.fromhex(b"".join(lines[2].split()).decode("ascii"))
    except (IndexError, ValueError):
        return None
    return content[:length] if length and len(content) >= length else None


def _blocks(name: str, content: bytes) -> tuple[list[tuple[iptc.Resource, bytes]], bool]:
    """What a raw profile holds, by kind, and whether all of it could be read."""
    if content.startswith(_XMP_SEGMENT):
        return [("xmp", content[len(_XMP_SEGMENT) :])], True
    if name in ("exif", "app1"):
        return [("exif", block_of(content))], True
    if name in _PHOTOSHOP:
        return iptc.blocks_of(content.removeprefix(b"Photoshop 3.0\0"))
    if name == "xmp":
        return [("xmp", content)], True
    return ([("icc", content)] if name in ("icc", "icm") else []), True


def read(chunks: Iterable[tuple[bytes, bytes]]) -> Texts:
    """Read the text chunks, given as kind and content, in their order."""
    texts: list[tuple[str, str]] = []
    blocks: list[tuple[Kind, bytes]] = []
    profiles: list[bytes] = []
    unreadable: list[str] = []
    foreign: list[str] = []
    left = _MOST_IN_ALL
    for chunk_kind, content in chunks:
        keyword, text = _split(chunk_kind, content, left)
        left -= len(text or b"")
        raw = _RAW.match(keyword)
        if keyword.casefold() == _XMP and text is not None:
            blocks.append(("xmp", text))
        elif raw is not None:
            profile = None if text is None else _raw_profile(text)
            found, whole = ([], False) if profile is None else _blocks(raw[1].strip().casefold(), profile)
            if profile is not None:
                foreign += _unknown_profile(keyword, raw[1].strip().casefold(), profile, found)
            blocks += [(kind, block) for kind, block in found if kind != "icc"]
            profiles += [block for kind, block in found if kind == "icc"]
            if not whole and raw[1].strip().casefold() not in ("icc", "icm"):
                unreadable.append(_named(keyword))
        elif text is not None:
            if len(texts) < _MOST_TEXTS:
                texts.append((keyword, decode_text(text)))
            elif _MANY not in unreadable:
                unreadable.append(_MANY)
        elif not _is_silent(keyword):
            unreadable.append(_named(keyword))
    icc = profiles[0] if profiles else None
    return Texts(tuple(texts), tuple(blocks), icc, tuple(unreadable), tuple(foreign))


def _unknown_profile(keyword: str, name: str, profile: bytes, found: list[tuple[iptc.Resource, bytes]]) -> list[str]:
    """What of a raw profile is not understood and may name somebody."""
    if name in _PHOTOSHOP:
        return iptc.unknown_resources(profile.removeprefix(b"Photoshop 3.0\0"))
    return [] if found or not may_hold_words(profile) else [_named(keyword)]


def texts_of(texts: Iterable[tuple[str, str]], keyword: str) -> list[str]:
    """The texts under a registered keyword or another spelling of it."""
    return [
        text.strip("\0 \t\r\n")
        for key, text in texts
        if _KEYWORDS.get(_short(key)) == keyword and text.strip("\0 \t\r\n")
    ]


def names_somebody(keyword: str) -> bool:
    """Whether a keyword that is not published stands before the name of a maker or an owner."""
    return _short(keyword) in _NAMING


def _is_silent(keyword: str) -> bool:
    """Whether what stands under a keyword names no maker and no owner."""
    short = _short(keyword)
    known = (
        short in _SILENT or short in _GPS_TAGS or short.startswith("gps") or _KEYWORDS.get(short) in _SILENT_KEYWORDS
    )
    return known or keyword.casefold().startswith(_SILENT_PREFIXES)


def unknown(texts: Iterable[tuple[str, str]]) -> list[str]:
    """The texts, by name, under keywords that are not known here, and with words that may name somebody."""
    return [
        _named(key)
        for key, text in texts
        if _short(key) not in _KEYWORDS and not names_somebody(key) and not _is_silent(key) and has_words(text)
    ]


def publishable(texts: Iterable[tuple[str, str]], *, gps: bool, notes: list[str]) -> tuple[tuple[str, str], ...]:
    """What of the texts is published, under the registered keywords.

    What was left out of them for what it holds goes to ``notes``, in sentences.
    """
    kept: list[tuple[str, str]] = []
    for key, text in texts:
        keyword = _KEYWORDS.get(_short(key), "")
        if not keyword and gps and _short(key) in _GPS_TAGS:
            keyword = key
        if not keyword or not text.strip():
            continue
        against = "too much" if len(text.encode("utf-8", "replace")) > _LONGEST else objection(text, gps=gps)
        if against is None:
            kept.append((keyword, text))
        else:
            notes.append(left_out(f'The text "{keyword}"', against))
    for keyword in dict.fromkeys(key for key, _ in kept):
        against = together([text for key, text in kept if key == keyword], gps=gps)
        if against is not None:
            notes.append(left_out(f'The text "{keyword}"', against))
            kept = [one for one in kept if one[0] != keyword]
    return tuple(dict.fromkeys(kept))


def gps_of(texts: Iterable[tuple[str, str]], order: ByteOrder) -> dict[int, Entry]:
    """The place that ImageMagick wrote as texts, as the entries of a GPS directory."""
    entries: dict[int, Entry] = {}
    for key, text in texts:
        tag, numeric = _GPS_TAGS.get(_short(key), (0, False))
        if tag and numeric:
            parts = _FRACTION.findall(text)[:3]
            raw = b"".join(struct.pack(f"{order}II", int(top), int(bottom)) for top, bottom in parts)
            entries[tag] = Entry(5, len(parts), raw)
        elif tag:
            raw = text.strip().encode("utf-8")[:64] + b"\0"
            entries[tag] = Entry(2, len(raw), raw)
    return {tag: entry for tag, entry in entries.items() if entry.count}


def chunk(keyword: str, text: str) -> bytes:
    """A text chunk: ``tEXt`` for Latin-1 that nobody can take for UTF-8, else ``iTXt``."""
    text = text.replace("\0", "").replace("\r\n", "\n")
    key = keyword.encode("latin-1", "replace")[:79]
    plain = text.encode("latin-1", "replace")
    if decode_text(plain) == text:
        return png_chunk(b"tEXt", key + b"\0" + plain)
    return png_chunk(b"iTXt", key + b"\0\0\0\0\0" + text.encode("utf-8"))
