"""Recognising a picture that hides inside metadata, where it would be an unshaded copy of the published one."""

from __future__ import annotations

import re

_SHORTEST = 256
_PICTURE = re.compile(rb"\xff\xd8\xff[\xc0-\xfe]|\x89PNG\r\n\x1a\n|RIFF....WEBP|GIF8[79]a", re.DOTALL)
#: How base64 of JPEG, PNG, WebP, GIF and TIFF files begins, at the start of a value or in a data URL.
_BASE64 = re.compile(rb"(?:^|[\"',;:>=\s])\s*(?:/9j/|iVBORw0KGgo|UklGR|R0lGOD|SUkqA|TU0AK)[A-Za-z0-9+/=\s&#;]{64}")
_HEXADECIMAL = re.compile(rb"ffd8ff[c-f]|89504e470d0a1a0a", re.IGNORECASE)


def holds_picture(value: bytes) -> bool:
    """Whether a metadata value contains a picture file as bytes, in base64 or in hexadecimal digits."""
    if len(value) < _SHORTEST:
        return False
    return any(pattern.search(value) is not None for pattern in (_PICTURE, _BASE64, _HEXADECIMAL))
