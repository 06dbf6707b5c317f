"""Pictures and metadata blocks for the tests, made in memory."""

from __future__ import annotations

import io
import struct

import imagecodecs
import numpy as np
from PIL import Image

from shaded.publishing import exif
from shaded.publishing.ifd import Entry

GPS_TEXT = b"48.8584"
THUMBNAIL = b"\xff\xd8\xff\xe0" + b"UNSHADED-THUMBNAIL" * 3
THUMBNAIL += b"UNSHADED-THUMBNAIL".join(np.random.default_rng(seed).bytes(51) for seed in range(10)) + b"\xff\xd9"
ICC_RGB = imagecodecs.cms_profile("adobergb")
ICC_GRAY = imagecodecs.cms_profile("gray", gamma=1.8)
#: It is whole, and has no curve that a reader knows.
ICC_GRAY_UNKNOWN = ICC_GRAY.replace(b"kTRC", b"zTRC")


def smooth(height=48, width=64, channels=3, kind=np.uint8, seed=0):
    """A picture without hard edges, so that lossy codecs stay close to it; alpha has empty and full regions."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(30, 226, (6, 8, channels), dtype=np.uint8)
    planes = [
        np.asarray(Image.fromarray(coarse[..., n]).resize((width, height), Image.BICUBIC)) for n in range(channels)
    ]
    array = np.stack(planes, axis=-1)
    if kind == np.uint16:
        array = (array.astype(np.uint16) * 257) ^ rng.integers(0, 64, array.shape, dtype=np.uint16)
    if channels in (2, 4):
        peak = np.iinfo(kind).max
        array[: height // 4, :, -1] = 0
        array[-height // 4 :, :, -1] = peak
    return array[..., 0] if channels == 1 else array


def textured(height=192, width=256, channels=3, kind=np.uint8, seed=0):
    """Soft shapes with grain all over and nothing black: wherever coded data are lost, pixels change."""
    rng = np.random.default_rng(seed)
    shapes = smooth(height, width, 3, seed=seed).astype(np.float64)
    grain = rng.normal(0, 12, (height // 2 + 1, width // 2 + 1, 3)).repeat(2, 0).repeat(2, 1)[:height, :width]
    array = np.clip(shapes + grain + rng.normal(0, 4, shapes.shape), 8, 247)
    if channels in (2, 4):
        array = np.dstack([array, np.roll(array[..., 0], 40)])
    array = array[..., [0, 3]] if channels == 2 else array[..., :channels]
    scale = 257 if kind == np.uint16 else 1
    array = np.rint(array * scale).astype(kind)
    return array[..., 0] if channels == 1 else array


def saved(array, form, **options):
    """A picture as a file's bytes, by Pillow."""
    out = io.BytesIO()
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    image.save(out, form, **options)
    return out.getvalue()


def nudged(picture, seed=1, most=3):
    """A colour array that differs from the picture's everywhere, by a few grey levels."""
    rng = np.random.default_rng(seed)
    step = 257 if picture.peak > 255 else 1
    change = rng.integers(1, most + 1, picture.colour.shape) * rng.choice([-1, 1], picture.colour.shape) * step
    moved = picture.colour.astype(np.int64) + change
    moved = np.where((moved < 0) | (moved > picture.peak), picture.colour.astype(np.int64) - change, moved)
    return moved.astype(picture.colour.dtype)


def text_entry(text):
    """An ASCII tag."""
    raw = text.encode() + b"\0"
    return Entry(2, len(raw), raw)


def exif_tree(orientation=6, order="<"):
    """A tree with orientation, artist, a date, a lens and a place."""
    return exif.Exif(
        order,
        main={274: Entry(3, 1, struct.pack(f"{order}H", orientation)), 315: text_entry("Ada Painter"),
              271: text_entry("Camera Works")},
        photo={36867: text_entry("2024:05:01 10:20:30"), 42036: text_entry("A lens")},
        gps={1: text_entry("N"), 29: text_entry(GPS_TEXT.decode())},
        interoperability={1: text_entry("R98")},
    )  # fmt: skip


def exif_block(orientation=6, order="<"):
    """An EXIF block with all of :func:`exif_tree`."""
    return exif.build(exif_tree(orientation, order))


def exif_with_thumbnail(order=">"):
    """A block whose second directory holds a JPEG thumbnail, and whose photo data hold a maker note with a preview."""
    tree = exif_tree(order=order)
    note = Entry(7, len(THUMBNAIL), THUMBNAIL)
    block = bytearray(exif.build(exif.Exif(order, tree.main, {**tree.photo, 37500: note}, tree.gps)))
    block += b"\0" * (len(block) & 1)
    count = struct.unpack_from(f"{order}H", block, 8)[0]
    second = len(block)
    struct.pack_into(f"{order}I", block, 10 + 12 * count, second)
    block += struct.pack(f"{order}H", 2)
    place = second + 2 + 24 + 4
    block += struct.pack(f"{order}HHII", 513, 4, 1, place) + struct.pack(f"{order}HHII", 514, 4, 1, len(THUMBNAIL))
    return bytes(block + b"\0\0\0\0" + THUMBNAIL)


def xmp_packet(inner="", attributes=""):
    """A packet with the given properties in element and in attribute form."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        'xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
        'xmlns:xmpGImg="http://ns.adobe.com/xap/1.0/g/img/" xmlns:own="http://example.org/own/" '
        f'xmlns:plus="http://ns.useplus.org/ldf/xmp/1.0/" {attributes}>{inner}</rdf:Description></rdf:RDF></x:xmpmeta>'
        + " " * 100
        + '<?xpacket end="w"?>'
    ).encode()


SUBJECTS = (
    "<dc:subject><rdf:Bag><rdf:li>cow</rdf:li><rdf:li>meadow</rdf:li></rdf:Bag></dc:subject>"
    '<dc:title><rdf:Alt><rdf:li xml:lang="x-default">A cow at noon</rdf:li></rdf:Alt></dc:title>'
)


def iptc_records(*entries):
    """IPTC records of (record, dataset, value)."""
    return b"".join(
        bytes([0x1C, record, number]) + len(value).to_bytes(2, "big") + value for record, number, value in entries
    )


def raw_profile(name, content):
    """A profile as ImageMagick writes it into a text: its name, its length, and hexadecimal digits in lines."""
    digits = content.hex()
    lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    return f"\n{name}\n{len(content):8}\n{lines}\n".encode()
