"""Screening: opened without following links, read once, recognised, bounded before decoding."""

from __future__ import annotations

import io
import os
import struct
import time
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from shaded.errors import PictureError, Refusal, SourceChanged, Transient, Unreadable
from shaded.outbox import screening
from shaded.outbox.screening import Screened, read_bytes, screen, sniff

SIZE = (31, 17)


def _saved(form, mode="RGB", **options):
    out = io.BytesIO()
    Image.new(mode, SIZE).save(out, form, **options)
    return out.getvalue()


def _frames(form, **options):
    out = io.BytesIO()
    frames = [Image.new("RGB", SIZE, (n * 80, 0, 0)) for n in range(3)]
    frames[0].save(out, form, save_all=True, append_images=frames[1:], **options)
    return out.getvalue()


def _png(width, height, *chunks):
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), *chunks, (b"IDAT", b""), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    )


def _tiff(array, **options):
    out = io.BytesIO()
    tifffile.imwrite(out, array, metadata=None, **options)
    return out.getvalue()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_every_format_is_recognised_with_its_size(form):
    """Format and size come from the content."""
    data = _saved(form)
    assert sniff(data) == form.lower()
    assert screen(data, None, 10_000) == Screened(form.lower(), *SIZE)


@pytest.mark.parametrize(
    "options", [{"lossless": True}, {"lossless": False}, {"lossless": True, "exif": b"II*\0\x08\0\0\0\0\0"}]
)
def test_all_kinds_of_webp_are_measured(options):
    """Lossless, lossy and extended WebP files say their size in different places."""
    assert screen(_saved("WEBP", **options), None, 10_000) == Screened("webp", *SIZE)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_every_mode_of_a_png_is_accepted(mode):
    """Palette, gray, 1-bit and 16-bit pictures can be shaded."""
    assert screen(_saved("PNG", mode), None, 10_000).format == "png"


def test_a_wrong_suffix_does_not_matter(tmp_path):
    """A PNG that is called .jpg is a PNG."""
    assert screen(_saved("PNG"), tmp_path / "fox.jpg", 10_000).format == "png"


@pytest.mark.parametrize("data", [_frames("PNG"), _frames("WEBP"), _frames("AVIF")], ids=["png", "webp", "avif"])
def test_animations_are_refused(data):
    """Moving pictures are refused in every container, with what to do."""
    with pytest.raises(Refusal, match=r"an animation.*still picture"):
        screen(data, None, 10_000)


def test_a_gif_is_refused_even_when_it_stands_still():
    """GIF cannot hold the shading."""
    with pytest.raises(Refusal, match="GIF"):
        screen(_saved("GIF"), None, 10_000)


def test_several_pages_are_refused_and_a_thumbnail_page_is_not():
    """A second full page is refused; a reduced copy (bit 0 of NewSubfileType) is no page."""
    with pytest.raises(Refusal, match="several pages"):
        screen(_frames("TIFF"), None, 10_000)
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as writer:
        writer.write(np.zeros((17, 31, 3), np.uint8), photometric="rgb", metadata=None)
        writer.write(np.zeros((4, 4, 3), np.uint8), photometric="rgb", metadata=None, subfiletype=1)
    assert screen(out.getvalue(), None, 10_000).width == 31


