"""Recognising what must not hide inside a text."""

# ruff: noqa: RUF001 - captions in several scripts

from __future__ import annotations

import base64
import time

import numpy as np
import pytest

from shaded.publishing.embedded import holds_picture, lacks_words, left_out, objection, together
from tests.publishing.samples import THUMBNAIL

CAPTIONS = [
    "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。何でも薄暗いじめじめした所でニャーニャー泣いていた事だけは記憶している。"
    * 6,
    "道可道，非常道。名可名，非常名。無名天地之始；有名萬物之母。故常無欲，以觀其妙；常有欲，以觀其徼。" * 8,
    "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق. وقد وهبوا عقلا وضميرا وعليهم أن يعامل بعضهم بعضا بروح الإخاء. "
    * 5,
    "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है। " * 6,
    "Die Würde des Menschen ist unantastbar. Rechtsschutzversicherungsgesellschaften und Donaudampfschifffahrt. " * 5,
    "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. " * 12,
    "Все люди рождаются свободными и равными в своем достоинстве и правах. " * 8,
    "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ" * 6,
]
BASE64 = base64.b64encode(LARGE := THUMBNAIL + bytes(np.random.default_rng(0).integers(0, 256, 600, np.uint8))).decode()
PAIRS = [f"{value:02x}" for value in LARGE]


@pytest.mark.parametrize(
    "value",
    [b"xx" + THUMBNAIL, b"\0\0\0 ftypavif" + bytes(300), b"\0\0\0 ftypheic" + bytes(300), b"II*\0" + bytes(300)],
    ids=range(4),
)
def test_pictures_inside_values_are_recognised(value):
    """By how their files begin, wherever in a value."""
    assert holds_picture(value)


@pytest.mark.parametrize(
    "text",
    [
        BASE64, f'{{"preview":"{BASE64}"}}', "\n".join(BASE64[at : at + 30] for at in range(0, len(BASE64), 30)),
        " ".join(BASE64[at : at + 5] for at in range(0, len(BASE64), 5)), base64.b85encode(LARGE).decode(),
        base64.a85encode(LARGE).decode(), base64.b32encode(LARGE).decode(), base64.urlsafe_b64encode(LARGE).decode(),
        "".join(PAIRS), " ".join(PAIRS), " ".join(map("".join, zip(PAIRS[::2], PAIRS[1::2], strict=True))),
        "%" + "%".join(PAIRS), r"\x" + r"\x".join(PAIRS), ",".join(map(str, LARGE)),
        "".join(f"&#{one};" for one in LARGE),
        " ".join(f"{one:08b}" for one in LARGE), "".join(chr(0x2800 + one) for one in LARGE),
        "Two cows stand on a meadow and look at the sea. " * 40 + BASE64,
    ],
    ids=range(18),
)  # fmt: skip
def test_a_text_that_holds_no_words_is_none(text):
    """Bytes spelled with whatever signs, in one piece or in many, also behind a caption."""
    assert objection(text, gps=True) == "no text"


@pytest.mark.parametrize(
    "text",
    [
        "A cow stands on a meadow and looks at the sea. " * 50, "-" * 400, "=" * 400, "草地上的一头牛" * 100,
        "cow;meadow;" * 60,
        "https://example.org/prints/cow-on-a-meadow?size=30x40&frame=oak " * 10, "mm" * 200, "Kuh-Wiese-" * 40,
        *CAPTIONS, "#StreetPhotography #NikonD850 #oilpainting #painting2024 #35mm " * 8,
        "Prints: A4 21.0 x 29.7 cm EUR 45.00; A3 29.7 x 42.0 cm EUR 75.00; A2 42.0 x 59.4 cm EUR 120.00. " * 5,
    ],
)  # fmt: skip
def test_ordinary_texts_are_none(text):
    """Prose, rules, other scripts, lists, addresses, prices."""
    assert objection(text, gps=False) is None


def test_short_values_hold_no_picture():
    """Nothing that could be seen fits."""
    assert not holds_picture(THUMBNAIL[:100])


def test_words_that_compress_to_little_are_no_obstacle():
    """Dashes, dots and one letter over and over hold no picture, however many they are."""
    assert not any(lacks_words(text) for text in ("-" * 60_000, ". . . " * 9_000, "a" * 60_000))


def test_a_text_is_judged_in_a_moment():
    """Sixty thousand signs of any kind."""
    begun = time.process_time()
    for text in ("ab1 " * 15_000, "a" * 60_000, "é1" * 30_000, BASE64 * 40):
        lacks_words(text)
    assert time.process_time() - begun < 2


def test_texts_of_one_field_are_read_as_one():
    """Two keywords that are a position together are one, and so is a picture cut into many."""
    assert together(["52.520", "13.405"], gps=False) == "a position"
    assert together(["52.520", "13.405"], gps=True) is None
    assert together(["cow", "meadow", "2024"], gps=False) is None
    assert together([BASE64[at : at + 20] for at in range(0, len(BASE64), 20)], gps=True) == "no text"


def test_what_speaks_against_a_text():
    """A picture, binary data, and a position unless it is kept; each has its sentence."""
    assert objection(THUMBNAIL.decode("latin-1"), gps=True) == "another picture"
    assert objection("\1\2\3\4\5\6\7\x08\x0e", gps=True) == "no text"
    assert objection("52.5200, 13.4050", gps=False) == "a position"
    assert objection("52.5200, 13.4050", gps=True) is None
    assert left_out('The text "Comment"', "a position") == 'The text "Comment" was left out: it reads like a position.'
