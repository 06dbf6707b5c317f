"""Recognising what must not hide inside a text."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from shaded.publishing.embedded import holds_picture, left_out, objection, profile_objection
from tests.publishing.samples import ICC_RGB, THUMBNAIL

ENCODED = base64.b64encode(THUMBNAIL)


@pytest.mark.parametrize(
    "value",
    [
        b"xx" + THUMBNAIL, ENCODED, b'{"preview":"' + ENCODED + b'"}', THUMBNAIL.hex().encode(),
        THUMBNAIL.hex(" ").encode(),
        base64.encodebytes(THUMBNAIL), base64.urlsafe_b64encode(THUMBNAIL), base64.b64encode(b"a" + THUMBNAIL),
        b"\0\0\0 ftypavif" + bytes(300), b"\0\0\0 ftypheic" + bytes(300), b"II*\0" + bytes(300),
        bytes(range(256)).hex().encode(),
    ],
    ids=range(12),
)  # fmt: skip
def test_pictures_inside_values_are_recognised(value):
    """Bytes, base64 from anywhere in a file, in a data URL or in lines, and hexadecimal digits."""
    assert holds_picture(value)


@pytest.mark.parametrize(
    "text",
    [
        "A cow stands on a meadow and looks at the sea. " * 50, "-" * 400, "=" * 400, "草地上的一头牛" * 100,
        "cow;meadow;" * 60,
        "https://example.org/prints/cow-on-a-meadow?size=30x40&frame=oak " * 10, "mm" * 200, "Kuh-Wiese-" * 40,
    ],
)  # fmt: skip
def test_ordinary_texts_are_none(text):
    """Prose, rules, other scripts, lists, addresses."""
    assert objection(text, gps=False) is None


def test_short_values_hold_no_picture():
    """Nothing that could be seen fits."""
    assert not holds_picture(THUMBNAIL[:100])


def test_a_profile_holds_colours_only():
    """A picture in it, or a position among its words, speaks against it; tables that look like anything do not."""
    assert profile_objection(ICC_RGB, gps=False) is None
    assert profile_objection(ICC_RGB + b"\xff\xd8\xff\xe0\0\x10JFIF\0", gps=True) == "another picture"
    assert profile_objection(ICC_RGB + ENCODED, gps=True) == "another picture"
    assert profile_objection(ICC_RGB + b"Studio at 52.5200, 13.4050", gps=False) == "a position"
    assert profile_objection(ICC_RGB + "52.5200, 13.4050".encode("utf-16-be"), gps=False) == "a position"
    assert profile_objection(ICC_RGB + b"Studio at 52.5200, 13.4050", gps=True) is None
    assert profile_objection(ICC_RGB + "N 52° 30.980' E 13° 22.662'".encode(), gps=False) == "a position"
    minutes = "N 52° 30.980\u2032 E 13° 22.662\u2032".encode("utf-16-be")
    assert profile_objection(ICC_RGB + minutes, gps=False) == "a position"
    noise = np.random.default_rng(0).bytes(4_000_000)
    assert profile_objection(noise, gps=False) is None
    ramp = b"".join(value.to_bytes(2, "big") for value in range(65536))
    assert profile_objection(ramp, gps=False) is None
    assert profile_objection(ramp[::-1], gps=False) is None


def test_what_speaks_against_a_text():
    """A picture, binary data, and a position unless it is kept; each has its sentence."""
    assert objection(THUMBNAIL.decode("latin-1"), gps=True) == "another picture"
    assert objection("\1\2\3\4\5\6\7\x08\x0e", gps=True) == "no text"
    assert objection("52.5200, 13.4050", gps=False) == "a position"
    assert objection("52.5200, 13.4050", gps=True) is None
    assert left_out('The text "Comment"', "a position") == 'The text "Comment" was left out: it reads like a position.'
