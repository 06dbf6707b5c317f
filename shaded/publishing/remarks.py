"""What a published file lacks of its source, in sentences that several containers say."""

from __future__ import annotations

FURTHER_PICTURES = (
    "The file holds further pictures (a gain map, a depth map or a preview); only the first is published."
)
STRAIGHTENED = "The colours were stored multiplied with the transparency; the published file has them straight."
NO_CREDENTIALS = "Content credentials (C2PA) were left out: they do not hold for a changed picture."
#: Why a picture is refused, and what to do.
UNKNOWN_CROP = ("its boxes crop it in a way that is not understood", "Export a JPEG or PNG of what is to be seen")


def fewer_bits(bits: int) -> str:
    """Where the source has more than 8 bits and is decoded with 8."""
    return f"The file has {bits} bits per channel; the published one has 8."
