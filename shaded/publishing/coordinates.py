"""Whether numbers of a text could be a latitude and a longitude.

Any two numbers with decimals that follow each other could, where degrees go so far and nothing says what else they
are: a unit, a currency, a date, a version. A number beside degrees or a direction tells a position alone.
(ISO 6709 annexes D and H, EXIF and XMP for fractions and ``52,31.2N``, NMEA 0183 for packed minutes.)
"""

# ruff: noqa: RUF001 - letters of several scripts are meant as they are

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

import re2

#: Words of directions; ``@`` stands for any ending. Those are left out that mean something else in another language.
_NORTHS = (
    "north(?:ern)?", "south(?:ern)?", "nord", "n[öo]e?rdl(?:ich(?:e[rn]?)?)?", "s[üu]e?d(?:l(?:ich(?:e[rn]?)?)?)?",
    "norte", "noord", "zuid", "syd", "söder", "norr", "północ@", "południ@", "sever@", "jih", "kuzey", "güney",
    "север@", "юг", "южн@", r"с\.\s?ш", r"ю\.\s?ш", "північ@", r"n\.?\s?br", r"s\.?\s?br", "شمال@", "جنوب@", "उत्तर@",
    "दक्षिण@",
)  # fmt: skip
_EASTS = (
    "east(?:ern)?", "west(?:ern)?", "ost", "[öo]e?stl(?:ich(?:e[rn]?)?)?", "westl(?:ich(?:e[rn]?)?)?", "ouest",
    "oeste", "leste", "ovest", "oost", "øst", "öst@", "väst@", "wsch@", "zach@", "východ@", "západ@", "doğu", "batı",
    "восто@", "запад@", r"в\.\s?д", r"з\.\s?д", "схід@", "захід@", r"[öo]\.?\s?l", r"w\.?\s?l", "شرق@", "غرب@", "पूर्व@",
    "पश्चिम@",
)  # fmt: skip
_WHOLE_WORDS = rf"(?:({'|'.join(_NORTHS)})|(?:{'|'.join(_EASTS)}))".replace("@", r"[^\W\d_]*")
_DIRECTION = re.compile(
    rf"(?<![^\W\d_]){_WHOLE_WORDS}(?![^\W\d_])|([北南][緯纬]|북위|남위)|[東东西][経经經]|동경|서경", re.IGNORECASE
)
#: What stands for them while a text is looked at: north and south, east and west.
_NORTH, _EAST = "\x01", "\x02"
_DEGREE = (
    r"(?:°|deg(?:rees?|s)?\b\.?|grad(?:en|os|i)?\b|"
    r"gr[aá]d(?:ů|u|y)?\b|degr[ée]s?\b|градус\w*|度|도|डिग्री|درجة)"
)
_MINUTE = r"(?:'|min(?:utes?|uten)?\b\.?|分|분|m\b|мин\w*)"
_SECOND = r"(?:\"|''|sec(?:onds?)?\b\.?|秒|초|s\b|сек\w*)"
#: A number of degrees, with minutes and seconds or without.
_STEPS = (
    rf"(?:\d{{1,3}}(?:[.,]\d+)?\s*{_DEGREE}"
    rf"(?:\s*\d{{1,2}}(?:[.,]\d+)?\s*{_MINUTE}?(?:\s*\d{{1,2}}(?:[.,]\d+)?\s*{_SECOND}?)?)?"
    rf"|\d{{1,3}}[\s:\-d]\s?\d{{1,2}}[\s:\-m]\s?\d{{1,2}}(?:[.,]\d+)?\s?s?)"
)
_WORD = rf"[{_NORTH}{_EAST}]\.?"
_LETTER = "[NSEWO]"

