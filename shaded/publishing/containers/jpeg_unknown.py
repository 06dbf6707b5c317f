"""The segments of a JPEG that nobody here reads: which of them may name somebody.

Known to name nobody are those that cameras, phones and programs write about the file and themselves.
"""

from __future__ import annotations

import re

from shaded.publishing.claims import credentials_may_name, may_hold_words
from shaded.publishing.walking import jpeg_parts

#: By the number of the APP segment, how a segment begins that is read, or that names no maker and no owner.
_KNOWN = {
    0: re.compile(rb"JFIF\0|JFXX\0|AVI1"),
    1: re.compile(
        rb"exif\0.|.{0,20}ns\.adobe\.com/xap/1\.0/|http://ns\.adobe\.com/xmp/extension/\0", re.IGNORECASE | re.DOTALL
    ),
    2: re.compile(rb"ICC_PROFILE\0|MPF\0|urn:iso:std:iso:ts:21496"),
    3: re.compile(rb"_JPSJPS_|Meta\0\0|DJI"),
    4: re.compile(rb"ssuniqueid\0|SCALADO|QDCM|DJI|Qualcomm"),
    5: re.compile(rb"SEMC|RMETA\0|ssuniqueid\0|Qualcomm"),
    6: re.compile(rb"EPPIM|GoPro\0|TDHD|Qualcomm"),
    7: re.compile(rb"Qualcomm|HUAWEI|DJI|\x1aQcom"),
    8: re.compile(rb"SPIFF\0"),
    10: re.compile(rb"AROT\0"),
    11: re.compile(rb"JP|HDR_RI"),
    12: re.compile(rb"(?i:\[picture info\])|OLYMPUS|Ducky(?:\x00\x01\x00\x04.{4})?(?:\0\0)?\Z", re.DOTALL),
    13: re.compile(rb"Photoshop 3\.0\0|Adobe_Photoshop2\.5:|\x1c|Adobe_CM"),
    14: re.compile(rb"Adobe.{0,7}\Z", re.DOTALL),
}
_COMMENT, _SCAN, _END = 0xFE, 0xDA, 0xD9
#: How a segment begins that somebody appended to the file.
_APPENDED = re.compile(rb"\xff[\xe0-\xef\xfe]")


def unknown_segments(data: bytes) -> tuple[str, ...]:
    """The segments, by name, that are not understood and may name somebody.

    Readers expect metadata before the first scan; what stands behind it is not read, and counts as unknown.

    Raises:
        Cut: The file has no end mark.
    """
    found: list[str] = []
    late = False
    for kind, at, content in jpeg_parts(data):
        number = kind[0] - 0xE0
        late = late or kind[0] == _SCAN
        is_application = 0 <= number <= 15
        known = is_application and number in _KNOWN and _KNOWN[number].match(content) is not None
        if kind[0] == _END and _APPENDED.match(data, at) is not None:
            found.append("segment behind the end")
        elif late and (is_application or kind[0] == _COMMENT) and may_hold_words(content):
            found.append(f"{_name(kind[0])} segment behind the pixels")
        elif number == 11 and credentials_may_name(content):
            found.append("content credentials")
        elif is_application and not known and may_hold_words(content):
            found.append(f"{_name(kind[0])} segment")
    return tuple(dict.fromkeys(found))


def _name(kind: int) -> str:
    return "comment" if kind == _COMMENT else f"APP{kind - 0xE0}"
