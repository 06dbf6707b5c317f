"""Colour spaces that are no ICC profile: what they are, and how a file of another format says the same.

PNG and the formats of the AVIF family state numbers of ITU-T H.273; older PNG files state chromaticities and a gamma.
Other containers know only ICC profiles, which littlecms makes of these.
(ITU-T H.273, tables 2 and 3; PNG, third edition, 11.3.2; ICC.1:2022.)
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from shaded.publishing.formats import Format

if TYPE_CHECKING:  # screening reads colour spaces too, and must not load numpy
    import numpy as np
    from numpy.typing import NDArray

    from shaded.publishing.picture import Container

Chromaticities = tuple[float, float, float, float, float, float, float, float]

_D65, _C, _EQUAL, _DCI = (0.3127, 0.3290), (0.310, 0.316), (1 / 3, 1 / 3), (0.314, 0.351)
_NTSC: Chromaticities = (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070)
_SRGB: Chromaticities = (*_D65, 0.640, 0.330, 0.300, 0.600, 0.150, 0.060)
#: x and y of white, red, green and blue by their H.273 numbers (table 2).
_PRIMARIES: dict[int, Chromaticities] = {
    1: _SRGB,
    2: _SRGB,
    4: (*_C, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: _NTSC,
    7: _NTSC,
    8: (*_C, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    10: (*_EQUAL, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0),
    11: (*_DCI, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    22: (*_D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),
}
ADOBE_RGB: Chromaticities = (*_D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
ADOBE_GAMMA = 563 / 256
_UNSPECIFIED, _SRGB_TRANSFER, _PQ, _HLG = 2, 13, 16, 18
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}
#: Transfer functions that agree with BT.709's between black and white.
_LIKE_BT709 = frozenset({1, 6, 11, 12, 14, 15})
_KNOWN_TRANSFERS = frozenset({2, 7, 9, 10, 13, 17, *_GAMMAS, *_LIKE_BT709})
#: Within these a chromaticity or gamma is sRGB's, rounded.
_NEAR, _NEAR_GAMMA = 0.002, 0.005
_NEAR_CURVE = 0.002
#: Steeper or flatter curves than these are a mistake, and an ICC profile hardly holds them.
_GAMMA_LIMITS = (0.1, 10.0)
#: 8-bit values lie exactly on the entries of such a curve.
_ENTRIES = 255 * 4 + 1
#: Narrow range: black and white of 8-bit values.
_BLACK, _WHITE = 16 / 255, 235 / 255
#: A file must not depend on when it was made: ICC header, bytes 24 to 35.
_DATE = bytes((7, 228, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0))
_D50 = (0.3457, 0.3585, 1.0)
#: The most that the 255 segments of a JPEG hold.
_JPEG_PROFILE = 255 * 65519


@dataclass(frozen=True)
class Colour:
    """A colour space in the words of its file.

    Attributes:
        primaries: The H.273 number of primaries and white; 2 is unspecified and read as sRGB's.
        transfer: The H.273 number of the transfer function; 2 is unspecified and read as sRGB's.
        full_range: Whether black is 0 and white the largest value, and not 16 and 235 of 255.
        chromaticities: x and y of white, red, green and blue, where the file states them instead of a number.
        gamma: The power that makes light of a value, where the file states it instead of a number.
    """

    primaries: int = _UNSPECIFIED
    transfer: int = _UNSPECIFIED
    full_range: bool = True
    chromaticities: Chromaticities | None = None
    gamma: float | None = None

    @property
    def is_hdr(self) -> bool:
        """Whether values stand for more light than a screen's white: PQ or HLG."""
        return self.gamma is None and self.transfer in (_PQ, _HLG)

    @property
    def is_numbered(self) -> bool:
        """Whether the H.273 numbers say all of it."""
        return self.full_range and self.chromaticities is None and self.gamma is None

    @property
    def is_known(self) -> bool:
        """Whether it can be told what its values look like."""
        if self.chromaticities is None and self.primaries not in _PRIMARIES:
            return False
        if self.chromaticities is not None and not _spans(self.chromaticities):
            return False
        if self.gamma is not None:
            return _GAMMA_LIMITS[0] <= self.gamma <= _GAMMA_LIMITS[1]
        return self.transfer in _KNOWN_TRANSFERS

    @property
    def is_srgb(self) -> bool:
        """Whether it is what every reader assumes where nothing is stated.

        A gamma of 2.2 with sRGB's primaries is how PNG says sRGB to older readers (PNG, 11.3.2.5).
        """
        if not self.is_known or not self.full_range:
            return False
        near = all(abs(mine - its) <= _NEAR for mine, its in zip(self.white_and_primaries, _SRGB, strict=True))
        if self.gamma is not None:
            return near and abs(self.gamma / 2.2 - 1) <= _NEAR_GAMMA
        return near and self.transfer in (_UNSPECIFIED, _SRGB_TRANSFER)

    @property
    def white_and_primaries(self) -> Chromaticities:
        """The x and y of white, red, green and blue, of a colour space that is known."""
        return self.chromaticities or _PRIMARIES[self.primaries]

    def __str__(self) -> str:
        if self.is_numbered:
            return f"H.273 primaries {self.primaries} and transfer {self.transfer}"
        words = [f"H.273 primaries {self.primaries}" if self.chromaticities is None else "chromaticities of its own"]
        words.append(f"transfer {self.transfer}" if self.gamma is None else f"gamma {self.gamma:.4g}")
        return " and ".join(words) + ("" if self.full_range else ", narrow range")


