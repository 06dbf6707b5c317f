"""Recognising what must not hide inside a text of the metadata: another picture, or a position.

A picture would be an unshaded copy of the published one. It may stand there as bytes, or spelled with whatever signs.
Spellings are not told from each other: a text that is no words, and holds as much as a small picture, is not kept.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import re2

from shaded.publishing.places import tells_a_place

Objection = Literal["another picture", "no text", "too much", "a position", "damaged"]

_SHORTEST = 256
#: A text may hold so many bytes that are no words, after compression.
_SMALLEST = 160
_PICTURE = re.compile(
    rb"\xff\xd8\xff[\xc0-\xfe]|\x89PNG\r\n\x1a\n|RIFF....WEBP|GIF8[79]a"
    rb"|ftyp(?:avi[fs]|hei[cxms]|hev[cxms]|mif1|msf1|jxl )|II\*\0|MM\0\*|JXL \r\n\x87\n|jP  \r\n\x87\n|8BPS\0",
    re.DOTALL,
)
#: Letters, with their marks and with digits between them, are one word.
_WORD = re2.compile(r"[\p{L}\p{M}\p{N}\x{200c}\x{200d}]+")
_LONGEST_WORD = 40
_NAMES_IN_ONE = re.compile(r"(?:[A-Z][a-z]{2,}){2,4}")
#: A text is judged in stretches of so many signs, blanks aside, so that a caption before it helps nothing.
_STRETCH = 512
#: Of a text in words less than this share stands outside of words.
_MOST_OUTSIDE = 0.4
#: Characters that stand in no text, unlike tabs, line ends and page breaks; a few are forgiven.
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f]")
_MOST_CONTROLS = 8


def holds_picture(value: bytes) -> bool:
    """Whether a metadata value contains a picture file as bytes."""
    return len(value) >= _SHORTEST and _PICTURE.search(value) is not None


def lacks_words(text: str) -> bool:
    """Whether a text holds something else than words for people, and enough for a small picture.

    Words are runs of letters of a natural length and case, without digits. What stands outside of them counts where it
    is much, by what it holds after compression: a line of dashes holds nothing.
    """
    suspect: list[str] = []
    stretch, outside = "", ""
    pieces = list(_pieces(text)) if len(text) >= _SHORTEST else []
    for place, (piece, is_word) in enumerate(pieces):
        stretch += piece
        outside += "" if is_word else piece
        if len(stretch) < _STRETCH and place < len(pieces) - 1:
            continue
        if len(outside) > _MOST_OUTSIDE * len(stretch):
            suspect.append(outside)
        stretch, outside = "", ""
    return _content("".join(suspect)) >= _SMALLEST


def _content(text: str) -> int:
    return len(zlib.compress(text.encode("utf-8", "replace"), 9))


def _pieces(text: str) -> Iterator[tuple[str, bool]]:
    """The text without blanks, in pieces of at most a stretch, and which of them are words."""
    end = 0
    for found in _WORD.finditer(text):
        yield from _cut("".join(text[end : found.start()].split()), is_word=False)
        yield from _cut(found[0], is_word=_is_word(found[0]))
        end = found.end()
    yield from _cut("".join(text[end:].split()), is_word=False)


def _cut(piece: str, *, is_word: bool) -> Iterable[tuple[str, bool]]:
    return ((piece[at : at + _STRETCH], is_word) for at in range(0, len(piece), _STRETCH))


def _is_word(run: str) -> bool:
    """Whether a run of letters can be a word of any language, or several in a script that leaves no blanks."""
    if any(map(str.isdigit, run)):
        return False
    if run == run.lower() == run.upper():  # a script of one case
        return True
    return 1 < len(run) <= _LONGEST_WORD and (
        run.islower() or run.isupper() or run.istitle() or _NAMES_IN_ONE.fullmatch(run) is not None
    )


def objection(text: str, *, gps: bool) -> Objection | None:
    """What speaks against publishing a text, or ``None``.

    Args:
        text: Any text of the metadata.
        gps: Whether a position may be published.
    """
    if holds_picture(text.encode("utf-8", "replace")) or holds_picture(text.encode("latin-1", "replace")):
        return "another picture"
    if len(_CONTROL.findall(text)) > _MOST_CONTROLS or lacks_words(text):
        return "no text"
    return "a position" if not gps and tells_a_place(text) else None


def together(texts: Sequence[str], *, gps: bool) -> Objection | None:
    """What speaks against the texts of one field, such as keywords, when they are read as one text."""
    return objection("\n".join(texts), gps=gps) if len(texts) > 1 else None


def left_out(what: str, against: Objection) -> str:
    """The sentence for a person about a text that was not published; ``what`` names its place."""
    reasons = {
        "another picture": "it holds another picture",
        "no text": "it is no text",
        "too much": "it is too long",
        "a position": "it reads like a position",
        "damaged": "it is damaged",
    }
    return f"{what} was left out: {reasons[against]}."
