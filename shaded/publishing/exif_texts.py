"""The texts of EXIF tags, in all the ways in which they are encoded.

ASCII holds UTF-8 or Latin-1 in practice; EXIF 3.0 has a type for UTF-8; Windows' tags are UTF-16 in bytes; a user
comment begins with the name of its encoding. (CIPA DC-008-2023, 4.6.2, 4.6.6.4.2 and 4.6.6.5.4.)
"""

from __future__ import annotations

import re

from shaded.publishing import exif_tags as tags
from shaded.publishing.ifd import ByteOrder, Entry

_ASCII, _UTF8 = 2, 129
_CODE = 8
#: Fewer letters do not tell in which encoding they are.
_FEWEST_PAIRS = 2
#: Western text with a byte for most letters.
_PLAIN = re.compile(rb"[\x20-\x7e]+(?:[\xc3\xc4\xc5][\x80-\xbf][\x20-\x7e]*)*")
_BLANK = "\0 \t\r\n\ufeff"


def decode_text(raw: bytes) -> str:
    """UTF-8, else Latin-1."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _wide(raw: bytes, order: ByteOrder) -> str:
    """UTF-16: by its mark, else in the order in which the zeros of many Western letters lie, else in ``order``."""
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", "replace")
    low, high = raw[1::2].count(0), raw[::2].count(0)
    if abs(low - high) * 4 > len(raw) // 2:
        order = "<" if low > high else ">"
    return raw.decode("utf-16-le" if order == "<" else "utf-16-be", "replace")


def _comment(raw: bytes, order: ByteOrder) -> str:
    code, rest = raw[:_CODE].rstrip(b"\0 ").upper(), raw[_CODE:]
    if code == b"UNICODE":
        return _wide(rest, order)
    if code == b"JIS":
        for encoding in ("iso2022_jp", "shift_jis"):
            try:
                return rest.decode(encoding)
            except UnicodeDecodeError:
                continue
    if code in (b"ASCII", b"JIS", b""):
        return decode_text(rest)
    return decode_text(raw)


def _is_wide(raw: bytes) -> bool:
    """Whether bytes that ought to be a letter each are UTF-16: by their mark, or by zeros at every other place."""
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return True
    body = raw.rstrip(b"\0")
    pairs = len(body) // 2
    low, high = body[1::2].count(0), body[::2].count(0)
    return pairs >= _FEWEST_PAIRS and max(low, high) >= 0.8 * pairs and min(low, high) == 0


def settled(tag: int, entry: Entry) -> Entry:
    """A text in the encoding of its tag, where it was written in the other one: UTF-16 for bytes, or the reverse."""
    if tag in tags.WIDE_TEXTS:
        raw = entry.raw.rstrip(b"\0")
        if len(raw) < 2 * _FEWEST_PAIRS or b"\0" in raw or not _PLAIN.fullmatch(raw):
            return Entry(1, len(entry.raw), entry.raw)
        wide = decode_text(raw).encode("utf-16-le") + b"\0\0"
        return Entry(1, len(wide), wide)
    if tag == tags.USER_COMMENT or not _is_wide(entry.raw):
        return entry
    plain = _wide(entry.raw, "<").rstrip("\0").encode("utf-8") + b"\0"
    return Entry(_ASCII, len(plain), plain)


def text_of(tag: int, entry: Entry, order: ByteOrder) -> str:
    """The text of a tag for a reader; the two parts of a copyright (photographer, editor) are joined."""
    if tag in tags.WIDE_TEXTS:
        return _wide(entry.raw, "<").split("\0", 1)[0].strip(_BLANK)
    if tag == tags.USER_COMMENT:
        return _comment(entry.raw, order).split("\0", 1)[0].strip(_BLANK)
    parts = [decode_text(part).strip(_BLANK) for part in entry.raw.split(b"\0")[: 2 if tag == tags.COPYRIGHT else 1]]
    return "; ".join(part for part in parts if part)


def readings(tag: int, entry: Entry, order: ByteOrder) -> list[str]:
    """Every text that a tag's bytes can be taken for, also by a reader that mistakes the encoding."""
    if tag not in tags.WIDE_TEXTS and tag != tags.USER_COMMENT:
        return [decode_text(entry.raw).replace("\0", " ").strip()]
    plain = decode_text(entry.raw)
    texts = [text_of(tag, entry, order), plain.replace("\0", "")]
    if tag == tags.USER_COMMENT:
        texts += [plain[_CODE:].replace("\0", " ").strip(), _comment(entry.raw, ">" if order == "<" else "<")]
    return texts


def trimmed(tag: int, entry: Entry) -> Entry:
    """The tag without what follows its text: nothing stands behind the closing zero."""
    if tag in tags.WIDE_TEXTS:
        raw = entry.raw[: len(entry.raw) & ~1]
        end = next((at for at in range(0, len(raw), 2) if raw[at : at + 2] == b"\0\0"), len(raw))
        return Entry(1, end + 2, raw[:end] + b"\0\0")
    if tag == tags.USER_COMMENT:
        return Entry(7, len(kept := _trimmed_comment(entry.raw)), kept)
    parts = entry.raw.split(b"\0")
    kept = b"\0".join(parts[:2] if tag == tags.COPYRIGHT and len(parts) > 1 and parts[1].strip() else parts[:1]) + b"\0"
    return Entry(_UTF8 if entry.type == _UTF8 else _ASCII, len(kept), kept)


def _trimmed_comment(raw: bytes) -> bytes:
    code, rest = raw[:_CODE], raw[_CODE:]
    if code.rstrip(b"\0 ").upper() == b"UNICODE":
        end = next((at for at in range(0, len(rest) & ~1, 2) if rest[at : at + 2] == b"\0\0"), len(rest) & ~1)
        return code + rest[:end]
    return code + rest.split(b"\0", 1)[0]
