"""Recognising a free text that tells where a picture was taken.

Carriers of positions are known and left out by name. This is the second net, for texts that a person or a program
wrote. It asks whether numbers in the text could be a latitude and a longitude (``coordinates.py``), and knows the grids
and codes that stand for a position, words for coordinates beside numbers, and links to maps. In doubt a text tells a
place. Names of places are not recognised. The patterns are RE2's, which takes time in proportion to the text.
"""

from __future__ import annotations

import html
import re
import unicodedata
from itertools import pairwise
from urllib.parse import unquote

import re2

from shaded.publishing.coordinates import could_be_coordinates

#: Signs that people and keyboards use for degrees, minutes, seconds, minus and the decimal point, as one of each.
_SIGNS = str.maketrans({
    **dict.fromkeys("\u00ba\u02da\u2070", "\u00b0"),
    **dict.fromkeys("\u2032\u2018\u2019\u02b9\u00b4\u02bc\uff07", "'"),
    **dict.fromkeys("\u2033\u201c\u201d\u02ba\u02dd", '"'),
    **dict.fromkeys("\u2212\u2010\u2011\u2013\ufe63", "-"),
    **dict.fromkeys("\u066b\u00b7", "."), "\u060c": ",",
})  # fmt: skip
_ESCAPE = re.compile(r"\\u([0-9A-Fa-f]{4})|\\x([0-9A-Fa-f]{2})")

_PLUS = "23456789CFGHJMPQRVWX"
#: The squares of 100 kilometres of the British grid that have land in them.
_SQUARES = "H[PTUW-Z]|N[A-DF-HJ-PR-UW-Z]|OV|S[C-EHJKM-PR-Z]|T[AFGLMQRV]"
#: Names of grids, codes and formats: with a number behind them they are positions.
_SYSTEMS = (
    "utm", "mgrs", "usng", "osgb", "os ?grid", "grid ?ref", "gitter", "lv ?95", "lv ?03", "ch ?1903", "gauss", "epsg",
    "srid", "easting", "northing", "rechtswert", "hochwert", "maidenhead", "qth", "locator", "gpgga", "gprmc",
    "wgs ?84", "etrs ?89",
)  # fmt: skip
#: Latitude and longitude, as words or as they begin.
_WORDS = (
    "latitud", "longitud", "breitengrad", "längengrad", "geograaf", "breddegrad", "lengdegrad", "latitid", "szeroko",
    "zeměpis", "enlem", "boylam", "широт", "долгот", "[緯経纬经經]度", "위도", "경도", "अक्षांश", "देशांतर",
    "خط العرض", "خط الطول", "דרוחב", "קו אורך", "ละติจูด", "vĩ độ", "kinh độ",
)  # fmt: skip
_CODES = ("geohash", "what ?3 ?words", r"\bw3w\b", r"plus ?codes?\b", r"\bolc\b", "mapcode")
#: Sites that show places and do not say so in their name.
_SITES = (
    r"osm\.org", r"geohack", r"waze\.com", r"here\.com", r"plus\.codes", r"earth\.google\.", r"w3w\.co",
    r"komoot\.[a-z]+", r"geocaching\.com", r"peakfinder\.", r"foursquare\.com", r"swarmapp\.com",
)  # fmt: skip
_HOST = r"(?:[\w-]+\.)+[a-z]{2,}"
_MAP_WORDS = "maps?|kart[ea]?n?|cartes?|mapas?|mappe|mapa?y|геокарта|карты?|地図|地图"

