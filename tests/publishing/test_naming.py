"""How published files are called."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shaded.errors import Refusal
from shaded.publishing.formats import SUFFIX
from shaded.publishing.naming import format_of, numbered, published_name, sidecar_name

parts = st.sampled_from(
    [
        "fox",
        ".png",
        ".PNG",
        ".webp",
        ".WebP",
        ".jpg",
        ".JPG",
        ".jpeg",
        ".tif",
        ".avif",
        ".heic",
        ".HIF",
        ".shaded",
        ".x",
        ".",
    ]
)
names = st.lists(parts, min_size=1, max_size=5).map("".join)


@given(names)
def test_the_same_format_keeps_the_name(name):
    """Without another output format the outbox is mirrored, whatever the name; HEIC is published as JPEG."""
    if format_of(name) == "heic":
        assert published_name(name, "same") == name + ".jpg"
    elif not any(sign in name.casefold() for sign in (".heic", ".hif")):
        assert published_name(name, "same") == name


@given(names, names, st.sampled_from(["same", *SUFFIX]))
def test_two_sources_never_share_a_published_name(one, other, output):
    """The rule is injective for each output format."""
    if one != other:
        assert published_name(one, output) != published_name(other, output)


@given(names, st.sampled_from(sorted(SUFFIX)))
def test_the_published_suffix_says_the_format(name, output):
    """Another output format always shows in the suffix."""
    assert format_of(published_name(name, output)) == output


@pytest.mark.parametrize(
    ("name", "output", "expected"),
    [
        ("fox.png", "webp", "fox.png.webp"),
        ("fox.webp", "webp", "fox.webp"),
        ("fox.JPEG", "jpeg", "fox.JPEG"),
        ("fox.jpg", "png", "fox.jpg.png"),
        ("fox.png.webp", "webp", "fox.png.webp.webp"),
        ("fox", "tiff", "fox.shaded.tif"),
        ("IMG_1.HEIC", "same", "IMG_1.HEIC.jpg"),
        ("IMG_1.hif", "jpeg", "IMG_1.hif.jpg"),
        ("IMG_1.heif", "png", "IMG_1.heif.png"),
        ("fox.heic.jpg", "same", "fox.heic.jpg.jpg"),
        ("fox.heic.JPG", "same", "fox.heic.JPG"),
    ],
)
def test_names_look_as_documented(name, output, expected):
    """The suffix is added to the whole name, unless the name has it."""
    assert published_name(name, output) == expected


def test_a_name_too_long_for_its_sidecar_is_refused():
    """The limit is 255 bytes with the sidecar's suffix; bytes count, not letters."""
    fitting = "f" * 239 + ".png"
    assert len(sidecar_name(published_name(fitting, "same"))) == 255
    with pytest.raises(Refusal, match="1 bytes more"):
        published_name("f" + fitting, "same")
    with pytest.raises(Refusal):
        published_name("ü" * 130 + ".png", "same")


def test_other_names_are_numbered_before_the_suffix():
    """A taken name gets a remark and then numbers; a name without a suffix too."""
    assert [numbered("fox.png", n) for n in (1, 2)] == ["fox (shaded).png", "fox (shaded 2).png"]
    assert numbered("fox", 1) == "fox (shaded)"
    assert numbered(".png", 1) == ".png (shaded)"


def test_names_that_are_not_utf8_keep_their_bytes():
    """A name with stray bytes is mapped like any other."""
    name = os.fsdecode(b"f\xffx.png")
    assert os.fsencode(published_name(name, "webp")) == b"f\xffx.png.webp"
