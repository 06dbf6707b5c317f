"""How holes are told from what encoders write, format by format."""

from __future__ import annotations

import io
import re
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from shaded.errors import Incomplete
from shaded.outbox.screening import screen
from shaded.publishing.boxes import read_items
from shaded.publishing.holes import items, jpeg, vp8l, webp
from shaded.publishing.holes.rows import Rows, has_hole
from shaded.publishing.holes.runs import Hole, zero_runs
from shaded.publishing.walking import Cut, jpeg_scans, riff_chunks
from tests.publishing.holed import coded, emptied, heic, read, tiff
from tests.publishing.samples import saved, smooth, textured


def test_runs_are_found_with_both_ends():
    """Runs of at least the wanted length, within the two places, each once."""
    data = b"ab" + bytes(70) + b"c" + bytes(63) + b"d" + bytes(200) + b"e" + bytes(80)
    assert list(zero_runs(data, 0, len(data))) == [(2, 72), (137, 337), (338, 418)]
    assert list(zero_runs(data, 10, 330)) == [(137, 330)]
    assert list(zero_runs(data, 0, len(data), 100)) == [(137, 337)]
    assert list(zero_runs(b"", 0, 0)) == []


# JPEG -----------------------------------------------------------------------------------------------------------------


def _with_zeros(data, number, length, offset=40):
    """A JPEG with zeros in one of its scans."""
    scan = list(jpeg_scans(data))[number]
    return emptied(data, scan.start + offset, length)


def test_zeros_that_stand_for_equal_frequencies_are_a_hole():
    """With the usual tables, zeros set all frequencies of a block: nothing is drawn so, and screening says it."""
    data = saved(textured(), "JPEG", quality=75)
    with pytest.raises(Hole):
        list(jpeg.doubts(_with_zeros(data, 0, 256)))
    assert list(jpeg.doubts(_with_zeros(data, 0, 60))) == []


def test_zeros_that_stand_for_flat_blocks_are_left_to_the_decoder():
    """With tables in which zeros end a block, they are a flat area, or a hole: screening has a doubt."""
    flat = saved(np.full((600, 800), 130, np.uint8), "JPEG", optimize=True)
    found = list(jpeg.doubts(flat))
    assert found
    assert all(doubt.explained for doubt in found)
    assert screen(flat, None, 10**6).doubtful
    assert isinstance(read(flat), np.ndarray)


def test_means_that_fall_out_of_their_range_are_a_hole():
    """In the first scan of a progressive JPEG, zeros may stand for steps down: no more of them than black allows."""
    data = saved(textured(512, 512), "JPEG", quality=95, progressive=True)
    with pytest.raises(Hole):
        list(jpeg.doubts(_with_zeros(data, 0, 2048)))


def test_bits_of_means_that_were_lost_are_noticed_in_a_picture_with_tones():
    """The scan that refines means has no code words; what it lost shows in a picture whose means have many values."""
    data = saved(textured(512, 512, channels=1), "JPEG", quality=90, progressive=True)
    number = next(at for at, scan in enumerate(jpeg_scans(data)) if scan.header[-3:] == b"\0\0\x10")
    assert "only zeros" in str(read(_with_zeros(data, number, 300)))


def test_black_and_white_may_have_even_means():
    """Of a dithered picture every last bit of a mean can be 0, and it is accepted."""
    rng = np.random.default_rng(0)
    dither = ((rng.random((400, 600)) < np.arange(600) / 600) * 255).astype(np.uint8)
    data = saved(dither, "JPEG", quality=50, progressive=True)
    number, scan = next((at, scan) for at, scan in enumerate(jpeg_scans(data)) if scan.header[-3:] == b"\0\0\x10")
    assert not any(data[scan.start : scan.end - 1]), number
    assert isinstance(read(data), np.ndarray)


def test_tables_that_are_not_in_the_file_are_the_usual_ones():
    """A scan without tables, as in cameras' moving pictures, is judged by the standard's."""
    whole = saved(textured(channels=1), "JPEG")
    bare = re.sub(rb"(?s)\xff\xc4(..).*?(?=\xff[\xc4\xda])", b"", whole)
    assert b"\xff\xc4" not in bare
    with pytest.raises(Hole):
        list(jpeg.doubts(_with_zeros(bare, 0, 256)))


def test_a_picture_inside_a_scan_is_no_scan():
    """A start mark among coded data belongs to another picture: this one has no end."""
    data = saved(textured(), "JPEG")
    with pytest.raises(Cut, match="another picture"):
        list(jpeg_scans(data[:2000] + saved(smooth(), "JPEG")))


