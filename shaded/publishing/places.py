"""Recognising a free text that tells where a picture was taken.

Carriers of positions are known and left out by name. This is the second net, for texts that a person or a program
wrote: addresses of maps, coordinates in the usual notations, and numbers beside words such as "latitude". Names of
places are not recognised. The patterns are RE2's, which takes time in proportion to the text whatever it says.
(Notations: RFC 5870 for ``geo:``, ISO 6709 annexes D and H, EXIF and XMP for fractions and ``52,31.2N``.)
"""

from __future__ import annotations

import html
import unicodedata
from itertools import pairwise

import re2

#: Signs that people and keyboards use for degrees, minutes, seconds, minus and the decimal point, as one of each.
_SIGNS = str.maketrans({
    **dict.fromkeys("\u00ba\u02da\u2070", "\u00b0"),
    **dict.fromkeys("\u2032\u2018\u2019\u02b9\u00b4", "'"),
    **dict.fromkeys("\u2033\u201c\u201d\u02ba", '"'),
    **dict.fromkeys("\u2212\u2013\ufe63", "-"),
    "\u066b": ".",
})  # fmt: skip
_ESCAPES = {"%C2%B0": "°", "%2C": ",", "%20": " ", r"\u00b0": "°", r"\u00B0": "°", r"\u2032": "'", r"\u2033": '"'}

_SIGN = r"[-+]?"
_DECIMALS = r"(?:[.,]\d+)?"
_BETWEEN = r"[\s,;/]*"
_NORTH, _EAST = "[NSns]", "[EWOeow]"
#: Degrees and minutes, perhaps seconds, with spaces or colons between.
_STEPS = rf"\d{{1,3}}[\s:]\d{{1,2}}{_DECIMALS}(?:[\s:]\d{{1,2}}{_DECIMALS})?"
_MAPS = (
    r"maps\.google", r"maps\.apple", r"maps\.app\.goo", r"google\.[a-z.]{2,6}/maps", r"goo\.gl/maps", r"bing\.com/maps",
    r"osm\.org/", r"openstreetmap\.(?:org|de|fr)", r"what3words\.com", r"w3w\.co/", r"geohack", r"waze\.com",
    r"here\.com/", r"mapquest\.", r"yandex\.[a-z]{2,3}/maps", r"map\.baidu\.", r"amap\.com", r"mapy\.(?:cz|com)",
    r"geohash", r"maps\.me/", r"earth\.google\.", r"plus\.codes/",
)  # fmt: skip
#: Latitude and longitude in English and what begins like it, German, Russian, Japanese, Chinese.
_WORDS = (
    "latitud", "longitud", "breitengrad", r"l\x{00e4}ngengrad", r"\x{0448}\x{0438}\x{0440}\x{043e}\x{0442}",
    r"\x{0434}\x{043e}\x{043b}\x{0433}\x{043e}\x{0442}", r"[\x{7def}\x{7d4c}\x{7eac}\x{7ecf}]\x{5ea6}",
)  # fmt: skip