@pytest.mark.parametrize(
    "data",
    [
        _saved("JPEG", "CMYK"), _saved("TIFF", "CMYK"),
    ],
    ids=["jpeg", "tiff"],
)  # fmt: skip
def test_print_colours_are_refused(data):
    """CMYK is refused with what to do."""
    with pytest.raises(Refusal, match=r"CMYK.*Convert it to RGB"):
        screen(data, None, 10_000)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (_tiff(np.zeros((4, 4, 3), np.float32), photometric="rgb"), "floating point"),
        (_tiff(np.zeros((4, 4), np.uint32)), "32 bits"),
        (_tiff(np.zeros((4, 4), np.int16)), "signed"),
        (_tiff(np.zeros((4, 4, 3), np.uint8), photometric="cielab"), "colour model"),
        (_tiff(np.zeros((4, 4), np.uint16), photometric="cfa"), "camera raw"),
        (_tiff(np.zeros((4, 4), np.uint8), extratags=[(50706, 1, 4, b"\1\4\0\0", True)]), "camera raw"),
    ],
)
def test_a_tiff_of_another_kind_of_number_or_colour_is_refused(data, words):
    """Floating point, other depths, other colour models and raw files are refused by name."""
    with pytest.raises(Refusal, match=words):
        screen(data, None, 10_000)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"8BPS\0\1" + bytes(20), r"a Photoshop document\. Export a PNG or JPEG"), (b"BM" + bytes(60), "BMP"),
        (b"\0\0\0\x14ftypmif1\0\0\0\0miaf", "HEIF"), (b"\0\0\0\x14ftypwxyz\0\0\0\0wxyz", "not known here"),
        (b"\0\0\0\x14ftypisom\0\0\0\0mp42" + bytes(9), "a video"), (b"\0\0\0\x14ftypcrx \0\0\0\0isom", "camera raw"),
        (b"<?xml version='1.0'?>\n<svg xmlns='x'/>", "SVG"), (b"%PDF-1.7", "PDF"), (b"\xff\x0a\0\0", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"), (b"gimp xcf v011", "GIMP"), (b"II*\0\x10\0\0\0CR\2\0", "camera raw"),
        (b"FUJIFILMCCD-RAW 0201", "camera raw"), (b"<!DOCTYPE html><html>", "web page"), (b"P6\n3 3\n255\n", "Netpbm"),
        (b"PK\3\4" + bytes(26) + b"mimetypeapplication/x-krita", "Krita"), (b"PK\3\4" + bytes(60), "ZIP"),
        (b"CSFCHUNK" + bytes(9), "Clip Studio"), (b"\x1aE\xdf\xa3", "video"), (b"\x76\x2f\x31\x01", "OpenEXR"),
    ],
)  # fmt: skip
def test_known_files_are_refused_by_name(data, words):
    """A file that is known but not shaded is called by its name, with what to do."""
    with pytest.raises(Refusal, match=words) as caught:
        screen(data, None, 10_000)
    assert caught.value.remedy


@pytest.mark.parametrize("data", [b"hello", b"\0" * 5000, b"RIFF\0\0\0\0WAVE", "Grüße".encode()])
def test_anything_else_is_no_picture(data):
    """Unknown content is unreadable, with the formats that are known."""
    with pytest.raises(Unreadable, match="not a picture"):
        screen(data, None, 10_000)


def test_an_empty_file_says_so(tmp_path):
    """Empty is its own sentence, before and after reading."""
    (tmp_path / "fox.png").touch()
    with pytest.raises(Unreadable, match="empty"):
        read_bytes(tmp_path / "fox.png", tmp_path, 100)
    with pytest.raises(Unreadable, match="empty"):
        screen(b"", None, 100)


def test_pixels_are_bounded_before_decoding():
    """A header that promises billions of pixels is refused by its numbers; nothing is decoded."""
    with pytest.raises(Refusal, match=r"100000 x 100000 pixels.*max_pixels"):
        screen(_png(100_000, 100_000), None, 200_000_000)
    assert screen(_png(100, 100), None, 10_000).width == 100
    with pytest.raises(Refusal):
        screen(_png(100, 101), None, 10_000)


def test_a_picture_without_pixels_is_unreadable():
    """A width of zero is damage."""
    with pytest.raises(Unreadable, match="no pixels"):
        screen(_png(0, 10), None, 10_000)


def test_an_animation_of_one_frame_is_a_still_picture():
    """A PNG whose animation control says one frame is accepted."""
    assert screen(_png(4, 4, (b"acTL", struct.pack(">II", 1, 0))), None, 100).width == 4


def test_a_high_dynamic_range_picture_is_refused():
    """PQ and HLG values mean something else than ordinary ones."""
    with pytest.raises(Refusal, match="dynamic-range"):
        screen(_png(4, 4, (b"cICP", bytes([9, 16, 0, 1]))), None, 100)


def test_a_jpeg_of_another_depth_is_refused():
    """12-bit JPEG files are refused by name."""
    data = bytearray(_saved("JPEG"))
    data[data.index(b"\xff\xc0") + 4] = 12
    with pytest.raises(Refusal, match="12-bit"):
        screen(bytes(data), None, 10_000)


@given(st.sampled_from(["JPEG", "PNG", "WEBP", "TIFF", "AVIF"]), st.data())
def test_no_header_breaks_the_screening(form, data):
    """Whatever bytes follow a known beginning, screening answers or raises this project's error."""
    whole = _saved(form)
    at = data.draw(st.integers(4, len(whole)))
    broken = whole[:at] + data.draw(st.binary(max_size=80)) + whole[at + data.draw(st.integers(0, 80)) :]
    with suppress(PictureError):
        screen(broken, None, 10_000)


def test_a_tiff_whose_pages_go_in_circles_ends():
    """A next page that is the first one again does not loop."""
    data = bytearray(_tiff(np.zeros((4, 4), np.uint8)))
    first = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, first)[0]
    struct.pack_into("<I", data, first + 2 + 12 * count, first)
    assert screen(bytes(data), None, 100).width == 4


