"""What is particular to JPEG."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from shaded.outbox.screening import screen
from shaded.publishing import iptc, xmp
from shaded.publishing.metadata import rights_in, subject_of
from shaded.publishing.reading import decode
from shaded.publishing.walking import jpeg_scans, jpeg_segments
from shaded.publishing.writing import encode
from shaded.settings import Rights
from tests.publishing.carriers import jpeg
from tests.publishing.samples import (
    SUBJECTS,
    THUMBNAIL,
    exif_with_thumbnail,
    iptc_records,
    nudged,
    saved,
    smooth,
    xmp_packet,
)  # fmt: skip


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("quality", [55, 85, 97])
def test_tables_and_subsampling_are_used_again(quality, subsampling):
    """A JPEG comes out with its source's own quantisation and chroma subsampling."""
    source = saved(smooth(), "JPEG", quality=quality, subsampling=subsampling)
    picture = decode(source)
    result = Image.open(io.BytesIO(encode(picture, nudged(picture)).data))
    assert result.quantization == Image.open(io.BytesIO(source)).quantization
    assert decode(encode(picture, nudged(picture)).data).container.jpeg_subsampling == subsampling


def test_one_table_for_all_components_stays_one_table():
    """A source whose components share one table is not given others."""
    table = [list(range(1, 65))]
    picture = decode(saved(smooth(), "JPEG", qtables=table))
    assert len(picture.container.jpeg_tables) == 1
    result = Image.open(io.BytesIO(encode(picture, nudged(picture)).data))
    assert result.quantization == Image.open(io.BytesIO(saved(smooth(), "JPEG", qtables=table))).quantization


def test_a_quality_overrides_the_sources_tables():
    """When the caller asks for a quality, finer tables are written and the subsampling stays."""
    picture = decode(saved(smooth(), "JPEG", quality=30, subsampling=2))
    result = decode(encode(picture, picture.colour, quality=95).data)
    assert sum(result.container.jpeg_tables[0]) < sum(picture.container.jpeg_tables[0])
    assert result.container.jpeg_subsampling == 2


@pytest.mark.parametrize("progressive", [True, False])
def test_the_scan_order_is_kept(progressive):
    """A progressive JPEG stays progressive, a baseline one baseline."""
    picture = decode(saved(smooth(), "JPEG", progressive=progressive))
    assert decode(encode(picture, picture.colour).data).container.jpeg_progressive is progressive


def test_a_jpeg_that_stores_rgb_stores_it_again():
    """Components that are red, green and blue are not turned into luminance and chroma."""
    picture = decode(saved(smooth(), "JPEG", keep_rgb=True, quality=100))
    assert picture.container.jpeg_rgb
    result = decode(encode(picture, picture.colour).data)
    assert result.container.jpeg_rgb
    assert np.abs(result.colour.astype(int) - picture.colour).max() <= 2


def test_nothing_unshaded_hides_in_the_published_file():
    """Thumbnails, maker notes, extended XMP, further pictures and what follows the end are gone."""
    extended = b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32 + b"\0" * 8 + THUMBNAIL
    extra = b"".join(
        b"\xff" + mark + (len(content) + 2).to_bytes(2, "big") + content
        for mark, content in (
            (b"\xe0", b"JFXX\0\x10" + THUMBNAIL), (b"\xe1", extended), (b"\xe2", b"MPF\0" + THUMBNAIL),
            (b"\xeb", b"JP\0\x01" + THUMBNAIL),
            (b"\xed", b"Photoshop 3.0\x008BIM\x04\x0c\0\0" + len(THUMBNAIL).to_bytes(4, "big") + THUMBNAIL),
        )
    )  # fmt: skip
    source = saved(smooth(), "JPEG", exif=b"Exif\0\0" + exif_with_thumbnail(), extra=extra) + THUMBNAIL
    assert source.count(b"UNSHADED") > 200
    picture = decode(source)
    encoded = encode(picture, nudged(picture))
    assert b"UNSHADED" not in encoded.data
    assert encoded.data.endswith(b"\xff\xd9")
    assert any("further pictures" in one for one in picture.container.warnings)
    assert any("C2PA" in one for one in picture.container.warnings)
    assert any("XMP" in one for one in encoded.warnings)


def test_iptc_records_and_the_comment_are_kept():
    """Keywords and the comment survive; the stored preview does not."""
    records = iptc_records((1, 90, b"\x1b%G"), (2, 25, b"cow"), (2, 202, THUMBNAIL[:600]), (8, 10, THUMBNAIL))
    source = saved(smooth(), "JPEG", comment=b"drawn by hand", extra=iptc.app13(records))
    picture = decode(source)
    assert picture.container.iptc == records
    data = encode(picture, picture.colour).data
    result = decode(data)
    assert result.container.comment == b"drawn by hand"
    assert result.container.iptc == iptc_records((1, 90, b"\x1b%G"), (2, 25, b"cow"))
    assert b"UNSHADED" not in data


