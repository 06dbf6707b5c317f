"""Whether a picture that was recognised and bounded has holes, as far as it can be told without decoding."""

from __future__ import annotations

from collections.abc import Callable

from shaded.publishing.formats import Format
from shaded.publishing.holes import items, jpeg, palette, tags, tiff, webp
from shaded.publishing.probing import tiff_pages


def has_doubtful_zeros(data: bytes, form: Format) -> bool:
    """Whether there is a run of zeros that may be a hole, and that only decoding can judge.

    A file that is still being written may have one, too, where its space was reserved beforehand.

    Raises:
        Hole: There is one that is a hole for sure.
        ValueError: The file is cut off.
    """
    return _LOOKS[form](data)


def _jpeg(data: bytes) -> bool:
    return sum(1 for _ in jpeg.doubts(data)) > 0


def _webp(data: bytes) -> bool:
    return sum(1 for _ in webp.doubtful_pieces(data)) > 0


def _tiff(data: bytes) -> bool:
    header, pages = tiff_pages(data)
    tags.insist_on_tags(data, pages[0], header)
    doubtful = sum(1 for _ in tiff.doubtful_pieces(data, tiff.layout(pages[0], header))) > 0
    return doubtful or palette.doubtful_zeros(data, pages[0])


def _items(data: bytes) -> bool:
    items.insist_on_data(data)
    return False


def _png(_data: bytes) -> bool:
    return False  # each chunk has a check sum


_LOOKS: dict[Format, Callable[[bytes], bool]] = {
    "jpeg": _jpeg, "png": _png, "webp": _webp, "tiff": _tiff, "avif": _items, "heic": _items,
}  # fmt: skip