_SURE = re2.compile("|".join(f"(?:{pattern})" for pattern in (
    # Degrees with minutes; degrees, or a number with decimals, beside a direction, before or behind.
    rf"(?i)\d\s*(?:°|\bdeg(?:rees?)?\b\.?|d|度|도|градус\w*)\s*\d{{1,2}}(?:[.,]\d+)?\s*(?:{_MINUTE}|\"|[NSEWO]\b)",
    r"\d°\s?\d", r"\d{1,3}\s*[度도]",
    rf"{_STEPS}\s*(?:{_LETTER}(?:[^\w°]|$)|{_WORD})",
    rf"(?:(?:^|[^\w]){_LETTER}\.?\s?|{_WORD}[\s:=]{{0,3}}){_STEPS}",
    rf"(?:^|[^\w.,/])[-+]?\d{{1,3}}[.,]\d+\s?(?:{_LETTER}\b(?:[^/'-]|$)|{_WORD})",
    rf"(?:^|[^\w/]){_LETTER}(?:\d{{1,3}}[.,]\d{{2,}}|\s\d{{1,3}}[.,]\d{{3,}})(?:[^\d.,]|[.,]\D|[.,]?$)",
    rf"{_WORD}[\s:=]{{0,3}}[-+]?\d{{1,3}}[.,]\d+(?:[^\d.,]|[.,]\D|[.,]?$)",
    rf"[{_NORTH}{_EAST}]\W*\d+\s*(?:°|度|도)",
    r"\b\d{1,3}[.,]\d{2,}\s*°",
    # Packed: degrees, minutes, perhaps seconds in one number.
    rf"\b[01]?\d{{1,2}}[0-5]\d[0-5]\d(?:\.\d+)?\s?{_LETTER}(?:\b|\d)",
    rf"(?:^|[^\w/]){_LETTER}\s?[01]?\d{{1,2}}[0-5]\d[0-5]\d(?:\.\d+)?\b",
    r"\b\d{3,5}\.\d{2,},?\s?[NSEW]\b", r"\b\d{1,3},\d{1,2}(?:\.\d+|,\d{1,2})\s?[NSEW]\b",
    # Sixtieths without letters.
    r"\b\d{1,3}:\d{2}:\d{2}\.\d+[\s,;/]+[-+]?\d{1,3}:\d{2}:\d{2}\.\d", r"\b\d{1,3}d\s?\d{1,2}\.\d+\s?m\b",
)))  # fmt: skip
#: Degrees and minutes, or degrees alone, where only both directions together make a position of them.
_PARTS = r"\d{1,7}(?:[.,]\d+)?(?:[\s:\-]\d{1,2}(?:[.,]\d+)?){0,2}\s?°?"
_NS, _EW = f"[NS{_NORTH}]", f"[EWO{_EAST}]"
_BEHIND = re2.compile(
    rf"(?i)(?:^|[^\w.,]){_PARTS}\s?{_NS}[\s,;/|_()]{{0,4}}(?:(?:and|und|et)\s)?{_PARTS}\s?{_EW}(?:[^\w]|$)"
)
_BEFORE = re2.compile(rf"(?i)(?:^|[^\w]){_NS}[\s=:]{{0,2}}{_PARTS}[\s,;/|_()]{{0,4}}{_EW}[\s=:]{{0,2}}{_PARTS}")
_REVERSED = re2.compile(
    rf"(?:^|[^\w])(?:{_EW}\s?{_PARTS}[\s,;/|]{{1,4}}{_NS}\s?{_PARTS}"
    rf"|{_PARTS}\s?{_EW}[\s,;/|]{{1,4}}{_PARTS}\s?{_NS})(?:[^\w]|$)"
)
_TWO_DEGREES = re2.compile(r"\d\s*°\s*[,;/|\s]\s*[-+]?\d{1,3}(?:[.,]\d+)?\s*°(?:[^CFK\w]|\s*$|\s*[^CFK\s])")

_FRACTION = re.compile(r"(?<![\d/.])(\d{1,9})/(\d{1,9})(?![\d/])")
#: With a point for the decimals a comma may be beside it; with a comma neither.
_NUMBER = re.compile(
    r"(?P<sign>[-+]?)(?:(?<![\d.])(?<!\d:)(?P<whole>\d{1,3})\.(?P<decimals>\d+)(?:[eE](?P<power>[-+]?\d{1,2}))?(?![.:]?\d)"
    r"|(?<![\d.,])(?<!\d:)(?P<with_comma>\d{1,3}),(?P<behind_comma>\d+)(?![.,:]?\d))"
)
_THOUSANDS = re.compile(r"(?:^|[^\d.,])\d{1,3},$")
_DATE = re.compile(r"\b\d{1,2}\.\d{1,2}\.(?:\d{2,4}\b|(?=\s*[,;\-–]))")
#: Lists of whole numbers, which a comma for the decimals would make into others.
_LIST = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{1,3}){2,}(?![\d.,])")
_UNITS = frozenset({
    "mm", "cm", "dm", "m", "km", "in", "inch", "inches", "ft", "px", "pt", "mp", "mpx", "s", "sec", "secs", "ms", "min",
    "h", "hz", "khz", "mhz", "ghz", "ev", "kg", "g", "mg", "lb", "oz", "l", "ml", "x", "%", "€", "£", "$", "¥", "eur",
    "euro", "euros", "usd", "gbp", "chf", "dollar", "dollars", "percent", "stops", "mb", "gb", "kb", "dpi", "ppi",
    "fps", "iso",
    "k", "c", "f", "pages", "uhr", "am", "pm", "pieces", '"', "'",
})  # fmt: skip
#: A unit that may also follow a position, as its height.
_HEIGHTS = frozenset({"m", "ft"})
#: Inches and feet, or the quotation marks around a number.
_QUOTES = frozenset({'"', "'"})
_BEHIND_NUMBER = re.compile(r"\s*°?\s?([A-Za-z]+|[%€£$¥\"'])")
_MEASURED_BEFORE = re.compile(
    r"(?:[€£$¥#]|\b(?:f/?|iso|v|ver|version|eur|usd|gbp|chf|rs|opus|op|no|nr|ratio|gamma|exposure|ev|page|chapter|rev|release|weights?)"
    r"\.?)\s?$",
    re.IGNORECASE,
)
_LINK = re.compile(
    r"[\s,;:=({\[\])}\"'<>/|_+°-]*(?:(?:and|und|et|y|e|i|x|by|lon|lng|long)\b[\s:=\"'°]*)?", re.IGNORECASE
)
_TIMES = re.compile(r"\s*[x*×]\s*", re.IGNORECASE)
#: Two such numbers belong together with so many characters between them.
_FURTHEST = 24
#: No land lies where latitude and longitude are both below so many degrees; ratios and constants do.
_NEAREST_LAND = 4
_COARSE = 10
_FINE = 3


