"""From shaded pixels and the source's container to the bytes of the published file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast
from warnings import catch_warnings, simplefilter

import numpy as np

from shaded.errors import Refusal
from shaded.publishing.containers import avif, jpeg, png, tiff, webp
from shaded.publishing.containers.pixels import Planes, on_white, to_eight_bits
from shaded.publishing.formats import Format, written_as
from shaded.publishing.metadata import Carried, carried
from shaded.publishing.picture import Picture, Pixels
from shaded.settings import Metadata, OutputFormat, Rights

_LONGEST_SIDE: dict[Format, int] = {"jpeg": 65500, "webp": webp.LONGEST_SIDE, "avif": 65535}
_WIDE: tuple[Format, ...] = ("png", "tiff")


@dataclass(frozen=True)
class Encoded:
    """A file that is ready to be written: its bytes, its format, and what it could not hold, in sentences."""

    data: bytes
    format: Format
    warnings: tuple[str, ...]


def _planes(picture: Picture, colour: Pixels, form: Format, warnings: list[str]) -> Planes:
    """The pixels in a shape that the format holds; under full transparency they are the source's, always."""
    if colour.shape != picture.colour.shape or colour.dtype != picture.colour.dtype:
        raise ValueError(f"shaded pixels are {colour.dtype}{colour.shape}, the source is {picture.colour.dtype}"
                         f"{picture.colour.shape}")  # fmt: skip
    if picture.alpha is not None:
        colour = cast(Pixels, np.where(picture.alpha[..., None] == 0, picture.colour, colour))
    planes = Planes(colour, picture.alpha)
    if form == "jpeg" and planes.alpha is not None:
        warnings.append("JPEG has no transparency; the picture was put on white.")
        planes = on_white(planes)
    if form not in _WIDE and planes.colour.dtype != np.uint8:
        warnings.append(f"{form.upper()} is written with 8 bits per channel; the source has 16.")
        alpha = None if planes.alpha is None else to_eight_bits(planes.alpha)
        planes = Planes(to_eight_bits(planes.colour), alpha)
    return planes


def _check_size(picture: Picture, form: Format) -> None:
    longest = _LONGEST_SIDE.get(form)
    if longest is not None and max(picture.size) > longest:
        raise Refusal(
            f"it has {picture.size[0]} x {picture.size[1]} pixels, and {form.upper()} holds {longest} a side",
            remedy="Choose another output_format, or set max_side",
        )


def _written(picture: Picture, planes: Planes, form: Format, parts: Carried, quality: int | None) -> bytes:
    source = picture.container
    if source.dpi is None and parts.exif is not None and parts.exif.dpi is not None:
        source = replace(source, dpi=parts.exif.dpi)
    if form == "jpeg":
        return jpeg.encode(planes, source, parts, quality)
    if form == "png":
        return png.encode(planes, source, parts)
    if form == "webp":
        return webp.encode(planes, source, parts, quality)
    if form == "tiff":
        return tiff.encode(planes, source, parts)
    return avif.encode(planes, source, parts, quality)


def encode(
    picture: Picture,
    colour: Pixels,
    output_format: OutputFormat = "same",
    *,
    metadata: Metadata | None = None,
    rights: Rights | None = None,
    quality: int | None = None,
) -> Encoded:
    """Write shaded colour into a file.

    Args:
        picture: The source; its alpha and metadata are used again.
        colour: The shaded colour, shape and type as ``picture.colour``.
        output_format: The container; ``same`` is the source's, and JPEG for HEIC.
        metadata: What of the source's metadata is kept; the defaults of the settings without it.
        rights: What is stated about rights; the defaults of the settings without it.
        quality: 1 to 100 for lossy formats; without it a JPEG has its source's tables again, others a high quality.

    Returns:
        The file. Alpha is bit-exact (in 8 bits where the format has no more); under alpha 0 lossless formats have
        exactly the source's
        colour. No unshaded copy (thumbnail, preview, layer) is in it.

    Raises:
        Refusal: The format cannot hold a picture of this size.
    """
    keep = metadata if metadata is not None else Metadata()
    form = written_as(picture.container.format, output_format)
    _check_size(picture, form)
    warnings: list[str] = []
    planes = _planes(picture, colour, form, warnings)
    gray = planes.is_gray and form != "webp"
    parts = carried(picture, form, keep, rights if rights is not None else Rights(), gray=gray)
    with catch_warnings():  # Pillow warns on standard error about odd EXIF tags, which are the source's own
        simplefilter("ignore")
        data = _written(picture, planes, form, parts, quality)
    return Encoded(data, form, (*warnings, *parts.warnings))
