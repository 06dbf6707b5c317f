"""What is particular to TIFF."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tifffile
from PIL import Image

from shaded.errors import Unreadable
from shaded.outbox.screening import screen
from shaded.publishing import exif
from shaded.publishing.reading import decode
from shaded.publishing.writing import encode
from shaded.settings import Metadata
from tests.publishing.samples import ICC_RGB, THUMBNAIL, exif_tree, iptc_records, nudged, saved, smooth, xmp_packet


def _written(array, **options):
    out = io.BytesIO()
    tifffile.imwrite(out, array, metadata=None, software=False, **options)
    return out.getvalue()


def _compression(data):
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        return int(file.pages[0].compression)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "packbits", "zstd", "lzma"])
def test_depth_and_compression_are_kept(kind, compression):
    """8 and 16-bit pictures come out exactly as shaded, in the source's lossless compression."""
    source = _written(smooth(kind=kind), photometric="rgb", compression=compression, predictor=compression == "lzw")
    picture = decode(source)
    shaded = nudged(picture)
    data = encode(picture, shaded).data
    assert np.array_equal(decode(data).colour, shaded)
    assert _compression(data) == _compression(source)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("layout", ["contig", "separate"])
def test_byte_order_and_layout_do_not_matter(order, layout):
    """Big-endian files and files with separate planes decode to the same pixels."""
    array = smooth(kind=np.uint16)
    stored = np.moveaxis(array, -1, 0) if layout == "separate" else array
    data = _written(stored, photometric="rgb", planarconfig=layout, byteorder=order)
    assert np.array_equal(decode(data).colour, array)


def test_a_tiled_bigtiff_is_read():
    """Tiles and 64-bit offsets are only another layout."""
    array = smooth(height=100, width=130)
    data = _written(array, photometric="rgb", tile=(64, 64), bigtiff=True)
    assert screen(data, None, 10**6).width == 130
    assert np.array_equal(decode(data).colour, array)


def test_white_is_zero_is_turned_around():
    """A picture whose zero is white decodes to ordinary gray."""
    array = smooth(channels=1)
    picture = decode(_written(array, photometric="miniswhite"))
    assert np.array_equal(picture.colour[..., 0], 255 - array)
    assert decode(encode(picture, picture.colour).data).is_gray


def test_one_bit_and_palette_become_modes_that_hold_new_colours():
    """Line art comes as gray, a palette as RGB."""
    line = Image.fromarray(smooth(channels=1) > 128)
    picture = decode(saved(line, "TIFF"))
    assert picture.container.mode == "1"
    assert np.array_equal(picture.colour[..., 0] > 128, np.array(line))
    palette = Image.fromarray(smooth()).quantize(32)
    picture = decode(saved(palette, "TIFF"))
    assert picture.container.mode == "P"
    assert np.array_equal(picture.colour, np.array(palette.convert("RGB")))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_straight_alpha_is_kept_exactly(kind):
    """Alpha and the colours under full transparency come out as they were."""
    array = smooth(channels=4, kind=kind)
    picture = decode(_written(array, photometric="rgb", extrasamples=["unassalpha"]))
    result = decode(encode(picture, nudged(picture)).data)
    hidden = array[..., 3] == 0
    assert np.array_equal(result.alpha, array[..., 3])
    assert np.array_equal(result.colour[hidden], array[hidden][:, :3])


def test_premultiplied_alpha_comes_out_straight():
    """Colours that were multiplied with their alpha look the same afterwards, and a warning says what changed."""
    straight = smooth(channels=4)
    share = straight[..., 3:] / 255
    stored = np.dstack([np.rint(straight[..., :3] * share).astype(np.uint8), straight[..., 3]])
    picture = decode(_written(stored, photometric="rgb", extrasamples=["assocalpha"]))
    assert any("multiplied" in one for one in picture.container.warnings)
    seen = picture.alpha >= 128
    assert np.abs(picture.colour[seen].astype(int) - straight[seen][:, :3]).max() <= 2
    result = decode(encode(picture, picture.colour).data)
    assert result.container.warnings == ()
    assert np.array_equal(result.colour, picture.colour)


def test_a_saved_selection_is_no_transparency():
    """An extra channel of unspecified meaning is left out, which a warning says."""
    picture = decode(_written(smooth(channels=4), photometric="rgb", extrasamples=["unspecified"]))
    assert picture.alpha is None
    assert any("selections" in one for one in picture.container.warnings)


def test_photo_data_place_and_descriptions_travel():
    """EXIF photo data, IPTC, XMP, ICC and resolution come out; the place only when it is asked for."""
    source = decode(saved(smooth(), "PNG"))
    tree = exif_tree(orientation=3, order=">")
    container = type(source.container)(
        "tiff",
        "RGB",
        icc=ICC_RGB,
        exif=exif.build(tree),
        xmp=xmp_packet(),
        iptc=iptc_records((2, 25, b"cow")),
        dpi=(150, 75),
    )
    picture = type(source)(source.colour, None, container)
    first = decode(encode(picture, picture.colour, metadata=Metadata(gps=True)).data)
    found = exif.parse(first.container.exif)
    assert {**found.main, **tree.main} == found.main
    assert (found.photo, found.gps, found.interoperability) == (tree.photo, tree.gps, tree.interoperability)
    assert first.container.dpi == (150, 75)
    assert first.container.icc == ICC_RGB
    assert first.container.iptc == iptc_records((2, 25, b"cow"))
    second = encode(first, first.colour)
    assert not exif.parse(decode(second.data).container.exif).gps
    assert b"48.8584" not in second.data
    with Image.open(io.BytesIO(second.data)) as image:
        assert image.getexif().get_ifd(34665)[36867] == "2024:05:01 10:20:30"
        assert image.info["dpi"] == (150, 75)


def test_layers_previews_and_further_pages_are_left_out():
    """Photoshop's layers, a reduced second page and unknown large tags do not reach the published file."""
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as writer:
        tags = [(37724, 7, len(THUMBNAIL), THUMBNAIL, True), (60000, 7, len(THUMBNAIL), THUMBNAIL, True),
                (34377, 1, len(THUMBNAIL), THUMBNAIL, True)]  # fmt: skip
        writer.write(smooth(), photometric="rgb", metadata=None, extratags=tags, subifds=0)
        writer.write(smooth(height=8, width=8, seed=9), photometric="rgb", metadata=None, subfiletype=1)
    source = out.getvalue()
    screen(source, None, 10**6)
    picture = decode(source)
    assert any("Layers" in one for one in picture.container.warnings)
    result = encode(picture, nudged(picture)).data
    assert b"UNSHADED" not in result
    with tifffile.TiffFile(io.BytesIO(result)) as file:
        assert len(file.pages) == 1


def test_a_jpeg_in_a_tiff_comes_out_without_loss():
    """A lossy compression is not applied twice: the published file is deflated, and a warning says so."""
    picture = decode(saved(Image.fromarray(smooth(64, 64)).convert("YCbCr"), "TIFF", compression="jpeg"))
    assert picture.container.mode == "RGB"
    assert np.abs(picture.colour.astype(int) - smooth(64, 64)).mean() < 6
    assert any("without loss" in one for one in picture.container.warnings)
    shaded = nudged(picture)
    assert np.array_equal(decode(encode(picture, shaded).data).colour, shaded)


def test_a_tiff_whose_pixels_are_cut_off_is_unreadable():
    """Pixels that the directory promises but the file lacks are noticed before decoding."""
    source = _written(smooth(), photometric="rgb", compression="lzw", rowsperstrip=8)
    broken = source[:-400]
    with pytest.raises(Unreadable):
        screen(broken, None, 10**6)