SRGB = Colour(1, _SRGB_TRANSFER)


def _spans(chromaticities: Chromaticities) -> bool:
    """Whether the primaries make a triangle with the white inside, as a colour space needs."""
    white, red, green, blue = (chromaticities[n : n + 2] for n in (0, 2, 4, 6))

    def side(one: tuple[float, ...], other: tuple[float, ...]) -> float:
        """Twice the area of the triangle with the white, signed by its sense of rotation."""
        return (one[0] - white[0]) * (other[1] - white[1]) - (other[0] - white[0]) * (one[1] - white[1])

    sides = side(red, green), side(green, blue), side(blue, red)
    return white[1] > 0.01 and (min(sides) > 1e-4 or max(sides) < -1e-4)


def _light(colour: Colour) -> NDArray[np.float64]:
    """The light, 0 to 1, of evenly spaced values from 0 to 1 (H.273, table 3, inverted)."""
    import numpy as np  # noqa: PLC0415 - see above

    value = np.linspace(0.0, 1.0, _ENTRIES)
    if not colour.full_range:
        value = np.clip((value - _BLACK) / (_WHITE - _BLACK), 0.0, 1.0)
    gamma = _GAMMAS.get(colour.transfer) if colour.gamma is None else colour.gamma
    if gamma is not None:
        light = value**gamma
    elif colour.transfer in _LIKE_BT709:
        light = np.where(value < 0.081243, value / 4.5, ((value + 0.099297) / 1.099297) ** (1 / 0.45))
    elif colour.transfer == 7:
        light = np.where(value < 0.0912863, value / 4.0, ((value + 0.111572) / 1.111572) ** (1 / 0.45))
    elif colour.transfer in (9, 10):
        light = np.where(value > 0, 10 ** ((value - 1) * (2.0 if colour.transfer == 9 else 2.5)), 0.0)
    elif colour.transfer == 17:
        light = np.minimum(value**2.6 * 52.37 / 48, 1.0)
    else:
        light = np.where(value < 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return light


def closest(chromaticities: Chromaticities | None, light: NDArray[np.float64]) -> Colour:
    """The colour space with such a curve: sRGB's or a gamma within 0.2 percent, else one that is not known.

    Args:
        chromaticities: Those of the colour space; sRGB's without them.
        light: The light, 0 to 1, of evenly spaced values from 0 to 1.
    """
    import numpy as np  # noqa: PLC0415 - see above

    value = np.linspace(0.0, 1.0, len(light))
    middle = len(light) // 2
    if middle and 0 < light[middle] < 1:
        srgb = np.interp(value, np.linspace(0.0, 1.0, _ENTRIES), _light(SRGB))
        if np.abs(srgb - light).max() < _NEAR_CURVE:
            return Colour(transfer=_SRGB_TRANSFER, chromaticities=chromaticities)
        gamma = float(np.log(light[middle]) / np.log(value[middle]))
        if np.abs(value**gamma - light).max() < _NEAR_CURVE:
            return Colour(chromaticities=chromaticities, gamma=gamma)
    return Colour(transfer=0, chromaticities=chromaticities)


def icc_profile(colour: Colour, *, gray: bool) -> bytes:
    """The ICC profile of a colour space, the same bytes each time.

    Args:
        colour: One that is known.
        gray: For a picture of one channel.
    """
    plain = colour.gamma if colour.gamma is not None else _GAMMAS.get(colour.transfer)
    if plain is not None and colour.full_range:
        return _made(colour, gray=gray, gamma=plain)
    return _made(colour, gray=gray, transferfunction=_steps(_light(colour)))


def _steps(light: NDArray[Any]) -> NDArray[np.uint16]:
    import numpy as np  # noqa: PLC0415 - see above

    steps: NDArray[np.uint16] = np.rint(light * 65535).astype(np.uint16)
    return steps


def _made(colour: Colour, *, gray: bool, **curve: Any) -> bytes:
    import imagecodecs  # noqa: PLC0415 - large, and few pictures need it

    if gray:
        made = imagecodecs.cms_profile("gray", whitepoint=_D50, **curve)
    else:
        xy = colour.white_and_primaries
        white, *primaries = ([xy[n], xy[n + 1], 1.0] for n in (0, 2, 4, 6))
        made = imagecodecs.cms_profile("rgb", whitepoint=white, primaries=list(chain(*primaries)), **curve)
    return made[:24] + _DATE + made[36:]


def gray_as_rgb(icc: bytes) -> bytes | None:
    """A profile with which equal red, green and blue look as gray values do with a gray profile.

    Returns:
        ``None`` where littlecms cannot read the gray one.
    """
    import imagecodecs  # noqa: PLC0415 - large, and few pictures need it
    import numpy as np  # noqa: PLC0415 - see above

    values = np.rint(np.linspace(0, 65535, _ENTRIES)).astype(np.uint16)[None]
    try:
        linear = imagecodecs.cms_profile("gray", whitepoint=_D50, gamma=1.0)
        light = imagecodecs.cms_transform(values, icc, linear, colorspace="gray", outcolorspace="gray", intent=1)
    except (RuntimeError, ValueError):
        return None
    return _made(SRGB, gray=False, transferfunction=np.ascontiguousarray(light.reshape(-1)))


def fitting_profile(
    source: Container, form: Format, *, gray: bool, was_gray: bool, exif_kept: bool
) -> tuple[bytes | None, list[str]]:
    """The ICC profile that goes into a file, and what a person is to know about it.

    A file that can say the source's colour space in the source's own words does so. In another one a colour space that
    is no profile becomes one.

    Args:
        source: What was read.
        form: The format that is written.
        gray: Whether it is written with one channel of colour.
        was_gray: Whether it was read so.
        exif_kept: Whether the source's EXIF data are written.
    """
    colour = source.colour
    if colour is None or form == source.format == "png":
        return _passed_on(source, form, gray=gray, changed=form != source.format or gray != was_gray)
    if (form == "avif" and colour.is_numbered) or (form == source.format == "jpeg" and exif_kept):
        return None, []
    if not colour.is_known:
        return None, [f"The colour space ({colour}) is not known here; the published file does not state it."]
    return (None if colour.is_srgb else icc_profile(colour, gray=gray)), []


def _passed_on(source: Container, form: Format, *, gray: bool, changed: bool) -> tuple[bytes | None, list[str]]:
    """The source's own profile, where it fits a file that was ``changed`` in format or number of channels."""
    icc = source.icc
    if icc is not None and changed and icc[16:20] != (b"GRAY" if gray else b"RGB "):
        made = gray_as_rgb(icc) if icc[16:20] == b"GRAY" else None
        remarks = [] if made else ["The colour profile does not fit the output's colour model and was left out."]
        return made, remarks
    if icc is not None and form == "jpeg" and len(icc) > _JPEG_PROFILE:
        return None, ["The colour profile is too long for a JPEG and was left out."]
    return icc, []
