"""What may name a maker or an owner, among words that nobody here understands and in texts that describe."""

from __future__ import annotations

import zlib

import pytest

from shaded.publishing.claims import credentials_may_name, has_words, is_claim, may_hold_words, shown


@pytest.mark.parametrize(
    "text",
    [
        "Photo: Alice Author", "Foto: Alice", "Credit: Alice", "Image credit: Alice", "Artist: Alice", "Artist Alice",
        "Photographer: Alice", "Illustrator Alice", "Urheber: Alice", "Courtesy of Alice", "by Alice Author",
        "a cow, by Alice", "Painting by alice", "Gemalt von Alice", "peint par Alice", "pintado por Alice",
        "foto di Alice",
        "Photographed by Alice", "Photos by Alice", "Shot by Alice", "Sketch by Alice", "Drawing: Alice",
        "© Alice", "&copy; Alice", "&copy Alice", "&#169; Alice", "&#xa9; Alice", "%C2%A9 Alice", "\\u00a9 Alice",
        "(C) Alice", "( c ) Alice", "Copr. Alice Author 1999", "℗ Alice", "Ⓒ Alice", "CC-BY Alice",
        "C\0o\0p\0y\0r\0i\0g\0h\0t\0 \0A\0l\0i\0c\0e\0", "alice@example.com", "a cow, @alice", "作者\uff1a李",
        "撮影 鈴木", "by 李", "Property of Alice",
    ],
)  # fmt: skip
def test_a_claim_is_seen(text):
    """Credit lines, notices in all spellings, names after "by" in several languages, and addresses."""
    assert is_claim(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "A cow in a green field", "a house by the sea", "By the river", "Sunset, 2024", "Created with GIMP",
        "CREATOR: gd-jpeg v1.0 (using IJG JPEG v62), quality = 90\n", "File written by Adobe Photoshop\xa8 4.0",
        "Handmade Software, Inc. Image Alchemy v1.9", "LEAD Technologies Inc. V1.01", "Lavc58.54.100", "Screenshot",
        "Ein Baum von oben", "une vache de près", "Step by step", "OLYMPUS DIGITAL CAMERA", "MVC-040F",
    ],
)  # fmt: skip
def test_a_description_is_no_claim(text):
    """What merely describes, and what programs and cameras write about themselves."""
    assert not is_claim(text)


@pytest.mark.parametrize("text", ["Bo", "李", "Alice Author", "alice/untitled", "x y zoe"])
def test_words_are_words(text):
    """Two letters are enough for a name, or one that is a word by itself."""
    assert has_words(text)


@pytest.mark.parametrize(
    "text",
    ["", "2024-05-01T10:20:30Z", "True", "1/250", "-0.33", "d41d8cd98f00b204e9800998ecf8427e", "http://ns.adobe.com/x/",
     "6ba7b810-9dad-11d1-80b4-00c04fd430c8"],
)  # fmt: skip
def test_numbers_dates_and_digests_are_no_words(text):
    """They name nobody."""
    assert not has_words(text)


@pytest.mark.parametrize(
    "raw",
    [b"Alice", "Alice".encode("utf-16-le"), "Alice".encode("utf-16-be"), "Zoë".encode(), b"\1\2\0\0Alice\0\0\3",
     zlib.compress(bytes(range(256)) * 20, 0)],
)  # fmt: skip
def test_bytes_may_hold_words_in_any_encoding(raw):
    """As text, as wide text, between numbers, or packed."""
    assert may_hold_words(raw)


@pytest.mark.parametrize("raw", [b"", bytes(4096), b"\1\0\2\0\3\0", b" \0\0", b"2024:01:01", b"0100"])
def test_padding_and_numbers_hold_no_words(raw):
    """So they stand in nobody's way."""
    assert not may_hold_words(raw)


def test_credentials_that_name_somebody_are_told_from_those_of_a_camera():
    """Content credentials say how a picture came about; only some say who made it."""
    assert credentials_may_name(b"jumb c2pa.assertions stds.schema-org.CreativeWork")
    assert not credentials_may_name(b"jumb c2pa.assertions c2pa.actions c2pa.hash.data")


def test_a_name_in_a_message_is_short_and_plain():
    """Whatever a file calls its parts."""
    assert shown("a\nb\0" + "c" * 100) == "a?b?" + "c" * 36
