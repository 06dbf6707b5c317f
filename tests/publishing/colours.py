"""Pictures whose colours are known, and what an independent reader sees in a file: Pillow's colour management.

Formulas are ITU-T H.273's and CIE's, written down here once more and apart from the product's.
"""

from __future__ import annotations

import io
import struct

import numpy as np
from PIL import Image, ImageCms

from tests.publishing.samples import saved

D65 = (0.3127, 0.3290)
PRIMARIES = {
    1: (*D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06),
    5: (*D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    9: (*D65, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    12: (*D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
}
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
#: Colours that lie inside sRGB in each of the spaces above, in the file's own values.
PATCHES = np.array(
    [[255, 255, 255], [0, 0, 0], [128, 128, 128], [40, 40, 40], [200, 120, 100], [110, 160, 120], [100, 110, 190],
     [220, 200, 150]], np.uint8,
)  # fmt: skip
SIDE = 32


def patches(gray=False):
    """The colours side by side, as an array of 8 bits."""
    row = np.repeat(np.repeat(PATCHES[None], SIDE, axis=0), SIDE, axis=1)
    return row[..., 0].copy() if gray else row


def light_of(value, transfer):
    """Light of values from 0 to 1: by an H.273 number, or a gamma."""
    value = np.asarray(value, float)
    if isinstance(transfer, float):
        return value**transfer
    if transfer in (1, 6, 14, 15):
        return np.where(value < 4.5 * 0.018, value / 4.5, ((value + 0.099) / 1.099) ** (1 / 0.45))
    if transfer == 13:
        return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return value ** {4: 2.2, 5: 2.8, 8: 1.0}[transfer]


def _matrix(xy):
    """RGB of these primaries to XYZ, white adapted to D65 by Bradford's method."""
    white, *rest = [np.array([x, y, 1 - x - y]) / y for x, y in zip(xy[::2], xy[1::2], strict=True)]
    columns = np.array(rest).T
    to_xyz = columns * np.linalg.solve(columns, white)
    d65 = np.array([D65[0], D65[1], 1 - sum(D65)]) / D65[1]
    gain = np.diag((BRADFORD @ d65) / (BRADFORD @ white))
    return np.linalg.inv(BRADFORD) @ gain @ BRADFORD @ to_xyz


def as_srgb(values, xy, transfer):
    """8-bit values of a colour space as sRGB's, 0 to 255, with fractions."""
    light = light_of(np.asarray(values, float) / 255, transfer)
    linear = np.clip(light @ (np.linalg.inv(_matrix(PRIMARIES[1])) @ _matrix(xy)).T, 0, 1)
    return 255 * np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def numbers_in(data):
    """Primaries and transfer of an AVIF's colour box; ``None`` without one."""
    at = data.find(b"colrnclx")
    return None if at < 0 else struct.unpack(">HH", data[at + 8 : at + 12])


def seen(data):
    """The colours of a published file as sRGB values, one a patch: by its profile, by its numbers, or as they are."""
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        profile = image.info.get("icc_profile")
        gray = image.mode == "L"
        array = np.asarray(image.convert("RGB"))
        if profile:
            opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            target = ImageCms.createProfile("sRGB")
            mode = "L" if opened.profile.xcolor_space.strip() == "GRAY" else "RGB"
            assert (mode == "L") == gray
            array = np.asarray(
                ImageCms.profileToProfile(image.convert(mode), opened, target, outputMode="RGB", renderingIntent=1)
            )
    middle = array[SIDE // 2, SIDE // 2 :: SIDE].astype(float)
    numbers = numbers_in(data) if profile is None else None
    if numbers is None:
        return middle
    primaries, transfer = (number if number != 2 else other for number, other in zip(numbers, (1, 13), strict=True))
    return as_srgb(middle, PRIMARIES[primaries], transfer)


def chunk_before_pixels(data, *chunks):
    """A PNG with further chunks (kind, content) before its pixels."""
    from shaded.publishing.walking import png_chunk

    at = data.index(b"IDAT") - 4
    return data[:at] + b"".join(png_chunk(kind, content) for kind, content in chunks) + data[at:]


def png(*chunks, gray=False):
    """The patches as a PNG with these chunks."""
    return chunk_before_pixels(saved(patches(gray), "PNG"), *chunks)


def chrm(xy):
    """A cHRM chunk's content."""
    return struct.pack(">8I", *(round(number * 100_000) for number in xy))


def gama(power):
    """A gAMA chunk's content, for the power that makes light of a value."""
    return struct.pack(">I", round(100_000 / power))


def avif(primaries=1, transfer=13, gray=False, box=True):
    """The patches as an AVIF with these numbers in its box, or in its stream alone."""
    import imagecodecs

    if not box:
        data = imagecodecs.avif_encode(patches(gray), level=100, primaries=primaries, transfer=transfer)
        return data.replace(b"colrnclx", b"freenclx")
    data = saved(patches(gray), "AVIF", quality=100, subsampling="4:0:0" if gray else "4:4:4")
    at = data.index(b"colrnclx") + 8
    return data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]


def heic(array, **options):
    """An array as a HEIC; ``primaries`` and ``transfer`` are H.273 numbers."""
    import pillow_heif

    numbers = {
        "color_primaries": options.pop("primaries", 1), "transfer_characteristics": options.pop("transfer", 13),
        "matrix_coefficients": 6, "full_range_flag": 1,
    }  # fmt: skip
    mode = options.pop("mode", None) or {1: "L", 3: "RGB", 4: "RGBA"}[1 if array.ndim == 2 else array.shape[2]]
    out = io.BytesIO()
    pillow_heif.encode(
        mode, (array.shape[1], array.shape[0]), np.ascontiguousarray(array).tobytes(), out,
        quality=options.pop("quality", 95), chroma=444, **numbers, **options,
    )  # fmt: skip
    return out.getvalue()