def test_fill_bytes_without_end_cost_no_time():
    """Millions of fill bytes before a marker are passed over at once."""
    data = saved(smooth(), "JPEG")
    assert screen(data[:2] + b"\xff" * 5_000_000 + data[2:], None, 10**6).width == 64
    with pytest.raises(Incomplete, match="marker"):
        screen(data[:2] + b"\xff" * 5_000_000, None, 10**6)


# WebP -----------------------------------------------------------------------------------------------------------------


class _Writer:
    """The arithmetic encoder of VP8 (RFC 6386, 7.3), for flags of even odds."""

    def __init__(self):
        self.out, self.range, self.bottom, self.count = bytearray(), 255, 0, 24

    def flag(self, value):
        split = 1 + ((self.range - 1) >> 1)
        if value:
            self.bottom += split
            self.range -= split
        else:
            self.range = split
        while self.range < 128:
            self.range <<= 1
            if self.bottom >> 31:
                at = len(self.out) - 1
                while self.out[at] == 255:
                    self.out[at] = 0
                    at -= 1
                self.out[at] += 1
            self.bottom = self.bottom << 1 & 0xFFFFFFFF
            self.count -= 1
            if not self.count:
                self.out.append(self.bottom >> 24)
                self.bottom &= 0xFFFFFF
                self.count = 8

    def number(self, value, bits):
        for at in reversed(range(bits)):
            self.flag(value >> at & 1)

    def end(self):
        self.number(0, 32)
        return bytes(self.out)


def _partitioned(log2, *, segments, deltas):
    """A frame with 1, 2, 4 or 8 partitions of coefficients, each with zeros in it."""
    head = _Writer()
    head.number(0, 2)
    head.flag(segments)
    if segments:
        head.number(0b11, 2)
        head.flag(1)
        for size in (7,) * 4 + (6,) * 4:
            head.flag(1)
            head.number(5, size + 1)
        for _ in range(3):
            head.flag(1)
            head.number(200, 8)
    head.number(0b0_010101_011, 10)
    head.flag(deltas)
    if deltas:
        head.flag(1)
        for _ in range(8):
            head.flag(1)
            head.number(3, 7)
    head.number(log2, 2)
    first = head.end()
    parts = [bytes([number + 1]) * 9 + bytes(100) + b"end" * (number + 1) for number in range(1 << log2)]
    sizes = b"".join(len(part).to_bytes(3, "little") for part in parts[:-1])
    tag = (len(first) << 5 | 0x10).to_bytes(3, "little")
    content = tag + b"\x9d\x01\x2a\x40\0\x30\0" + first + sizes + b"".join(parts)
    body = b"VP8 " + len(content).to_bytes(4, "little") + content + b"\0" * (len(content) & 1)
    return b"RIFF" + (4 + len(body)).to_bytes(4, "little") + b"WEBP" + body, content, parts


@pytest.mark.parametrize("deltas", [False, True])
@pytest.mark.parametrize("segments", [False, True])
@pytest.mark.parametrize("log2", [0, 1, 2, 3])
def test_partitions_are_found_and_shortened_one_by_one(log2, segments, deltas):
    """Each partition with zeros is a piece of its own, and a shorter one is stated as shorter."""
    data, content, parts = _partitioned(log2, segments=segments, deltas=deltas)
    pieces = list(webp.doubtful_pieces(data))
    assert [content[piece.start : piece.end] for piece in pieces] == parts
    for number, piece in enumerate(pieces):
        again = webp.changed(data, piece, webp.shortened(content, piece))
        left = [part[:-8] if at == number else part for at, part in enumerate(parts)]
        inner = next(riff_chunks(again)).content
        assert [inner[other.start : other.end] for other in webp.doubtful_pieces(again)] == left