_TELLING = (
    # Addresses.
    rf"(?i)\bgeo:\s*{_SIGN}\d",
    r"(?i)\bgeo:(?:lat|lon|lng)\w*\s*=",
    rf"(?i)\b(?:{'|'.join(_MAPS)})",
    rf"(?i)[?&#](?:q|s?ll|cp|m?lat|m?lon|lng|center|daddr|query|map)=(?:\d{{1,2}}/)?{_SIGN}\d{{1,3}}\.\d",
    rf"/@{_SIGN}\d{{1,3}}\.\d+,",
    r"(?:^|\s)///[^\s./]+\.[^\s./]+\.[^\s./]+",
    # Words beside numbers.
    rf"(?i)(?:{'|'.join(_WORDS)})[^\d]{{0,24}}\d",
    r"(?i)\bgps[^\d]{0,24}\d{1,3}(?:[^\d]|$)",
    r"(?i)\b(?:lat|lon|lng)\.?\b[^\d\w]{0,6}\d{1,3}(?:[.,]\d|\s*°|\s+\d)",
    r"(?i)\b(?:lats|lati|long|longi|loc|location|pos|position)\b[^\d\w]{0,6}\d{1,3}[.,]\d{3,}",
    r"(?i)\b(?:coord(?:inate)?s?|koordinaten)\b[^\d]{0,12}\d{1,3}(?:[.,]\d|\s*°)",
    rf"(?i)\b(?:POINT|LINESTRING)\s*(?:Z\s*)?\(\s*{_SIGN}\d",
    # Degrees with minutes, or with the letter of a direction.
    r"\d\s*°\s*\d{1,2}(?:[.,]\d+)?\s*'",
    r"\d°\d",
    rf"\d\s*°\s*(?:{_NORTH}|{_EAST})\b",
    rf"\b(?:{_NORTH}|{_EAST})\s*\d{{1,3}}{_DECIMALS}\s*°",
    rf"(?i)\d\s*deg(?:rees)?\.?\s*\d{{1,2}}{_DECIMALS}\s*(?:'|m\b|min)",
    rf"\b\d{{1,3}}\s*d\s*\d{{1,2}}\s*m\s*(?:\d{{1,2}}{_DECIMALS}\s*s\s*)?[NSEWO]\b",
    # A latitude and a longitude with the letters of directions.
    rf"\d{{1,2}}[.,]\d+\s*{_NORTH}\b{_BETWEEN}{_SIGN}\d{{1,3}}[.,]\d+\s*{_EAST}\b",
    rf"\b{_NORTH}\s?\d{{1,2}}[.,]\d{{2,}}{_BETWEEN}{_EAST}\s?\d{{1,3}}[.,]\d{{2,}}",
    rf"\b{_STEPS}\s*[NS]\b{_BETWEEN}{_STEPS}\s*[EWO]\b",
    rf"\b[NS]\s?{_STEPS}{_BETWEEN}{_EAST}\s?{_STEPS}",
    r"\b\d{1,3},\d{1,2}(?:\.\d+|,\d{1,2})\s?[NSEW]\b",
    # One of the two, to a few metres.
    r"\b\d{1,3}\.\d{4,}\s?[NSEW]\b",
    r"\b[NSEW]\s?\d{1,3}\.\d{4,}\b",
    rf"^\s*{_SIGN}(?:\d{{2,3}}\.\d{{4,}}|\d\.\d{{6,}})\s*$",
    # EXIF's fractions as text: degrees, minutes, seconds.
    r"\b\d{1,3}/1(?:\s*,\s*|\s+)[0-5]?\d/1(?:\s*,\s*|\s+)\d{1,10}/\d+\b",
    # Sixtieths without letters, and NMEA 0183: degrees and minutes in one number.
    r"\b\d{1,3}:\d{2}:\d{2}\.\d+[\s,;/]+[-+]?\d{1,3}:\d{2}:\d{2}\.\d",
    r"\b\d{1,3}d\s?\d{1,2}\.\d+\s?m\b",
    r"\b\d{4}\.\d+,[NS],\d{5}\.\d+,[EW]\b",
    # ISO 6709.
    r"[-+]\d{2}(?:\d{2}){0,2}\.\d{2,}[-+]\d{3}(?:\d{2}){0,2}\.\d{2,}",
    r"[-+]\d{2}(?:\d{2}){0,2}(?:\.\d+)?[-+]\d{3}(?:\d{2}){0,2}(?:\.\d+)?(?:[-+]\d+(?:\.\d+)?)?(?:CRS[^/\s]{0,20})?/(?:\s|$)",
    # Grids and codes: UTM, MGRS, Open Location Code.
    r"\b\d{1,2}\s?[C-HJ-NP-X]\s+\d{6}(?:\.\d+)?\s?m?\s*E?,?\s+\d{7}\b",
    r"\b\d{1,2}[C-HJ-NP-X]\s?[A-HJ-NP-Z]{2}\s?\d{4,5}\s?\d{4,5}\b",
    r"\b[23456789CFGHJMPQRVWX]{8}\+[23456789CFGHJMPQRVWX]{2,3}\b",
)
_ANY = re2.compile("|".join(f"(?:{pattern})" for pattern in _TELLING))
#: The word right behind a number.
_WORD = re2.compile(r"(?s)^\s*([A-Za-z%€£$]*).*$")
#: Two numbers with decimals beside each other: signs, digits, decimals, what is between, and what follows.
_PAIR = re2.compile(
    r"(?:^|[^\d.,+\-$€£])([-+]?)(\d{1,3})[.](\d{2,})\s*°?\s*([,;/|\s])\s*([-+]?)(\d{1,3})[.](\d{2,})"
    r"([.,]?\d|\s*[A-Za-z%€£$]*)"
)
#: A number to a ten-thousandth, as degrees need it for some ten metres and hardly anything else.
_FINE = re2.compile(r"(\d+)[.,]\d{4,}")
#: Two such numbers belong together with so many characters between them, whatever they are, except for digits.
_FURTHEST = 24
_UNITS = frozenset({
    "mm", "cm", "dm", "m", "km", "in", "inch", "inches", "ft", "px", "pt", "mp", "s", "sec", "ms", "min", "h", "hz",
    "khz", "mhz", "ev", "kg", "g", "mg", "l", "ml", "x", "%", "€", "£", "$", "eur", "usd", "gbp", "chf", "percent",
    "stops",
})  # fmt: skip
#: Dates, times and sizes have two decimals as well; with fewer degrees than these a pair of them proves nothing.
_MORE_THAN_DATES = 32
#: Weights and shares are between 0 and 1, with any number of decimals.
_MORE_THAN_SHARES = 2
#: So are constants, each with its name: pi, e, the golden ratio.
_MORE_THAN_CONSTANTS = 10


