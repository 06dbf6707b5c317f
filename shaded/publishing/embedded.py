"""Recognising what must not hide inside a text of the metadata: another picture, or a position.

A picture would be an unshaded copy of the published one. It may stand there as bytes, or spelled with letters.
"""

from __future__ import annotations

import re
from typing import Literal

import re2

from shaded.publishing.places import tells_a_place

Objection = Literal["another picture", "no text", "too much", "a position"]

_SHORTEST = 256
_PICTURE = re.compile(
    rb"\xff\xd8\xff[\xc0-\xfe]|\x89PNG\r\n\x1a\n|RIFF....WEBP|GIF8[79]a"
    rb"|ftyp(?:avi[fs]|hei[cxms]|hev[cxms]|mif1|msf1|jxl )|II\*\0|MM\0\*|JXL \r\n\x87\n|jP  \r\n\x87\n|8BPS\0",
    re.DOTALL,
)
#: How base64 of JPEG, PNG, WebP, GIF and TIFF files begins, at the start of a value or in a data URL.
_BASE64 = re.compile(rb"(?:^|[\"',;:>=\s])\s*(?:/9j/|iVBORw0KGgo|UklGR|R0lGOD|SUkqA|TU0AK)[A-Za-z0-9+/=\s&#;]{64}")
_HEXADECIMAL = re.compile(rb"ffd8ff[c-f]|89504e470d0a1a0a", re.IGNORECASE)
#: Letters and digits as nobody writes them: bytes in base64 or in hexadecimal, in one piece or in lines.
_DENSE = re2.compile(
    r"[A-Za-z0-9+/=_\-]{200}|(?:[A-Za-z0-9+/=_\-]{32,}\s+){5}[A-Za-z0-9+/=_\-]{32}"
    r"|(?:(?:0x)?[0-9A-Fa-f]{2}[\s:,;]+){128}"
)
_FEWEST_SIGNS = 12
#: The beginnings of picture files that no table of colours has by chance.
_WHOLE_PICTURE = re.compile(
    rb"\xff\xd8\xff(?:\xe0..JFIF|\xe1..Exif|\xdb\0[\x43\x84\xc5])|\x89PNG\r\n\x1a\n|RIFF....WEBP|ftypavi[fs]", re.DOTALL
)
#: Words in a profile, as UTF-8 and as UTF-16: long enough that tables of numbers hardly ever look like them.
_WORDS = re.compile(rb"(?:[ -~]|[\xc2\xc3][\x80-\xbf]|\xe2\x80[\x80-\xbf]){10,}")
_WIDE_WORDS = re.compile(rb"(?:\0[ -~\xa0-\xff]|\x20[\x10-\x3f]){10,}")
#: Characters that stand in no text, unlike tabs, line ends and page breaks; a few are forgiven.
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f]")
_MOST_CONTROLS = 8


def holds_picture(value: bytes) -> bool:
    """Whether a metadata value contains a picture file as bytes, in base64 or in hexadecimal digits."""
    if len(value) < _SHORTEST:
        return False
    if any(pattern.search(value) is not None for pattern in (_PICTURE, _BASE64, _HEXADECIMAL)):
        return True
    return any(len(set(run)) >= _FEWEST_SIGNS for run in _DENSE.findall(value.decode("latin-1")))


def objection(text: str, *, gps: bool) -> Objection | None:
    """What speaks against publishing a text, or ``None``.

    Args:
        text: Any text of the metadata.
        gps: Whether a position may be published.
    """
    if holds_picture(text.encode("utf-8", "replace")) or holds_picture(text.encode("latin-1", "replace")):
        return "another picture"
    if len(_CONTROL.findall(text)) > _MOST_CONTROLS:
        return "no text"
    return "a position" if not gps and tells_a_place(text) else None


def profile_objection(icc: bytes, *, gps: bool) -> Objection | None:
    """What speaks against publishing a colour profile: another picture in it, or a text that is not about colour."""
    if _WHOLE_PICTURE.search(icc) is not None:
        return "another picture"
    texts = [run.decode("utf-8", "replace") for run in _WORDS.findall(icc)]
    texts += [run.decode("utf-16-be") for run in _WIDE_WORDS.findall(icc)]
    return next((against for text in texts if (against := objection(text, gps=gps)) is not None), None)


def left_out(what: str, against: Objection) -> str:
    """The sentence for a person about a text that was not published; ``what`` names its place."""
    reasons = {
        "another picture": "it holds another picture",
        "no text": "it is no text",
        "too much": "it is too long",
        "a position": "it reads like a position",
    }
    return f"{what} was left out: {reasons[against]}."