def test_the_bytes_are_those_of_the_file(tmp_path):
    """A file in a sub-folder is read whole."""
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "f\nx.png").write_bytes(b"x" * 3_000_000)
    assert read_bytes(inner / "f\nx.png", tmp_path, 3_000_000) == b"x" * 3_000_000


def test_a_file_over_the_limit_is_refused_before_it_is_read(tmp_path, monkeypatch):
    """The size is looked at first, and says its setting."""
    (tmp_path / "fox.png").write_bytes(b"x" * 11)
    monkeypatch.setattr(screening.os, "read", lambda *_: pytest.fail("it was read"))
    with pytest.raises(Refusal, match="max_bytes"):
        read_bytes(tmp_path / "fox.png", tmp_path, 10)


def test_a_link_is_refused_wherever_it_stands(tmp_path):
    """Neither the file nor a folder on the way may be a link; the root may."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.png").write_bytes(b"secret")
    root = tmp_path / "outbox"
    root.mkdir()
    (root / "fox.png").symlink_to(outside / "secret.png")
    (root / "folder").symlink_to(outside)
    with pytest.raises(Refusal, match="symbolic link"):
        read_bytes(root / "fox.png", root, 100)
    with pytest.raises(Refusal, match="'folder' is a symbolic link"):
        read_bytes(root / "folder" / "secret.png", root, 100)
    (tmp_path / "link").symlink_to(outside)
    assert read_bytes(tmp_path / "link" / "secret.png", tmp_path / "link", 100) == b"secret"


@pytest.mark.parametrize("path", ["../fox.png", "a/../../fox.png", ""])
def test_a_path_outside_the_root_is_refused(tmp_path, path):
    """Only what lies below the root is read."""
    root = tmp_path / "outbox"
    root.mkdir()
    (tmp_path / "fox.png").write_bytes(b"x")
    with pytest.raises(Refusal, match="outside"):
        read_bytes(root / path, root, 100)


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path):
    """A pipe that nobody writes to, and a folder, are refused at once."""
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    for name in ("pipe.png", "folder.png"):
        with pytest.raises(Refusal, match="regular file"):
            read_bytes(tmp_path / name, tmp_path, 100)


def test_a_missing_file_may_come_back(tmp_path):
    """A file or folder that is gone is looked at again and is no failure."""
    for path in (tmp_path / "fox.png", tmp_path / "gone" / "fox.png"):
        with pytest.raises(SourceChanged):
            read_bytes(path, tmp_path, 100)


@pytest.mark.parametrize("change", ["grown", "cut", "touched", "overwritten"])
def test_a_change_while_reading_is_noticed(tmp_path, monkeypatch, change):
    """Growth, a cut and a new time between the first byte and the last mean that the file is not what it was."""
    path = tmp_path / "fox.png"
    path.write_bytes(b"x" * 100)
    read = os.read
    done = []

    def disturbed(descriptor, size):
        if not done:
            done.append(True)
            if change == "touched":
                os.utime(path, ns=(1, 1))
            elif change == "overwritten":
                before = path.stat()
                time.sleep(0.02)  # the file system's clock may tick slowly
                with path.open("r+b") as stream:
                    stream.write(b"y")
                os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
            else:
                os.truncate(path, 200 if change == "grown" else 50)
        return read(descriptor, size)

    monkeypatch.setattr(screening.os, "read", disturbed)
    with pytest.raises(SourceChanged, match="while it was read"):
        read_bytes(path, tmp_path, 1000)


def test_an_error_of_the_disk_is_tried_again(tmp_path, monkeypatch):
    """A read error passes by itself, perhaps."""
    (tmp_path / "fox.png").write_bytes(b"x")

    def failing(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(screening.os, "read", failing)
    with pytest.raises(Transient, match="disk"):
        read_bytes(tmp_path / "fox.png", tmp_path, 100)


def test_no_descriptor_is_left_open(tmp_path):
    """Reading and refusing close what they opened."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "fox.png").write_bytes(b"x")
    before = len(list(Path("/dev/fd").iterdir()))
    for _ in range(5):
        read_bytes(tmp_path / "a" / "fox.png", tmp_path, 100)
        with pytest.raises(Refusal):
            read_bytes(tmp_path / "a", tmp_path, 100)
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_a_long_read_goes_piece_by_piece(tmp_path):
    """Between the pieces of a large file somebody is told, and can end the read."""
    (tmp_path / "large.png").write_bytes(bytes(5 << 20))
    pieces = []

    def alive():
        pieces.append(1)
        if len(pieces) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_bytes(tmp_path / "large.png", tmp_path, 10 << 20, alive)
    assert len(pieces) == 3
