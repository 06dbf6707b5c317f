"""Colour tables, profiles and names that were cut off, or that zeros stand in the place of."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from shaded.errors import Incomplete
from shaded.outbox.screening import screen
from shaded.publishing.colour import Colour, icc_profile
from shaded.publishing.holes.profiles import is_sound
from shaded.publishing.ifd import Entry, write_directory
from shaded.publishing.metadata import rights_in
from shaded.publishing.probing import tiff_pages
from shaded.publishing.reading import decode
from shaded.publishing.writing import encode
from shaded.settings import Rights
from tests.publishing.holed import MOST_PIXELS, emptied, heic, read
from tests.publishing.samples import saved, smooth, text_entry, textured

ICC_RGB, ICC_GRAY = (icc_profile(Colour(12, 13), gray=gray) for gray in (False, True))

NAME = "Alice Author, who painted it"
COMPRESSIONS = ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"]


def exif(name=NAME):
    """An EXIF block that ends with a name."""
    return b"II*\0\x08\0\0\0" + write_directory({315: text_entry(name)}, 8, "<")


def published(data):
    """What comes of a file with a creator in the settings: the creator, and the warnings."""
    screen(data, None, MOST_PIXELS)
    picture = decode(data)
    encoded = encode(picture, picture.colour, rights=Rights(creator="Me Myself"))
    return rights_in(decode(encoded.data)).creator, (*picture.container.warnings, *encoded.warnings)


# Colour tables --------------------------------------------------------------------------------------------------------


def paletted(compression, image=None):
    """A TIFF with a colour table, and where the table begins and ends."""
    image = Image.fromarray(textured(190, 250)).quantize(256) if image is None else image
    data = saved(image, "TIFF", compression=compression)
    page = tiff_pages(data)[1][0]
    return data, page.places[320], page.places[320] + len(page.entries[320].raw)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_lost_colour_table_is_damage(compression):
    """A sector of the table, the table from a sector on, and the whole of it may not be zeros."""
    data, start, end = paletted(compression)
    sector = -(-start // 512) * 512
    assert isinstance(read(data), np.ndarray)
    for at, to in ((sector, sector + 512), (sector, sector + 1024), (sector, len(data)), (start, end)):
        assert "only zeros" in str(read(emptied(data, at, to - at))), (at, to)
    assert screen(emptied(data, start, end - start), None, MOST_PIXELS).doubtful


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_an_honest_colour_table_may_be_full_of_zeros(compression):
    """Ramps of one colour, few colours, one colour, black: whatever lies in the table."""
    ramp = np.arange(256, dtype=np.uint8)
    none = np.zeros_like(ramp)
    half = np.where(ramp < 128, ramp * 2, 0).astype(np.uint8)
    tables = {
        "red": (ramp, none, none), "blue": (none, none, ramp), "fire": (ramp, half[::-1], none),
        "red and blue": (half, none, half[::-1]), "black": (none, none, none),
    }  # fmt: skip
    for name, table in tables.items():
        image = Image.fromarray(np.zeros((40, 256), np.uint8) + (0 if name == "black" else ramp), "P")
        image.putpalette(np.stack(table, 1).tobytes())
        assert isinstance(read(paletted(compression, image)[0]), np.ndarray), name
    for colours in (1, 2, 5, 16, 100):
        image = Image.fromarray(textured()).quantize(colours)
        assert isinstance(read(paletted(compression, image)[0]), np.ndarray), colours


# Lossless WebP of few colours -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [1, 4, 6])
@pytest.mark.parametrize("colours", [2, 4, 16, 64])
def test_a_hole_in_a_lossless_webp_of_few_colours_is_refused(method, colours):
    """An encoder that copies what is flat writes no run of zeros, so that one is a hole."""
    image = Image.fromarray(textured(400, 600)).quantize(colours, dither=0).convert("RGB")
    data = saved(image, "WEBP", lossless=True, method=method)
    whole = read(data)
    assert isinstance(whole, np.ndarray)
    for at in range(512, len(data) - 600, max(512, len(data) // 12 // 512 * 512)):
        found = read(emptied(data, at, 512))
        assert isinstance(found, str) or np.array_equal(found, whole), at


@pytest.mark.parametrize("method", range(7))
def test_honest_flat_art_is_no_hole(method):
    """Flat areas of few colours, in one block of codes and in several, are read at every effort."""
    rng = np.random.default_rng(3)
    for width, colours in ((300, 2), (300, 5), (1300, 40)):
        table = rng.integers(0, 256, (colours, 3), dtype=np.uint8)
        marks = rng.integers(0, colours, (7, 9)).repeat(40, 0).repeat(-(-width // 9), 1)[:, :width]
        marks[::3, : width // 3] = rng.integers(0, colours, marks[::3, : width // 3].shape)
        assert isinstance(read(saved(table[marks], "WEBP", lossless=True, method=method)), np.ndarray)


# Tags of a TIFF -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_tiff_that_ends_before_its_texts_or_its_profile_is_cut_off(compression):
    """What Pillow writes behind the pixels has to be there: cut off, or zeros to the end, it is incomplete."""
    options = {"compression": compression, "tiffinfo": {315: NAME, 270: "d" * 900}}
    data = saved(smooth(), "TIFF", icc_profile=ICC_RGB, **options)
    assert published(data)[0] == NAME
    profile, name = data.index(ICC_RGB[:64]), data.index(NAME.encode())
    for at in (profile, profile + 3000, name):
        with pytest.raises(Incomplete, match="cut off"):
            screen(data[:at], None, MOST_PIXELS)
        with pytest.raises(Incomplete, match="only zeros"):
            screen(data[:at] + bytes(len(data) - at), None, MOST_PIXELS)


def test_a_tag_of_another_program_may_point_nowhere():
    """Only what is read has to be there."""
    image = smooth()
    out = io.BytesIO()
    Image.fromarray(image).save(out, "TIFF", tiffinfo={65000: "private" * 9})
    data = out.getvalue()
    at = data.index(b"\xe8\xfd\x02\0")
    beyond = data[: at + 8] + len(data).to_bytes(4, "little") + data[at + 12 :]
    assert np.array_equal(read(beyond), image)


# Profiles -------------------------------------------------------------------------------------------------------------


def test_profiles_are_sound_as_they_are_and_not_with_a_hole():
    """Made ones of every kind are; zeros in header, table of tags, or curves are noticed, and so is a cut."""
    for number in (1, 9, 12):
        for transfer in (1, 4, 8, 13):
            for gray in (False, True):
                assert is_sound(icc_profile(Colour(number, transfer), gray=gray))
    for icc in (ICC_RGB, ICC_GRAY):
        assert not is_sound(icc[:-512])
        assert not is_sound(bytes(len(icc)))
        for at in range(0, len(icc) - 512, 64):
            assert not is_sound(emptied(icc, at, 512)), at


def test_curves_may_begin_with_zeros():
    """Of a fine curve many dark values round to zero; they rise from there slowly."""
    steps = (np.linspace(0, 1, 4096) ** 2.6 * 65535).astype(">u2").tobytes()
    icc = (
        bytearray(ICC_GRAY[:128]) + b"\0\0\0\x01kTRC" + (144).to_bytes(4, "big") + (12 + len(steps)).to_bytes(4, "big")
    )
    icc += b"curv\0\0\0\0" + (4096).to_bytes(4, "big") + steps
    icc[:4] = len(icc).to_bytes(4, "big")
    assert bytes(64) in steps
    assert is_sound(bytes(icc))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "HEIC"])
def test_a_damaged_profile_is_not_published(form):
    """A hole in it is a warning in every container, and the published file has no profile."""
    damaged = emptied(ICC_RGB, 1500, 512)
    array = smooth()
    data = heic(array, icc_profile=damaged) if form == "HEIC" else saved(array, form, icc_profile=damaged)
    picture = decode(data)
    assert picture.container.icc is None
    assert picture.container.warnings == ("The colour profile is damaged and was left out.",)
    assert decode(encode(picture, picture.colour).data).container.icc is None


# Names ----------------------------------------------------------------------------------------------------------------


def _forms():
    block = exif()
    yield "jpeg", saved(smooth(), "JPEG", exif=b"Exif\0\0" + block, icc_profile=ICC_RGB)
    yield "webp", saved(smooth(), "WEBP", exif=block)
    yield "avif", saved(smooth(), "AVIF", exif=block)
    yield "png", saved(smooth(), "PNG", exif=block)


@pytest.mark.parametrize(("form", "data"), list(_forms()), ids=[form for form, _ in _forms()])
def test_no_creator_is_written_where_zeros_stand_for_a_name(form, data):
    """The whole name and more, its beginning, and the whole directory: none of these is a picture without a name."""
    del form
    assert published(data)[0] == NAME
    at = data.index(NAME.encode())
    for start, length in ((at, len(NAME) + 1), (at, 8), (at - 18, len(NAME) + 19), (at - 26, len(NAME) + 27)):
        creator, warnings = published(emptied(data, start, length))
        assert creator == "", (start - at, length)
        assert any("could not be read" in line for line in warnings)


def test_a_camera_may_leave_its_fields_for_names_empty():
    """Fields of zeros among others that are written name nobody, and the creator is stated."""
    main = {315: Entry(2, 64, bytes(64)), 271: text_entry("Camera Works"), 33432: Entry(2, 64, bytes(64))}
    block = b"II*\0\x08\0\0\0" + write_directory({**main, 42036: text_entry("Lens 50 mm")}, 8, "<")
    creator, warnings = published(saved(smooth(), "JPEG", exif=b"Exif\0\0" + block))
    assert (creator, warnings) == ("Me Myself", ())


def test_records_that_end_in_many_zeros_may_have_lost_a_name():
    """A few zeros fill records up; more stand where others were."""
    from shaded.publishing import iptc

    records = iptc.build([iptc.Dataset(2, 5, b"A fox")])
    for length, whole in ((3, True), (60, False)):
        segment = iptc.app13(records + bytes(length))
        data = saved(smooth(), "JPEG")
        creator, _ = published(data[:2] + segment + data[2:])
        assert creator == ("Me Myself" if whole else "")


def test_a_segment_that_begins_with_zeros_may_have_named_somebody():
    """Without its name nobody knows what it was."""
    data = saved(smooth(), "JPEG")
    creator, warnings = published(data[:2] + b"\xff\xe1\0\x42" + bytes(64) + data[2:])
    assert creator == ""
    assert any("metadata segment" in line for line in warnings)
