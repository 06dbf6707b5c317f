"""What a PNG says about its colours, in four ways that count one before the other: cICP, iCCP, sRGB, gAMA with cHRM.

(PNG, third edition, 4.3 and 11.3.2. A way that is damaged or unknown counts as absent, as it does in libpng.)
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

from shaded.publishing.colour import SRGB, Chromaticities, Colour

#: In bytes. Profiles for printing have some megabytes; a small chunk must not fill the memory all the same.
_LARGEST_PROFILE = 32_000_000
_SCALE = 100_000


def _profile(content: bytes) -> bytes | None:
    """The profile of an iCCP chunk, whatever name it has; ``None`` where it is damaged or far too long."""
    machine = zlib.decompressobj()
    try:
        out = machine.decompress(content.partition(b"\0")[2][1:], _LARGEST_PROFILE)
    except zlib.error:
        return None
    return out if machine.eof and out else None


def _numbered(content: bytes) -> Colour | None:
    """The colour space of a cICP chunk; ``None`` where it is no valid one or leaves everything open."""
    if len(content) != 4 or content[2] != 0 or content[3] > 1:
        return None
    found = Colour(content[0], content[1], full_range=bool(content[3]))
    return None if found == Colour() else found


def _measured(gamma: bytes, chromaticities: bytes) -> Colour | None:
    """The colour space of gAMA and cHRM chunks, of which one may be missing."""
    power = struct.unpack(">I", gamma)[0] if len(gamma) == 4 else 0
    numbers: Chromaticities | None = None
    if len(chromaticities) == 32:
        numbers = tuple(number / _SCALE for number in struct.unpack(">8I", chromaticities))
    if not power and numbers is None:
        return None
    return Colour(chromaticities=numbers, gamma=_SCALE / power if power else None)


def read_colour(chunks: Mapping[bytes, bytes]) -> tuple[bytes | None, Colour | None, tuple[str, ...]]:
    """What counts, of the first chunk of each kind.

    Returns:
        The ICC profile; the colour space where it is stated in a way that counts before the profile or there is none;
        what could not be read, for a person.
    """
    warnings = []
    icc = _profile(chunks[b"iCCP"]) if b"iCCP" in chunks else None
    if icc is None and b"iCCP" in chunks:
        warnings.append("The colour profile is damaged or too long and was left out.")
    numbered = _numbered(chunks[b"cICP"]) if b"cICP" in chunks else None
    if numbered is None and b"cICP" in chunks:
        warnings.append("The colour space (cICP) is not a valid one and counts as not stated.")
    if numbered is not None and numbered.is_known:
        return icc, numbered, tuple(warnings)
    if icc is not None:
        return icc, None, tuple(warnings)
    if b"sRGB" in chunks:
        return None, SRGB, tuple(warnings)
    measured = _measured(chunks.get(b"gAMA", b""), chunks.get(b"cHRM", b""))
    return None, measured or numbered, tuple(warnings)
