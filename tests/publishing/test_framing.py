"""What the boxes of an AVIF or HEIC crop, turn and mirror, and that nothing that was cropped away is published."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from shaded.errors import Refusal
from shaded.outbox.screening import screen
from shaded.publishing import exif
from shaded.publishing.boxes import Item, read_items
from shaded.publishing.framing import Frame, frame_of
from shaded.publishing.ifd import Entry
from shaded.publishing.orientation import orientation_of
from shaded.publishing.reading import decode
from shaded.publishing.stills import still_facts
from shaded.publishing.writing import encode
from tests.publishing import colours
from tests.publishing.carriers import FORMATS
from tests.publishing.isofile import HEIC, Part, assembled, box, clap, grid, imir, irot, ispe, part_of
from tests.publishing.samples import exif_block, saved, smooth

AVIF = (b"avif", b"mif1", b"avif", b"miaf")
PIXELS = smooth(64, 96)
CODED = {"avif": saved(PIXELS, "AVIF", speed=10), "heic": colours.heic(PIXELS)}
BRANDS = {"avif": AVIF, "heic": HEIC}
CROP = clap(48, 32, 8, -4)


def _still(form, *boxes, more=()):
    return assembled([part_of(CODED[form], *boxes), *more], brands=BRANDS[form])


def _turned(array, orientation):
    """An array as EXIF's orientation shows it (CIPA DC-008, 4.6.4)."""
    flipped = array[:, ::-1] if orientation in (2, 4, 5, 7) else array
    return np.rot90(flipped, {1: 0, 2: 0, 3: 2, 4: 2, 5: 1, 6: -1, 7: -1, 8: 1}[orientation])


def _shown(picture):
    return _turned(picture.colour.astype(int), orientation_of(picture))


def _as_libheif_shows(data):
    return np.asarray(pillow_heif.open_heif(data)).astype(int)


@pytest.mark.parametrize("form", BRANDS)
@pytest.mark.parametrize("output", FORMATS)
def test_what_was_cropped_away_is_not_published(form, output):
    """The published picture has the size of the crop, and no box that crops it again."""
    data = _still(form, CROP)
    assert screen(data, None, 10**6) is not None
    picture = decode(data)
    assert picture.size == (48, 32)
    assert np.abs(picture.colour.astype(int) - PIXELS[12:44, 32:80]).max() < 12
    encoded = encode(picture, picture.colour, output)
    assert decode(encoded.data).size == (48, 32)
    assert b"clap" not in encoded.data
    with Image.open(io.BytesIO(encoded.data)) as image:
        assert image.size == (48, 32)


@pytest.mark.parametrize("boxes", list(itertools.permutations([CROP, irot(1), imir(0)])), ids=range(6))
def test_crop_turn_and_mirror_count_in_their_order(boxes):
    """Each works on what the ones before it left: an AVIF is shown as libheif shows a HEIC with the same boxes."""
    ours, theirs = _shown(decode(_still("avif", *boxes))), _as_libheif_shows(_still("heic", *boxes))
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < 20


@pytest.mark.parametrize(
    "boxes", list(itertools.product([irot(1), irot(2), imir(0), imir(1)], repeat=3)), ids=range(64)
)
def test_any_turns_and_mirrors_come_to_one_orientation(boxes):
    """However often a picture is turned and mirrored, it is shown as each box in its order says."""
    item = Item(b"av01", ((b"ispe", ispe(3, 2)[8:]), *((one[4:8], one[8:]) for one in boxes)))
    expected = np.arange(6).reshape(2, 3)
    shown = _turned(expected, frame_of(item).orientation)
    for one in boxes:
        expected = np.rot90(expected, one[8]) if one[4:8] == b"irot" else np.flip(expected, one[8])
    assert np.array_equal(shown, expected)


@pytest.mark.parametrize(
    ("crop", "frame"),
    [
        (clap(96, 64), (0, 0, 96, 64)),
        (clap(95, 63, (-1, 2), (-1, 2)), (0, 0, 95, 63)),
        (clap(95, 63, (1, 2), (1, 2)), (1, 1, 95, 63)),
        (clap((97, 2), 64), (24, 0, 49, 64)),
        (clap(95, 63), (1, 1, 95, 63)),
        (clap(200, 200), (0, 0, 96, 64)),
        (clap(48, 32, 40), (64, 16, 32, 32)),
        (clap(1, 1, (-95, 2), (-63, 2)), (0, 0, 1, 1)),
    ],
)
def test_a_crop_between_pixels_is_rounded_as_libheif_does(crop, frame):
    """Halves go up, and there is nothing outside of the picture."""
    item = Item(b"av01", ((b"ispe", ispe(96, 64)[8:]), (b"clap", crop[8:])))
    assert frame_of(item) == Frame(*frame)


