"""What is read from a file for the concept, and what rights are stated in it."""

from __future__ import annotations

import pytest

from shaded.publishing.metadata import rights_in, subject_of
from shaded.publishing.picture import Container, Picture
from shaded.publishing.reading import decode
from shaded.publishing.sidecar import RightsFacts
from shaded.publishing.writing import encode
from shaded.settings import Metadata, Rights
from tests.publishing.samples import SUBJECTS, exif_block, iptc_records, saved, smooth, xmp_packet

VOCABULARY = "http://ns.useplus.org/ldf/vocab/"


def _picture(**container):
    return Picture(decode(saved(smooth(), "PNG")).colour, None, Container("jpeg", "RGB", **container))


def _published(picture, rights, **metadata):
    return rights_in(decode(encode(picture, picture.colour, rights=rights, metadata=Metadata(**metadata)).data))


def test_subjects_come_from_xmp_and_iptc():
    """Keywords of both, each once, and the first title."""
    picture = _picture(xmp=xmp_packet(SUBJECTS), iptc=iptc_records((2, 25, b"cow"), (2, 25, b"noon"), (2, 5, b"other")))
    assert subject_of(picture) == (["cow", "meadow", "noon"], "A cow at noon")


def test_a_picture_that_says_nothing_has_no_subject():
    """No metadata, or a damaged packet, give nothing."""
    assert subject_of(_picture()) == ([], None)
    assert subject_of(_picture(xmp=b"<broken")) == ([], None)


def test_the_opt_out_is_written_by_default():
    """A file that says nothing says no to training afterwards."""
    assert _published(_picture(), None) == RightsFacts(data_mining=VOCABULARY + "DMI-PROHIBITED-AIMLTRAINING")


def test_creator_and_notice_are_written():
    """Both stand in the published file when they are set."""
    rights = Rights(data_mining="prohibited", creator="Ada & Co", notice="© <Ada> 2026")
    assert _published(_picture(), rights) == RightsFacts(
        data_mining=VOCABULARY + "DMI-PROHIBITED", creator="Ada & Co", notice="© <Ada> 2026"
    )


def test_keep_writes_nothing():
    """With ``keep`` a file without metadata stays without, and one that states something still does."""
    picture = _picture()
    assert decode(encode(picture, picture.colour, rights=Rights(data_mining="keep")).data).container.xmp is None
    stating = _picture(xmp=xmp_packet("", f'plus:DataMining="{VOCABULARY}DMI-ALLOWED"'))
    assert _published(stating, Rights(data_mining="keep")).data_mining == VOCABULARY + "DMI-ALLOWED"


@pytest.mark.parametrize(
    ("stated", "setting", "expected"),
    [
        ("DMI-ALLOWED", "prohibited-ai-training", "DMI-PROHIBITED-AIMLTRAINING"),
        ("DMI-PROHIBITED", "prohibited-ai-training", "DMI-PROHIBITED"),
        ("DMI-PROHIBITED-GENAIMLTRAINING", "prohibited-ai-training", "DMI-PROHIBITED-AIMLTRAINING"),
        (
            "DMI-PROHIBITED-EXCEPTSEARCHENGINEINDEXING",
            "prohibited-ai-training",
            "DMI-PROHIBITED-EXCEPTSEARCHENGINEINDEXING",
        ),
        ("DMI-PROHIBITED-EXCEPTSEARCHENGINEINDEXING", "prohibited", "DMI-PROHIBITED"),
        ("DMI-PROHIBITED-SEECONSTRAINT", "prohibited", "DMI-PROHIBITED-SEECONSTRAINT"),
    ],
)
def test_a_stricter_statement_of_the_artist_stands(stated, setting, expected):
    """The setting never weakens what the file already forbids."""
    picture = _picture(xmp=xmp_packet("", f'plus:DataMining="{VOCABULARY}{stated}"'))
    assert _published(picture, Rights(data_mining=setting)).data_mining == VOCABULARY + expected


def test_a_name_in_exif_or_iptc_counts_as_named():
    """The setting's creator is not added beside an artist that the file names elsewhere."""
    assert _published(_picture(exif=exif_block()), Rights(creator="Bob")).creator == ""
    assert _published(_picture(iptc=iptc_records((2, 80, b"Ada"))), Rights(creator="Bob")).creator == ""
    assert _published(_picture(exif=exif_block()), Rights(creator="Bob"), exif=False).creator == "Bob"


def test_damaged_metadata_are_left_out_with_a_warning():
    """A broken EXIF block or XMP packet does not stop the picture."""
    picture = _picture(exif=b"II*\0\xff\xff\xff\xff", xmp=b"<!DOCTYPE a><a/>")
    encoded = encode(picture, picture.colour)
    assert any("EXIF" in one for one in encoded.warnings)
    assert any("XMP" in one and "document type" in one for one in encoded.warnings)
    assert rights_in(decode(encoded.data)).data_mining


def test_iptc_records_that_a_format_cannot_hold_are_mentioned():
    """Going from JPEG to WebP loses IPTC, which a warning says."""
    picture = _picture(iptc=iptc_records((2, 25, b"cow")))
    assert any("IPTC" in one for one in encode(picture, picture.colour, "webp").warnings)
    assert not encode(picture, picture.colour, "tiff").warnings