def test_an_xmp_packet_too_long_for_a_jpeg_loses_its_largest_parts():
    """Of a packet over 64 KB what is largest goes, with a warning; the rights, the name and the title stay."""
    picture = decode(saved(smooth(), "PNG"))
    long = xmp_packet(
        f"<dc:description>{'word ' * 11000}</dc:description><dc:subject>{'cow ' * 10000}</dc:subject>",
        'dc:title="A cow" dc:creator="Ada"',
    )
    picture = type(picture)(picture.colour, None, type(picture.container)("png", "RGB", xmp=long))
    encoded = encode(picture, picture.colour, "jpeg")
    assert [one for one in encoded.warnings if "no room" in one] == [
        "XMP's dc:description was left out: a JPEG has no room for it."
    ]
    packet = xmp.parse(decode(encoded.data).container.xmp)
    assert xmp.data_mining(packet) == "DMI-PROHIBITED-AIMLTRAINING"
    assert [xmp.values(packet, xmp.DC, name) for name in ("title", "creator")] == [["A cow"], ["Ada"]]
    assert xmp.values(packet, xmp.DC, "subject")
    assert not encode(picture, picture.colour, "png").warnings


@pytest.mark.parametrize(
    "head", [b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xap/1.0/", b"XMP\0://ns.adobe.com/xap/1.0/\0"]
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-be", "utf-16-le"])
def test_the_heading_of_an_xmp_segment_is_forgiven(head, encoding):
    """A missing zero, or another prefix, as some programs write it."""
    packet = xmp_packet("", 'dc:creator="Ada"').decode().replace("\ufeff", "").encode(encoding)
    assert rights_in(decode(jpeg((1, head + packet)))).creator == "Ada"


def _extended(packet, guid=b"0" * 32, step=60_000):
    head = b"http://ns.adobe.com/xmp/extension/\0" + guid + len(packet).to_bytes(4, "big")
    return [(1, head + at.to_bytes(4, "big") + packet[at : at + step]) for at in range(0, len(packet), step)]


def test_extended_xmp_is_read():
    """A packet over several segments, in any order, counts as a part of the first; a depth map in it does not hurt."""
    packet = xmp_packet(f"<own:depth>{'A' * 150_000}</own:depth>{SUBJECTS}", 'dc:creator="Ada"')
    first = (1, b"http://ns.adobe.com/xap/1.0/\0" + xmp_packet("", 'dc:rights="mine"'))
    picture = decode(jpeg(first, *reversed(_extended(packet))))
    encoded = encode(picture, picture.colour, rights=Rights(creator="Bob"))
    assert not encoded.warnings
    assert rights_in(decode(encoded.data)).creator == "Ada"
    assert rights_in(decode(encoded.data)).notice == "mine"
    assert subject_of(decode(encoded.data)) == (["cow", "meadow"], "A cow at noon")
    assert b"AAAAAA" not in encoded.data


def test_extended_xmp_with_a_portion_missing_is_known_to_be_unreadable():
    """What is not whole may name somebody."""
    packet = xmp_packet(f"<own:depth>{'A' * 150_000}</own:depth>", 'dc:creator="Ada"')
    picture = decode(jpeg(*_extended(packet)[::2]))
    encoded = encode(picture, picture.colour, rights=Rights(creator="Bob"))
    assert any("rights.creator" in one for one in encoded.warnings)
    assert rights_in(decode(encoded.data)).creator == ""


def test_metadata_in_a_photoshop_block_count():
    """Its EXIF and XMP are read where the file has none of its own."""
    content = xmp_packet("", 'dc:creator="Ada"')
    content += b"\0" * (len(content) & 1)
    block = b"Photoshop 3.0\x008BIM\x04\x24\0\0" + len(content).to_bytes(4, "big") + content
    assert rights_in(decode(jpeg((13, block)))).creator == "Ada"


def test_a_large_profile_is_split_over_segments_and_read_whole():
    """An ICC profile of more than 64 KB survives."""
    from tests.publishing.samples import ICC_RGB

    icc = ICC_RGB + np.random.default_rng(0).bytes(150_000)
    picture = decode(saved(smooth(), "JPEG", icc_profile=icc))
    assert decode(encode(picture, picture.colour).data).container.icc == icc


def test_scans_are_counted_up_to_the_end_of_the_picture():
    """A plain JPEG has one scan, a progressive one some; a film behind the picture adds none and is no obstacle."""
    film = np.random.default_rng(0).bytes(12_000_000)
    assert film.count(b"\xff\xda") > 100
    plain, progressive = saved(smooth(), "JPEG"), saved(smooth(), "JPEG", progressive=True)
    assert list(jpeg_scans(plain)) == list(jpeg_scans(plain + film))
    assert len(list(jpeg_scans(plain))) == 1
    assert list(jpeg_scans(progressive)) == list(jpeg_scans(progressive + film))
    assert 5 < len(list(jpeg_scans(progressive))) < 20
    assert screen(plain + film, None, 10_000_000).width == 64


def test_segments_are_walked_up_to_the_first_scan():
    """The walk ends with the start of scan and sees the frame header before it."""
    kinds = [part.kind[0] for part in jpeg_segments(saved(smooth(), "JPEG"))]
    assert kinds[-1] == 0xDA
    assert 0xC0 in kinds