@pytest.mark.parametrize(
    "crop",
    [
        clap(0, 32), clap(-48, 32), clap((48, 0), 32), clap(48, 32, (0, 0)), clap(48, 32, 400),
        box(b"clap", bytes(31)), box(b"clap"), clap(48, 32) + box(b"iscl", bytes(12)),
    ],
    ids=range(8),
)  # fmt: skip
@pytest.mark.parametrize("form", BRANDS)
def test_a_crop_that_is_not_understood_is_refused(form, crop):
    """It is not published whole: somebody wanted a part of it away."""
    boxes = [crop] if len(crop) == int.from_bytes(crop[:4], "big") else [crop[:40], crop[40:]]
    data = _still(form, *boxes)
    with pytest.raises(Refusal, match="crop it in a way that is not understood"):
        screen(data, None, 10**6)
    with pytest.raises(Refusal, match="crop it in a way that is not understood"):
        decode(data)


def _transparent(form):
    pixels = smooth(64, 96, channels=4)
    if form == "avif":
        return saved(pixels, "AVIF", speed=10)
    out = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(pixels)).save(out, quality=-1)
    return out.getvalue()


def _with_alpha(form, boxes, alpha_boxes):
    data = _transparent(form)
    items = read_items(data)
    colour, alpha = items.shown, items.all[items.auxiliary()[0]]

    def part(item, refers, more):
        (start, end), *_ = item.extents
        own = (box(kind, content) for kind, content in item.properties)
        return Part(item.kind, data[start:end], (*own, *more), refers)

    parts = [part(colour, (), boxes), part(alpha, ((b"auxl", (1,)),), alpha_boxes)]
    return assembled(parts, brands=BRANDS[form])


@pytest.mark.parametrize(("form", "alpha_boxes"), [("avif", ()), ("avif", (CROP,)), ("heic", (CROP,))])
def test_transparency_is_cropped_with_the_picture(form, alpha_boxes):
    """In an AVIF whether its own item says so too or not, as with libavif."""
    whole = decode(_with_alpha(form, (), ()))
    picture = decode(_with_alpha(form, (CROP,), alpha_boxes))
    assert np.array_equal(picture.alpha, whole.alpha[12:44, 32:80])
    assert np.array_equal(picture.colour, whole.colour[12:44, 32:80])
    assert np.array_equal(decode(encode(picture, picture.colour, "png").data).alpha, picture.alpha)


@pytest.mark.parametrize(
    ("form", "boxes", "alpha_boxes"),
    [
        *((form, boxes, (clap(40, 32),)) for form in BRANDS for boxes in ((), (CROP,))),
        ("heic", (CROP,), ()),  # libheif would stretch it
    ],
)
def test_transparency_that_is_cropped_otherwise_is_refused(form, boxes, alpha_boxes):
    """What of the picture it belongs to cannot be told."""
    with pytest.raises(Refusal, match="not understood"):
        decode(_with_alpha(form, boxes, alpha_boxes))


def _tiled(*boxes, tile_boxes=()):
    tile = part_of(CODED["avif"], *tile_boxes)
    whole = Part(b"grid", grid(1, 2, 180, 64), (ispe(180, 64), *boxes), ((b"dimg", (2, 3)),))
    return assembled([whole, tile, tile], brands=AVIF)


def test_a_grid_is_cropped_as_a_whole():
    """The crop is one of the picture that the tiles make up."""
    whole, picture = decode(_tiled()), decode(_tiled(clap(60, 32), irot(1)))
    assert whole.size == (180, 64)
    assert picture.size == (60, 32)
    assert orientation_of(picture) == 8
    assert np.array_equal(picture.colour, whole.colour[16:48, 60:120])


def test_a_grid_of_cropped_tiles_is_refused():
    """No program writes one, and libraries differ on it."""
    with pytest.raises(Refusal, match="not understood"):
        decode(_tiled(tile_boxes=(clap(90, 64),)))


def test_what_counts_the_pixels_of_the_whole_picture_is_not_published():
    """The subject's place in a picture that was cropped is another one; what is no number of pixels stays."""
    tree = exif.parse(exif_block(1))
    tree = exif.Exif(tree.order, tree.main, {**tree.photo, 41492: Entry(3, 2, b"\1\0\2\0")})
    part = Part(b"Exif", bytes(4) + exif.build(tree), (), ((b"cdsc", (1,)),))
    for boxes, kept in (((), True), ((clap(48, 32),), False)):
        picture = decode(_still("avif", *boxes, more=[part]))
        found = exif.parse(decode(encode(picture, picture.colour).data).container.exif)
        assert (41492 in found.photo) is kept
        assert found.text(315) == "Ada Painter"


def test_a_picture_without_a_stated_size_is_not_taken_for_cropped():
    """A tile need not say its size."""
    assert frame_of(Item(b"av01", ((b"irot", b"\1"),))) == Frame(0, 0, 0, 0, 8)
    assert still_facts(CODED["avif"]).is_cropped is False