_TELLING = (
    # Links to maps: in the name of the host, or as a part of the address.
    r"(?i)\b[\w.-]*(?:map|karte)[\w-]*(?:\.[\w-]+)*\.[a-z]{2,}(?::\d+)?[/?#]",
    r"(?i)https?://[\w.-]*(?:map|karte)[\w.-]*\.[a-z]",
    rf"(?i)\b{_HOST}(?::\d+)?/(?:[^\s]*[^\sa-z])?(?:{_MAP_WORDS})(?:[^\sa-z]|\s|$)",
    rf"(?i)(?:^|[^\w])(?:[\w-]+\.)*(?:{'|'.join(_SITES)})",
    r"(?i)[?&#;](?:f?lat|f?lon|f?lng|latitude|longitude|s?ll|cp|mlat|mlon|center|daddr|point[xy])=[^a-z]{0,6}\d",
    r"(?i)[?&#](?:q|query|map)=(?:\d{1,2}/)?[-+]?\d{1,3}\.\d",
    r"(?i)\bgeo:\s*[-+]?\d",
    r"(?i)\bgeo:(?:lat|lon|lng)\w*\s*=",
    # Words beside numbers.
    rf"(?i)(?:{'|'.join(_WORDS)})[^\d]{{0,24}}\d",
    r"(?i)\bgps[^\d]{0,24}\d{1,3}(?:[^\d]|$)",
    r"(?i)\b(?:lat|lon|lng)\.?\b[^\d\w]{0,6}\d{1,3}(?:[.,]\d|\s*°|\s+\d|\s*[,;/]|\s+[a-z]+\W{0,3}\d|\s*$)",
    r"(?i)\b(?:lats|lati|long|longi|loc|location|pos|position|standort|ubicaci\w+)\b[^\d\w]{0,6}\d{1,3}[.,]\d{3,}",
    r"(?i)\b(?:coord(?:inate)?s?|koordinaten|coordonn\w+|coordenad\w+|координат\w*)\b[^\d]{0,12}\d{1,3}(?:[.,]\d|\s*°)",
    r"(?i)\b(?:POINT|LINESTRING|POLYGON|latlng)\s*(?:Z\s*)?\(*\s*[-+]?\d",
    r"(?i)\bbreite\b\W{0,4}\d{1,3}[.,]\d+\W{0,8}l.nge\b\W{0,4}\d",
    rf"(?i)(?:^|[^\w])(?:{'|'.join(_SYSTEMS)})\b?[^\d]{{0,16}}\d{{2}}",
    rf"(?i)(?:^|[^\w])(?:{'|'.join(_SYSTEMS)})\W+[a-z]{{2}}\d",
    rf"(?i)(?:{'|'.join(_CODES)})[^\w]*\w",
    r"(?:^|\s|\()///\s?[^\s./]+\.[^\s./]+\.[^\s./]+",
    # Grids: MGRS, the British and the Irish one, and any of metres in two numbers of six digits or seven.
    r"\b\d{1,2}\s?[C-HJ-NP-X]\s?[A-HJ-NP-Z]{2}\s?(?:\d{4}|\d{6}|\d{8}|\d{10}|\d{2,5}\s\d{2,5})\b",
    r"\b\d{1,2}\s?[C-HJ-NP-X]\s+\d{6}(?:\.\d+)?\s?m?\s*E?,?\s+\d{7}(?:\.\d+)?\b",
    rf"\b(?:{_SQUARES})\s?(?:\d{{3}}\s?\d{{3}}|\d{{4}}\s?\d{{4}}|\d{{5}}\s?\d{{5}})\b",
    r"\b[A-HJ-Z]\s?(?:\d{5}\s\d{5}|\d{4}\s\d{4})\b",
    r"(?i)(?:^|[^\d.,:+-])[-+]?\d{6,7}(?:[.,]\d+)?\s?(?:m\s?)?(?:[EON]\s?)?[\s/,;|]\s*(?:[EON]\s?)?[-+]?\d{6,7}(?:[.,]\d+|[^\d.,:]|[.,]\s|[.,]?$)",
    # Codes: Maidenhead.
    r"\b[A-R]{2}\d{2}[A-X]{2}(?:\d{2}(?:[A-X]{2})?)?\b",
    r"\b[A-R]{2}\d{2}[a-x]{2}(?:\d{2}(?:[a-x]{2})?)?\b",
    # One number with degrees as fine as only positions have them, alone.
    r"^\s*[-+]?(?:\d{2,3}[.,]\d{4,}|\d[.,]\d{6,})\s*°?\s*$",
    # ISO 6709, and decimals behind underscores.
    r"[-+]\d{2}(?:\d{2}){0,2}(?:\.\d+)?[-+]\d{3}(?:\d{2}){0,2}(?:\.\d+)?(?:[-+]\d+(?:\.\d+)?)?(?:CRS[^/\s]{0,20})?/(?:\s|$)",
    r"[-+]\d{2}(?:\d{2}){0,2}\.\d{2,}[-+]\d{3}(?:\d{2}){0,2}\.\d{2,}",
    r"\b\d{1,3}_\d{4,}_\d{1,3}_\d{4,}(?:\D|$)",
)
_ANY = re2.compile("|".join(f"(?:{pattern})" for pattern in _TELLING))
#: A word that may be a geohash. It has none of four letters, and digits among them.
_HASH = re2.compile(r"(?:^|[\s(\[{,;:|])([0-9b-hjkmnp-z]{7,12})(?:$|[\s)\]},;|])")
_FEWEST_TURNS, _LONG_HASH = 3, 9
#: An Open Location Code, whole, short or cut off. One without a letter is a sum.
_CODE = re2.compile(
    rf"(?i)\b([{_PLUS}]{{8}}\+|[{_PLUS}]{{2,6}}0{{2,6}}\+|[{_PLUS}]{{6}}\+|[{_PLUS}]{{4}}(?:[{_PLUS}]{{2}})?\+[{_PLUS}]{{2,3}}\b)"
)


def _plain(text: str) -> str:
    """The text with the usual signs and digits, and without escapes and invisible characters."""
    text = _ESCAPE.sub(lambda found: chr(int(found[1] or found[2], 16)), unquote(html.unescape(text)))
    text = unicodedata.normalize("NFKC", text.translate(_SIGNS)).translate(_SIGNS)
    if text.isascii():
        return text
    return "".join(
        str(unicodedata.decimal(sign)) if sign.isdecimal() else sign
        for sign in text
        if unicodedata.category(sign) != "Cf"
    )


def _is_hash(word: str) -> bool:
    """Whether letters and digits of a word alternate as they do in a geohash, most of which are letters."""
    if 2 * sum(map(str.isalpha, word)) < len(word):
        return False
    turns = sum(one.isdigit() != other.isdigit() for one, other in pairwise(word))
    return turns >= _FEWEST_TURNS or (turns == _FEWEST_TURNS - 1 and len(word) >= _LONG_HASH)


def tells_a_place(text: str) -> bool:
    """Whether a text could hold a position on Earth, or the address of one on a map."""
    plain = _plain(text)
    return (
        _ANY.search(plain) is not None
        or any(map(_is_hash, _HASH.findall(plain)))
        or any(any(map(str.isalpha, code)) for code in _CODE.findall(plain))
        or could_be_coordinates(plain)
    )