def test_lossless_data_that_were_made_with_effort_have_no_runs_of_zeros():
    """Where predictors differ from area to area, a run is a hole at screening; without effort, the decoder judges."""
    for method, chosen in ((0, False), (4, True)):
        data = saved(textured(), "WEBP", lossless=True, method=method)
        content = next(riff_chunks(data)).content
        assert vp8l.chose_by_area(content[5:]) is chosen
        holed = emptied(data, len(data) // 2, 600)
        if chosen:
            with pytest.raises(Incomplete, match="only zeros"):
                screen(holed, None, 10**6)
        else:
            assert screen(holed, None, 10**6).doubtful
        assert isinstance(read(holed), str)


@pytest.mark.parametrize("colours", [2, 3, 9, 30, 200])
def test_palettes_are_read_to_see_what_follows(colours):
    """A palette comes before the predictors; of pictures with few colours there are none, and nothing fails."""
    array = np.asarray(Image.fromarray(textured()).quantize(colours).convert("RGB"))
    for method in (0, 2, 4, 6):
        content = next(riff_chunks(saved(array, "WEBP", lossless=True, method=method))).content
        assert vp8l.chose_by_area(content[5:]) in (False, True)


def test_a_damaged_head_of_lossless_data_is_damage():
    """Whatever bits stand there, the walk through the head ends with an answer or with the project's error."""
    content = next(riff_chunks(saved(textured(channels=4), "WEBP", lossless=True))).content[5:]
    rng = np.random.default_rng(0)
    for _ in range(300):
        broken = bytearray(content[: rng.integers(1, 400)])
        for at in rng.integers(0, len(broken), 3):
            broken[at] = rng.integers(0, 256)
        with suppress(ValueError):
            assert vp8l.chose_by_area(bytes(broken)) in (False, True)


def test_transparency_without_compression_is_judged_by_its_rows():
    """A byte for each pixel: zeros are see-through, unless they break off in the middle of a row."""
    lossy = next(riff_chunks(saved(textured(), "WEBP"))).content
    size = (255).to_bytes(3, "little") + (191).to_bytes(3, "little")

    def file(alpha):
        parts = ((b"VP8X", b"\x10\0\0\0" + size), (b"ALPH", b"\0" + alpha), (b"VP8 ", lossy))
        body = b"".join(kind + len(own).to_bytes(4, "little") + own + b"\0" * (len(own) & 1) for kind, own in parts)
        return b"RIFF" + (4 + len(body)).to_bytes(4, "little") + b"WEBP" + body

    alpha = textured(channels=1).tobytes()
    assert isinstance(read(file(alpha)), np.ndarray)
    assert isinstance(read(file(alpha[: 256 * 80] + bytes(256 * 112))), np.ndarray)
    assert "only zeros" in str(read(file(alpha[: 256 * 80 + 100] + bytes(256 * 112 - 100))))


def test_a_chunk_without_a_name_is_damage():
    """Zeros over the head of a chunk end the walk."""
    data = saved(textured(), "WEBP", exif=b"II*\0\x08\0\0\0\0\0" + bytes(20))
    at = data.index(b"EXIF")
    with pytest.raises(Incomplete, match="no name"):
        screen(emptied(data, at, 8), None, 10**6)


# AVIF and HEIC --------------------------------------------------------------------------------------------------------


def test_zeros_in_metadata_of_an_avif_are_no_hole():
    """Only the coded pictures are looked at: a maker note may be full of zeros."""
    note = b"II*\0\x08\0\0\0\x01\0\x7c\x92\x07\0\xd0\x07\0\0\x1a\0\0\0\0\0\0\0" + bytes(2000)
    for data in (saved(textured(), "AVIF", exif=note, speed=10), heic(textured(), exif=b"Exif\0\0" + note)):
        assert bytes(1000) in data
        items.insist_on_data(data)


def test_three_zeros_in_a_unit_of_a_heic_are_a_hole():
    """In an HEVC stream three zeros in a row are escaped, so that three lost bytes are enough to tell."""
    data = heic(textured(), quality=60)
    (start, end), *_ = read_items(data).coded()[0].extents
    items.insist_on_data(data)
    for at in (start + 200, (start + end) // 2, end - 3):
        with pytest.raises(Hole):
            items.insist_on_data(emptied(data, at, 3))
    with pytest.raises(Hole):
        items.insist_on_data(emptied(data, start, 4))
    with pytest.raises(Cut):
        items.insist_on_data(data[:start] + b"\x7f\xff" + data[start + 2 :])


# Rows -----------------------------------------------------------------------------------------------------------------


def _page(height=60, width=100, channels=3):
    return np.random.default_rng(0).integers(1, 256, (height, width, channels), dtype=np.uint8)


def _told(array, **options):
    channels = array.shape[2]
    return has_hole(array.tobytes(), 0, array.size, Rows(array.shape[1] * channels, channels), **options)


def test_black_areas_with_outlines_are_no_holes():
    """Bars at the edges, rectangles, slopes, lines and stars are drawn; none has a row's end for its outline."""
    shapes = {}
    for name, part in {
        "bars": np.s_[50:], "upper bar": np.s_[:9], "band": np.s_[20:30], "left": np.s_[:, :40],
        "box": np.s_[10:30, 20:70], "line": np.s_[30, 10:80], "box to the edge": np.s_[40:, 50:],
        "two rows": np.s_[30:32, 50:],
    }.items():  # fmt: skip
        shapes[name] = _page()
        shapes[name][part] = 0
    for name, slope in {"steep": 5, "gentle": 40}.items():
        shapes[name] = _page()
        for row in range(60):
            shapes[name][row, max(0, 100 - slope * max(0, row - 20)) :] = 0
    shapes["stars"] = np.zeros_like(_page())
    shapes["stars"].reshape(-1, 3)[::517] = 200
    assert [name for name, array in shapes.items() if _told(array)] == []


def test_a_raster_that_breaks_off_is_a_hole():
    """From the middle of a row to the end, from the start to the middle of a row, and between two rows' middles."""
    for part in (np.s_[3000:], np.s_[: 3000 - 40], np.s_[2030:3560]):
        array = _page()
        array.reshape(-1, 3)[part] = 0
        assert _told(array) is (part != np.s_[3000:])  # which is a row's start
    array = _page()
    array.reshape(-1)[9000 + 151 :] = 0
    assert _told(array)


def test_a_thin_hole_is_told_by_its_ends():
    """One within a row is a line, unless it cuts pixels at both ends; differences between pixels say nothing then."""
    array = _page()
    array.reshape(-1)[9000 + 30 : 9000 + 210] = 0
    assert not _told(array)
    array = _page()
    array.reshape(-1)[9000 + 31 : 9000 + 212] = 0
    assert _told(array)
    assert not _told(array, differences=True)


def test_a_slanted_line_in_narrow_rows_is_no_hole():
    """It begins in the middle of a row and ends in that of the next; so does a hole, but where rows are long."""
    for width, is_hole in ((100, False), (300, True)):
        array = _page(width=width)
        array.reshape(-1, 3)[30 * width + 40 : 32 * width + 20] = 0
        assert _told(array) is is_hole


# Tiles ----------------------------------------------------------------------------------------------------------------


def _tiled(array):
    return tiff(array, tile=(64, 64))


@pytest.mark.parametrize("rise", range(1, 9))
@pytest.mark.parametrize("thick", [2, 5, 40, 200])
def test_a_slanted_line_across_tiles_is_no_hole(rise, thick):
    """A black line, bar or ground that rises by a few pixels over the picture is drawn, whatever the tiles are."""
    array = _page(250, 400)
    rows, columns = np.mgrid[:250, :400]
    edge = 130 - columns * rise // 400
    array[(rows >= edge) & (rows < edge + thick)] = 0
    assert isinstance(read(_tiled(array)), np.ndarray)


@pytest.mark.parametrize("shown", [2, 40, 58])
def test_what_fills_up_a_tile_is_no_part_of_a_hole(shown):
    """Tiles at the right and at the bottom are filled up with zeros; a black box that meets them is drawn."""
    for part in (np.s_[20:50, 64:], np.s_[64:, 30:], np.s_[50:, 10:], np.s_[64 + shown // 2 :, 70:]):
        array = _page(64 + shown, 64 + shown)
        array[part] = 0
        assert isinstance(read(_tiled(array)), np.ndarray), part


@pytest.mark.parametrize("length", [700, 4096, 12288, 30000])
def test_a_hole_in_tiles_is_refused(length):
    """Wherever it begins in the middle of a tile's row, the tiles beside it are a picture where it is not."""
    data = _tiled(_page(256, 256))
    for tile in (0, 3, 5, 12):
        start, _ = coded(data)[tile]
        for at in (start + 192 * 9 + 100, start + 192 * 33 + 31):
            assert "only zeros" in str(read(emptied(data, at, length))), (tile, at)


def test_sixteen_bit_values_may_have_zeros_for_one_of_their_bytes():
    """A picture of 8 bits that was stored with 16 has a zero in each value, and breaks off all the same."""
    array = (_page(channels=1).astype("<u2") << 8).reshape(-1)
    rows = Rows(200, 2, 2)
    assert not has_hole(array.tobytes(), 0, array.nbytes, rows)
    array[3040:] = 0
    assert has_hole(array.tobytes(), 0, array.nbytes, rows)


def test_words_for_people_hold_the_reason():
    """The error names the format, what is wrong and what to do."""
    data = saved(textured(), "JPEG")
    with pytest.raises(Incomplete, match=r"the JPEG file is damaged.*only zeros.*Copy the file again"):
        screen(emptied(data, len(data) // 2, 4096), None, 10**6)
    out = io.BytesIO()
    Image.fromarray(textured()).save(out, "TIFF", compression="tiff_lzw")
    assert "only zeros" in read(emptied(out.getvalue(), 9000, 4096))
