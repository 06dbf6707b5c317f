"""HEIC through libheif: read only, with 8 bits, as phones write it (one HEVC picture or a grid of tiles).

libheif crops, turns and mirrors by the file's own properties. So the pixels stand upright, and an orientation in EXIF
or XMP, which phones write as well, counts no more (HEIF, ISO/IEC 23008-12, 6.5.10 and 6.5.12).
The library is only ever called with bytes; nothing is registered with Pillow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from shaded.errors import Refusal
from shaded.publishing.boxes import alone, read_items
from shaded.publishing.containers.pixels import mode_name, split, straight, to_eight_bits
from shaded.publishing.items import metadata_items, unknown_parts
from shaded.publishing.picture import Container, Picture, Pixels, arranged
from shaded.publishing.remarks import STRAIGHTENED, UNKNOWN_CROP
from shaded.publishing.stills import still_facts

#: What libheif says where it is built without a decoder, or the picture is beyond its own limits. A feature that it
#: lacks is a ``SyntaxError`` in pillow_heif, and not enough memory an ``OSError``.
_INABILITIES = ("has not been built in", "Security limit exceeded")


def _check_parts(data: bytes, open_heif: Callable[[bytes], Any]) -> None:
    """Decode each tile by itself, which raises where one is broken: in a grid libheif passes over it silently."""
    parts = read_items(data).coded()
    for part in set(parts) if len(parts) > 1 else ():
        open_heif(alone(part, data))[0].load()


def _without_colour(samples: Pixels, info: dict[str, Any]) -> Pixels:
    """Gray with transparency comes from the library as four channels."""
    if "chroma" in info or samples.ndim < 3 or samples.shape[2] != 4:
        return samples
    return samples[..., [0, 3]]


def decode(data: bytes) -> Picture:
    """L, LA, RGB or RGBA, 8 bits, upright.

    Raises:
        Refusal: libheif is built without what the file needs, such as an HEVC decoder; or it knows no such colours; or
            the file is cropped in a way that is not understood.
    """
    import pillow_heif  # noqa: PLC0415 - large, and only HEIC files need it

    facts = still_facts(data)
    if not facts.colour.is_known:  # libheif would call it damaged
        raise Refusal(f"its colour space ({facts.colour}) is not known here", remedy="Export a JPEG or PNG")
    if facts.frame is None:
        raise Refusal(UNKNOWN_CROP[0], remedy=UNKNOWN_CROP[1])
    try:
        file = pillow_heif.open_heif(data)
        image = file[file.primary_index]
        if image.size[0] * image.size[1] > facts.width * facts.height:
            raise ValueError("its parts disagree on its size")
        _check_parts(data, pillow_heif.open_heif)
        samples = _without_colour(to_eight_bits(np.array(image)), image.info)  # gray of 10 bits comes with 16
    except (SyntaxError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not any(words in str(error) for words in _INABILITIES):
            raise
        raise Refusal(f"libheif cannot read this kind of HEIC here ({error})", remedy="Export a JPEG or PNG") from error
    except OSError as error:  # of bytes that are in memory it says this alone
        raise MemoryError(str(error)) from error
    colour, alpha = split(samples)
    warnings = facts.remarks
    if alpha is not None and image.premultiplied_alpha:
        colour = straight(colour, alpha)
        warnings += (STRAIGHTENED,)
    icc = image.info.get("icc_profile")
    items, whole = metadata_items(data)
    container = Container(
        "heic",
        mode_name(1 if samples.ndim == 2 else samples.shape[2], wide=False),
        icc=icc,
        colour=None if icc else facts.colour,
        **arranged(items),
        unreadable=() if whole else ("metadata items",),
        unknown=unknown_parts(data),
        orientation=1,
        reframed=True,
        warnings=warnings,
    )
    return Picture(colour, alpha, container)
