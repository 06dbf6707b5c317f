"""Fields of several texts are looked at as a whole, and so is what stands beside a text."""

from __future__ import annotations

import pytest

from shaded.publishing.reading import decode
from shaded.publishing.writing import encode
from shaded.settings import Metadata
from tests.publishing.carriers import png, with_iptc, with_xmp
from tests.publishing.samples import iptc_records, xmp_packet


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (with_iptc("jpeg", iptc_records((2, 25, b"52.520"), (2, 25, b"13.405"))), "IPTC dataset 2:25"),
        (with_xmp("png", xmp_packet("<dc:subject><rdf:Bag><rdf:li>52.520</rdf:li><rdf:li>13.405</rdf:li></rdf:Bag>"
                                    "</dc:subject>")), "XMP's dc:subject"),
        (png((b"tEXt", b"Comment\0" + b"52.520"), (b"tEXt", b"Comment\0" + b"13.405")), 'The text "Comment"'),
    ],
    ids=["iptc", "xmp", "texts"],
)  # fmt: skip
def test_keywords_that_are_a_position_together_are_left_out(data, what):
    """Each alone tells nothing; with ``gps`` they stay."""
    picture = decode(data)
    encoded = encode(picture, picture.colour)
    assert f"{what} was left out: it reads like a position." in encoded.warnings
    assert b"52.520" not in encoded.data
    assert b"52.520" in encode(picture, picture.colour, metadata=Metadata(gps=True)).data


def test_the_language_of_a_text_is_no_place_for_a_position():
    """What is no language is written as an unknown one."""
    title = '<dc:title><rdf:Alt><rdf:li xml:lang="lat-5252-lon-1340">Cow</rdf:li></rdf:Alt></dc:title>'
    picture = decode(with_xmp("png", xmp_packet(title)))
    data = encode(picture, picture.colour).data
    assert b"5252" not in data
    assert b">Cow<" in data