@dataclass(frozen=True)
class _Number:
    """A number of a text with decimals: where it stands, what it is, and whether something says what it measures."""

    start: int
    end: int
    signed: bool
    value: float
    decimals: int
    unit: str


def could_be_coordinates(text: str) -> bool:
    """Whether two numbers of a text could be a latitude and a longitude, or one is marked as either.

    Args:
        text: With the usual signs for degrees, minutes and minus, and Western digits.
    """
    if not any(map(str.isdigit, text)):
        return False
    text = _DIRECTION.sub(lambda found: _NORTH if found[1] or found[2] else _EAST, text)
    patterns = (_SURE, _BEHIND, _BEFORE, _REVERSED, _TWO_DEGREES)
    if any(pattern.search(text) is not None for pattern in patterns) or _has_fractions(text):
        return True
    numbers = _numbers(text)
    return any(
        _is_pair(text, one, other, numbers[place + 2 : place + 3])
        for place, (one, other) in enumerate(pairwise(numbers))
    )


def _numbers(text: str) -> list[_Number]:
    """The numbers with decimals that are no date, no version and no member of a list of whole numbers."""
    other = bytearray(len(text))
    for pattern in (_DATE, _LIST):
        for found in pattern.finditer(text):
            other[found.start() : found.end()] = b"\1" * (found.end() - found.start())
    numbers: list[_Number] = []
    for found in _NUMBER.finditer(text):
        whole, decimals = found["whole"] or found["with_comma"], found["decimals"] or found["behind_comma"]
        grouped = len(whole) == _FINE and _THOUSANDS.search(text[max(0, found.start() - 5) : found.start()])
        if other[found.end() - 1] or grouped:
            continue
        power = int(found["power"] or 0)
        value = float(f"{whole}.{decimals}") * 10.0**power
        behind = _BEHIND_NUMBER.match(text, found.end())
        unit = behind[1].casefold() if behind and behind[1].casefold() in _UNITS else ""
        if unit in _QUOTES and len(decimals) >= _FINE:
            unit = ""
        if _MEASURED_BEFORE.search(text[max(0, found.start() - 12) : found.start()]):
            unit = "x"
        signed = bool(found["sign"]) and not text[max(0, found.start() - 1) : found.start()].isalnum()
        numbers.append(_Number(found.start(), found.end(), signed, value, len(decimals) - min(power, 0), unit))
    return numbers


def _is_pair(text: str, one: _Number, other: _Number, then: list[_Number]) -> bool:
    """Whether two numbers that follow each other could be a latitude and a longitude, or the reverse.

    Args:
        text: Where they stand.
        one: The first.
        other: The second.
        then: The number behind it, if there is one: its unit may be that of all three.
    """
    between = text[one.end : other.start]
    values = sorted((one.value, other.value))
    if len(between) > _FURTHEST or any(map(str.isdigit, between)) or values[0] > 90 or values[1] > 180:
        return False
    chain = bool(then) and len(text[other.end : then[0].start].strip(" ,;/")) == 0
    if one.unit or other.unit or (chain and then[0].unit and then[0].unit not in _HEIGHTS) or _TIMES.fullmatch(between):
        return False
    fewest = min(one.decimals, other.decimals)
    linked = _LINK.fullmatch(between) is not None
    letters = any(map(str.isalpha, between))
    signed = one.signed or other.signed
    if not linked and fewest < _FINE:
        return False
    if (letters or between == "-") and fewest < 2:
        return False
    if fewest >= _FINE + 1 and signed:
        return True
    least = _COARSE if letters or (one.decimals == other.decimals == 1) else _NEAREST_LAND
    return values[1] >= least


def _has_fractions(text: str) -> bool:
    """Whether a text has EXIF's fractions: degrees, minutes and seconds, or degrees with decimals twice."""
    found = [(match, int(match[1]), int(match[2])) for match in _FRACTION.finditer(text) if int(match[2])]
    chains: list[list[tuple[int, int]]] = [[]]
    end = 0
    for match, top, bottom in found:
        if chains[-1] and len(text[end : match.start()]) > 3:
            chains.append([])
        chains[-1].append((top, bottom))
        end = match.end()
    return any(map(_is_position, chains))


def _is_position(chain: list[tuple[int, int]]) -> bool:
    values = [top / bottom for top, bottom in chain]
    decimal = [set(str(bottom)) <= {"0", "1"} and str(bottom).count("1") == 1 for _, bottom in chain]
    if len(chain) in (3, 6) and all(decimal[:3]):
        return values[0] <= 180 and values[0].is_integer() and max(values[1:3]) < 60
    fine = all(bottom >= 100 for _, bottom in chain)
    return len(chain) == 2 and all(decimal) and fine and max(values) <= 180 and max(values) >= _NEAREST_LAND
