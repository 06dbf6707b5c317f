"""From a file's bytes to a picture."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from shaded.errors import PictureError, Transient, Unreadable
from shaded.publishing.containers import avif, heif, jpeg, png, tiff, webp
from shaded.publishing.formats import Format, sniff
from shaded.publishing.holes.profiles import is_sound
from shaded.publishing.holes.runs import HOLE
from shaded.publishing.holes.screening import has_doubtful_zeros
from shaded.publishing.picture import Picture

_DECODERS: dict[Format, Callable[[bytes], Picture]] = {
    "jpeg": jpeg.decode, "png": png.decode, "webp": webp.decode, "tiff": tiff.decode, "avif": avif.decode,
    "heic": heif.decode,
}  # fmt: skip


def decode(data: bytes, path: Path | None = None) -> Picture:
    """Decode a file that has passed :func:`shaded.outbox.screening.screen`.

    The pixels are the file's own values: no colour conversion, no turning. Palette and 1-bit pictures come in a mode
    that holds new colours.

    Args:
        data: The whole file.
        path: Only for messages.

    Raises:
        Unreadable: The pixels are damaged or cut off.
        Transient: There is not enough memory.
    """
    form = sniff(data)
    if form is None:
        raise Unreadable("it is not a picture that is known here", path=path, remedy="Save the picture again")
    try:
        with warnings.catch_warnings():  # Pillow warns on standard error about odd metadata, which is read elsewhere
            warnings.simplefilter("ignore")
            return _with_sound_profile(_DECODERS[form](data))
    except PictureError:
        raise
    except MemoryError as error:
        raise Transient("there is not enough memory to decode it", path=path, remedy="Close other programs") from error
    except Exception as error:  # a decoder's way to fail on hostile data is not a closed list
        raise Unreadable(
            f"the {form.upper()} file is damaged or incomplete ({_reason(data, form, error)})",
            path=path, remedy="Open it in the program that made it and save it again",
        ) from error  # fmt: skip


def _with_sound_profile(picture: Picture) -> Picture:
    """The picture without a profile that is damaged; a reader would take its colours for others."""
    container = picture.container
    if container.icc is None or is_sound(container.icc):
        return picture
    warnings = (*container.warnings, "The colour profile is damaged and was left out.")
    return replace(picture, container=replace(container, icc=None, warnings=warnings))


def _reason(data: bytes, form: Format, error: Exception) -> str:
    """What is wrong with a file: its zeros, if it has any that may be a hole, else what the decoder says."""
    try:
        return HOLE if has_doubtful_zeros(data, form) else str(error) or type(error).__name__
    except ValueError as other:
        return str(other)
