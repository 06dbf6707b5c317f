"""EXIF blocks: what is taken out, what stays, what is true afterwards, and what hostile data can do."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shaded.publishing import exif
from shaded.publishing import exif_tags as tags
from shaded.publishing.ifd import Entry, read_directory, read_header, write_directory
from tests.publishing.samples import THUMBNAIL, exif_block, exif_tree, exif_with_thumbnail, text_entry


def _kept(tree, *, gps=False):
    notes = []
    return exif.publishable(tree, gps=gps, notes=notes), notes


def _number(value, kind=3, order="<"):
    return Entry(kind, 1, struct.pack(f"{order}{'H' if kind == 3 else 'I'}", value))


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tree_survives_a_block(order):
    """What was built is parsed again, in either byte order."""
    tree = exif_tree(order=order)
    assert exif.parse(exif.build(tree)) == tree


@pytest.mark.parametrize("order", ["<", ">"])
def test_thumbnails_and_maker_notes_are_not_parsed_into_a_tree(order):
    """A thumbnail directory and a maker note with a preview do not come back."""
    block = exif_with_thumbnail(order)
    assert block.count(b"UNSHADED") > 20
    tree = exif.parse(block)
    assert tree.text(315) == "Ada Painter"
    assert tree.gps
    assert b"UNSHADED" not in exif.build(tree)


def test_the_place_goes_unless_it_is_kept():
    """GPS data and GeoTIFF's tags are dropped by default."""
    tree = exif_tree()
    geo = exif.Exif("<", {**tree.main, 33550: Entry(12, 3, struct.pack("<3d", 1, 1, 0))}, tree.photo, tree.gps)
    assert not _kept(geo)[0].gps
    assert 33550 not in _kept(geo)[0].main
    assert _kept(geo, gps=True)[0] == geo


def test_an_upright_picture_without_exif_has_no_block():
    """When nothing is kept and the picture is not turned, nothing is left to write."""
    assert exif.build(exif.turned(exif.Exif("<"), 1)) is None
    assert exif.parse(exif.build(exif.turned(exif.Exif("<"), 6))).orientation == 6


def test_resolution_is_read_in_inches_and_centimetres():
    """Dots per centimetre are given as dots per inch."""

    def ratio(value):
        return Entry(5, 1, struct.pack("<II", value, 1))

    inches = exif.Exif("<", {282: ratio(300), 283: ratio(200), 296: _number(2)})
    centimetres = exif.Exif("<", {282: ratio(100), 283: ratio(100), 296: _number(3)})
    assert inches.dpi == (300, 200)
    assert centimetres.dpi == pytest.approx((254, 254))
    assert exif.Exif("<", {282: ratio(300)}).dpi is None
    assert exif.Exif("<", {282: ratio(0), 283: ratio(0)}).dpi is None


@pytest.mark.parametrize(
    "entry",
    [
        Entry(3, 1, b"\6\0"), Entry(4, 1, b"\6\0\0\0"), Entry(1, 1, b"\6"), Entry(8, 1, b"\6\0"),
        Entry(3, 2, b"\6\0\0\0"), Entry(5, 1, struct.pack("<II", 12, 2)), Entry(11, 1, struct.pack("<f", 6)),
    ],
)  # fmt: skip
def test_an_orientation_of_any_number_type_counts_and_is_written_as_a_short(entry):
    """Other readers forgive LONG, BYTE and the like; browsers do not, so that SHORT is written."""
    tree = exif.Exif("<", {274: entry})
    assert exif.parse(exif.build(tree)).orientation == 6
    assert exif.turned(tree, 6).main[274] == Entry(3, 1, b"\6\0")