def _is_position(found: tuple[str, ...]) -> bool:
    """Whether a pair of decimal numbers is a latitude and a longitude (or the reverse) rather than anything else."""
    sign, whole, decimals, between, other_sign, other_whole, other_decimals, after = found
    if after.strip().casefold() in _UNITS or after.startswith(tuple(".,0123456789")):
        return False
    first, second = int(whole), int(other_whole)
    if max(first, second) > 180 or min(first, second) > 90:
        return False
    shortest = min(len(decimals), len(other_decimals))
    signed = bool(sign or other_sign)
    largest = max(first, second)
    if shortest >= 4:
        return largest >= _MORE_THAN_SHARES or signed
    if between.isspace() and not signed:
        return False
    return largest >= (10 if signed or shortest == 3 else _MORE_THAN_DATES)


def _has_fine_pair(text: str) -> bool:
    """Whether two numbers that follow each other are fine enough, and in the range, for a latitude and a longitude."""
    found = list(_FINE.finditer(text))
    for one, other in pairwise(found):
        between, after = text[one.end() : other.start()], text[other.end() : other.end() + _FURTHEST]
        numbers = sorted((one[1], other[1]), key=int)
        if len(between) > _FURTHEST or any(sign.isdigit() for sign in between) or max(map(len, numbers)) > 3:
            continue
        measured = any(_WORD.sub(r"\1", rest).casefold() in _UNITS for rest in (between, after))
        least = _MORE_THAN_CONSTANTS if any(map(str.isalpha, between)) else _MORE_THAN_SHARES
        if int(numbers[0]) <= 90 and least <= int(numbers[1]) <= 180 and not measured:
            return True
    return False


def _plain(text: str) -> str:
    """The text with the usual signs and digits, and without escapes and invisible characters."""
    text = html.unescape(text)
    for escape, sign in _ESCAPES.items():
        text = text.replace(escape, sign)
    text = unicodedata.normalize("NFKC", text.translate(_SIGNS)).translate(_SIGNS)
    if text.isascii():
        return text
    return "".join(
        str(unicodedata.decimal(sign)) if sign.isdecimal() else sign
        for sign in text
        if unicodedata.category(sign) != "Cf"
    )


def tells_a_place(text: str) -> bool:
    """Whether a text reads like a position on Earth or the address of one on a map."""
    plain = _plain(text)
    if _ANY.search(plain) is not None or _has_fine_pair(plain):
        return True
    return any(_is_position(pair) for pair in _PAIR.findall(plain))