@pytest.mark.parametrize(
    "entry",
    [
        Entry(2, 2, b"6\0"), Entry(2, 1, b"6"), Entry(129, 4, b" 6\0\0"), Entry(7, 2, b"\0\6"), Entry(7, 2, b"\6\0"),
        Entry(7, 4, b"\0\0\0\6"), Entry(7, 1, b"6"), Entry(1, 2, b"\0\6"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("order", ["<", ">"])
def test_an_orientation_that_is_no_number_counts_where_it_is_plain(entry, order):
    """A digit as a text, and bytes of which one alone says something, in either order."""
    tree = exif.parse(exif.build(exif.Exif(order, {274: entry})))
    assert tree.orientation == 6


def test_an_orientation_of_zero_is_upright():
    """Some cameras write it for a picture that is not turned."""
    assert exif.Exif("<", {274: _number(0)}).orientation == 1


@pytest.mark.parametrize(
    "entry",
    [_number(9), _number(65535), Entry(2, 4, b"top\0"), Entry(2, 3, b"66\0"), Entry(7, 2, b"\6\6"),
     Entry(5, 1, struct.pack("<II", 13, 2)), Entry(5, 1, bytes(8))],
)  # fmt: skip
def test_an_orientation_that_makes_no_sense_says_nothing(entry):
    """It is stated and not understood; one that is absent is not even stated."""
    tree = exif.Exif("<", {274: entry})
    assert (tree.orientation, tree.states_orientation) == (None, True)
    assert (exif.Exif("<").orientation, exif.Exif("<").states_orientation) == (None, False)


def test_an_orientation_whose_value_is_not_there_is_one_that_was_not_understood():
    """Its type is unknown, so that nobody can say where its value is."""
    block = exif.build(exif.Exif("<", {274: _number(6)})).replace(b"\x12\1\3\0", b"\x12\1\x63\0")
    tree = exif.parse(block)
    assert (tree.orientation, tree.states_orientation) == (None, True)


@pytest.mark.parametrize(
    "before",
    [
        b"", b"Exif\0\0", b"Exif\0\0Exif\0\0", b"Exif\0\xff", b"EXIF\0\0", b"\0\0\0\6Exif\0\0", b"\0\0\0\0", b"\0",
        b"exif\0",
        b"\0\0\0\0Exif\0\0",
    ],
)  # fmt: skip
@pytest.mark.parametrize("order", ["<", ">"])
def test_what_stands_before_a_block_is_forgiven(before, order):
    """The TIFF header is found behind prefixes, offsets and zeros."""
    assert exif.block_of(before + exif_block(order=order)) == exif_block(order=order)


@pytest.mark.parametrize(("right", "wrong"), [(b"II*\0", b"II\0*"), (b"MM\0*", b"MM*\0"), (b"II*\0", b"ii*\0")])
def test_a_header_in_another_spelling_is_forgiven(right, wrong):
    """A magic number in the other byte order, or small letters, are read as Pillow and others read them."""
    block = exif_block(order="<" if right.startswith(b"I") else ">")
    assert exif.parse(exif.block_of(b"Exif\0\0" + wrong + block.removeprefix(right))).orientation == 6


entries = st.dictionaries(
    st.integers(1, 65535),
    st.binary(min_size=1, max_size=40).map(lambda raw: Entry(7, len(raw), raw)),
    max_size=12,
)


@given(entries, st.sampled_from("<>"))
def test_any_directory_reads_back(written, order):
    """Writing and reading a directory are inverse to each other."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    block = head + write_directory(written, 8, order)
    assert dict(read_directory(block, 8, read_header(block)).entries) == written


@given(st.binary(max_size=200), st.integers(0, 400))
def test_a_damaged_block_raises_nothing_but_value_errors(noise, at):
    """Any damage gives a tree or a ValueError, never another exception and never a hang."""
    block = exif_block()
    broken = block[:at] + noise + block[at + len(noise) :]
    with suppress(ValueError):
        tree = exif.parse(broken)
        exif.build(exif.resized(exif.turned(_kept(tree)[0], 6), (10, 10), (20, 20)))


def test_a_directory_that_points_at_itself_ends():
    """Photo data that point back at the main directory do not loop."""
    tree = exif_tree()
    block = bytearray(exif.build(tree))
    count = struct.unpack_from("<H", block, 8)[0]
    for at in range(10, 10 + 12 * count, 12):
        if struct.unpack_from("<H", block, at)[0] == 34665:
            struct.pack_into("<I", block, at + 8, 8)
    assert exif.parse(bytes(block)).photo.keys() <= {271, 274, 315}


def test_a_name_whose_place_lies_outside_is_lost_and_not_absent():
    """An artist that the block promises and does not hold is known to be missing; so are unreadable photo data."""
    block = bytearray(exif.build(exif.Exif("<", {315: text_entry("Ada Painter")})))
    struct.pack_into("<I", block, 18, 60_000)
    assert exif.parse(bytes(block)).lost == {315}
    block = bytearray(exif.build(exif.Exif("<", photo={42039: text_entry("Ada Painter")})))
    struct.pack_into("<I", block, 18, 60_000)
    assert exif.parse(bytes(block)).lost == {tags.EXIF_POINTER}
    assert not exif.parse(exif_block()).lost


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_directory_that_is_cut_off_gives_what_is_there(order):
    """The orientation in its first entries counts; whatever may have named somebody is lost."""
    tree = exif.Exif(order, {274: _number(6, order=order), 315: text_entry("Ada Painter")})
    found = exif.parse(exif.build(tree)[: 10 + 12 + 5])
    assert found.orientation == 6
    assert 315 in found.lost
    with pytest.raises(ValueError, match="lies outside"):
        exif.parse(exif.build(tree)[:9])


@pytest.mark.parametrize("text", ['{"shape": [200, 300, 3]}', "ImageJ=1.53\nimages=1", "<?xml version='1.0'?><OME/>"])
def test_descriptions_of_the_files_layout_are_left_out(text):
    """Scientific programs write sizes into the description, which would be untrue."""
    assert not _kept(exif.Exif("<", {270: text_entry(text)}))[0].main
    assert _kept(exif.Exif("<", {270: text_entry("A cow")}))[0].main


UNLISTED = (269, 285, 316, 33723, 37393, 37397, 37500, 40964, 41484, 42016, 42032, 42033, 42037, 50341, 50708, 59932)


@pytest.mark.parametrize("tag", UNLISTED)
def test_tags_that_are_not_listed_are_left_out(tag):
    """File names, hosts, serial numbers, owners, identifiers, maker notes and private tags go, wherever they stand."""
    tree = exif.parse(exif.build(exif.Exif("<", {315: text_entry("Ada")}, {tag: text_entry("secret")})))
    assert not tree.photo
    tree = exif.parse(exif.build(exif.Exif("<", {tag: text_entry("secret"), 315: text_entry("Ada")})))
    assert set(tree.main) == {315}


@pytest.mark.parametrize("tag", [274, 33434, 36864, 37121, 41486, 42034])
def test_a_tag_of_another_shape_is_left_out(tag):
    """A text where a number or a code belongs is somebody's hiding place."""
    assert not exif.parse(exif.build(exif.Exif("<", photo={tag: text_entry("a secret text")}))).photo


def test_texts_are_cut_at_their_end():
    """Nothing stands behind the closing zero; the second part of a copyright, the editor's, stays."""
    tree = exif.Exif("<", {
        315: Entry(2, 11, b"Ada\0secret\0"), 33432: Entry(2, 17, b"Ada\0Bob\0secret\0\0\0"),
        40093: Entry(1, 16, "Ada\0secr".encode("utf-16-le")),
    }, {37510: Entry(7, 22, b"ASCII\0\0\0hello\0secret\0\0")})  # fmt: skip
    kept = _kept(tree)[0]
    assert b"sec" not in exif.build(kept)
    assert kept.text(33432) == "Ada; Bob"
    assert kept.text(40093) == "Ada"
    assert kept.text(37510) == "hello"


@pytest.mark.parametrize(
    ("tag", "entry", "text"),
    [
        (315, Entry(2, 5, "Zoë\0".encode()), "Zoë"),
        (315, Entry(2, 4, b"Zo\xeb\0"), "Zoë"),
        (315, Entry(129, 5, "Zoë\0".encode()), "Zoë"),
        (315, Entry(7, 3, b"Zoe"), "Zoe"),
        (40093, Entry(1, 8, "Zoë\0".encode("utf-16-le")), "Zoë"),
        (40093, Entry(7, 6, "Zoë".encode("utf-16-le")), "Zoë"),
        (37510, Entry(7, 14, b"ASCII\0\0\0by me\0"), "by me"),
        (37510, Entry(7, 14, b"UNICODE\0" + "Zoë".encode("utf-16-le")), "Zoë"),
        (37510, Entry(7, 14, b"UNICODE\0" + "Zoë".encode("utf-16-be")), "Zoë"),
        (37510, Entry(7, 16, b"UNICODE\0" + "Zoë".encode("utf-16")), "Zoë"),
        (37510, Entry(7, 18, b"JIS\0\0\0\0\0" + "牛".encode("iso2022_jp")), "牛"),
        (37510, Entry(7, 12, bytes(8) + b"cows"), "cows"),
        (37510, Entry(2, 12, b"just a text\0"), "just a text"),
        (315, Entry(3, 1, b"\1\0"), ""),
    ],
)
def test_texts_are_read_in_every_encoding(tag, entry, text):
    """ASCII that is UTF-8 or Latin-1, EXIF 3.0's UTF-8, Windows' UTF-16, and user comments by their code."""
    assert exif.Exif("<", {tag: entry}).text(tag) == text


@pytest.mark.parametrize("tag", [270, 315, 37510, 40092, 42038])
@pytest.mark.parametrize("text", ["52.5200, 13.4050", "at N 52° 31.2'", THUMBNAIL.decode("latin-1")])
def test_texts_with_a_position_or_a_picture_are_left_out(tag, text):
    """In whatever encoding, and with a sentence that names the tag."""
    raw = {37510: b"UNICODE\0" + text.encode("utf-16-be"), 40092: text.encode("utf-16-le")}.get(tag, text.encode())
    tree = exif.Exif("<", photo={tag: Entry(7, len(raw), raw)})
    kept, notes = _kept(tree)
    assert not kept.photo
    assert len(notes) == 1
    assert tags.NAMES[tag] in notes[0]


def test_a_comment_that_lies_about_its_encoding_hides_nothing():
    """Letters that are announced as UTF-16 are looked at as letters, too."""
    raw = b"UNICODE\0near 52.5200, 13.4050!"
    assert not _kept(exif.Exif("<", photo={37510: Entry(7, len(raw), raw)}))[0].photo


def test_texts_in_chinese_stay():
    """The bytes of other scripts are no binary data."""
    raw = ("草地上的一头牛" * 20).encode("utf-16-le")
    kept, notes = _kept(exif.Exif("<", {40091: Entry(1, len(raw), raw)}))
    assert kept.text(40091) == "草地上的一头牛" * 20
    assert not notes


def test_numbers_of_pixels_become_true():
    """The size is the published one's; what was counted in the pixels of a larger picture goes."""
    photo = {
        40962: _number(300),
        40963: _number(200, 4),
        37396: Entry(3, 2, bytes(4)),
        41486: _number(9),
        34855: _number(100),
    }
    tree = exif.Exif("<", photo=photo)
    same = exif.resized(tree, (300, 200), None).photo
    assert {tag: entry.integers("<")[0] for tag, entry in same.items()} == {
        40962: 300, 40963: 200, 37396: 0, 41486: 9, 34855: 100,
    }  # fmt: skip
    less = exif.resized(tree, (150, 100), (300, 200)).photo
    assert {tag: entry.integers("<")[0] for tag, entry in less.items()} == {40962: 150, 40963: 100, 34855: 100}


@pytest.mark.parametrize("order", ["<", ">"])
def test_geotiffs_ties_are_true_for_a_reduced_picture(order):
    """A pixel that is twice as wide covers twice the ground; ties that are no doubles go."""

    def doubles(*values):
        return Entry(12, len(values), struct.pack(f"{order}{len(values)}d", *values))

    tree = exif.Exif(order, {
        33550: doubles(10, 20, 0), 33922: doubles(100, 40, 0, 13, 52, 0), 34264: doubles(*range(1, 17)),
        34735: Entry(3, 4, bytes(8)),
    })  # fmt: skip
    main = exif.resized(tree, (150, 50), (300, 200)).main
    assert main[33550].numbers(order) == (20, 80, 0)
    assert main[33922].numbers(order) == (50, 10, 0, 13, 52, 0)
    assert main[34264].numbers(order)[:4] == (2, 8, 3, 4)
    assert main[34735] == tree.main[34735]
    odd = exif.Exif(order, {33550: Entry(11, 3, struct.pack(f"{order}3f", 1, 1, 1))})
    assert not exif.resized(odd, (150, 50), (300, 200)).main
