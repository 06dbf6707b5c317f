"""Seeded damage to pictures: ``mutated(number)`` always gives the same bytes."""

from __future__ import annotations

import random
import struct
from contextlib import suppress

from shaded.publishing.formats import sniff
from shaded.publishing.walking import PNG_SIGNATURE, iso_boxes, jpeg_segments, png_chunk, png_chunks, riff_chunks
from tests.reliability.pictures import KINDS as WRITTEN
from tests.reliability.pictures import READ_ONLY

KINDS = {**WRITTEN, **READ_ONLY}

EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)


def _flip(rng, data, _donor):
    out = bytearray(data)
    for _ in range(rng.choice((1, 2, 8, 40))):
        out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def _flip_early(rng, data, _donor):
    out = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        out[rng.randrange(min(len(out), 300))] = rng.randrange(256)
    return bytes(out)


def _cut(rng, data, _donor):
    return data[: rng.randrange(1, len(data))]


def _behead(rng, data, _donor):
    return data[rng.randrange(1, 64) :]


def _repeat_block(rng, data, _donor):
    start = rng.randrange(len(data))
    stop = min(len(data), start + rng.choice((1, 4, 12, 100, 4000)))
    return data[:stop] + data[start:stop] * rng.randint(1, 5) + data[stop:]


def _drop_block(rng, data, _donor):
    start = rng.randrange(len(data))
    return data[:start] + data[start + rng.choice((1, 2, 4, 12, 100, 1000)) :]


def _zeros(rng, data, _donor):
    start = rng.randrange(len(data))
    length = rng.choice((2, 16, 500))
    return data[:start] + b"\0" * length + data[start + length :]


def _hole(rng, data, _donor):
    """What a disk lost, in whole sectors, or what a copy had not written yet when it stopped."""
    start = rng.randrange(len(data))
    length = rng.choice((256, 512, 1024, 4096, len(data)))
    if rng.random() < 0.5:
        start -= start % 512
    return (data[:start] + b"\0" * length)[: len(data)] + data[start + length :]


def _extreme_number(rng, data, _donor):
    """A length, an offset or a count set to an extreme, in either byte order."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        code = rng.choice((">I", "<I", ">H", "<H"))
        size = struct.calcsize(code)
        at = rng.randrange(min(len(out), rng.choice((64, 600, len(out)))) - size)
        struct.pack_into(code, out, at, rng.choice(EXTREMES) & (1 << 8 * size) - 1)
    return bytes(out)


def _splice(rng, data, donor):
    return data[: rng.randrange(1, len(data))] + donor[rng.randrange(len(donor)) :]


def _swallow(rng, data, donor):
    at = rng.randrange(len(data))
    return data[:at] + donor + data[at:]


def _append(_rng, data, donor):
    return data + donor


def _parts(data):
    """The file as a head and parts that can be moved about, with a function that writes one part."""
    form = sniff(data)
    if form == "png":
        return PNG_SIGNATURE, [(kind, content) for kind, _, content in png_chunks(data)], png_chunk
    if form == "jpeg":
        segments = list(jpeg_segments(data))
        last = segments[-1]
        scan = data[last.at + len(last.content) :]
        parts = [(kind, content) for kind, _, content in segments]
        parts[-1] = (last.kind, last.content + scan)
        lengths = {id(parts[-1][1]): len(last.content)}
        return b"\xff\xd8", parts, lambda kind, content: _segment(kind, content, lengths)
    if form == "webp":
        return b"", [(kind, content) for kind, _, content in riff_chunks(data)], _riff
    if form in ("avif", "heic"):
        return b"", [(kind, content) for kind, _, content in iso_boxes(data)], _box
    return None


def _segment(kind, content, lengths):
    return b"\xff" + kind + (lengths.get(id(content), len(content)) + 2 & 0xFFFF).to_bytes(2, "big") + content


def _riff(kind, content):
    return kind + len(content).to_bytes(4, "little") + content + b"\0" * (len(content) & 1)


def _box(kind, content):
    return (len(content) + 8).to_bytes(4, "big") + kind + content


def _assembled(data, head, parts, write):
    body = b"".join(write(kind, content) for kind, content in parts)
    if sniff(data) == "webp":
        return b"RIFF" + (len(body) + 4).to_bytes(4, "little") + b"WEBP" + body
    return head + body


def _structure(rng, data, donor):
    """Parts doubled, dropped, exchanged, emptied, or taken over from another file of the same format."""
    taken = _parts(data)
    if taken is None:
        return _directory(rng, data, donor)
    head, parts, write = taken
    for _ in range(rng.randint(1, 3)):
        at, other = rng.randrange(len(parts)), rng.randrange(len(parts))
        act = rng.randrange(5)
        if act == 0:
            parts.insert(other, parts[at])
        elif act == 1 and len(parts) > 1:
            parts.pop(at)
        elif act == 2:
            parts[at], parts[other] = parts[other], parts[at]
        elif act == 3:
            parts[at] = (parts[at][0], parts[at][1][: rng.randrange(len(parts[at][1]) + 1)])
        else:
            kind, content = parts[at]
            if content:
                parts[at] = (
                    kind,
                    _extreme_number(rng, content, None) if len(content) > 8 else _flip(rng, content, None),
                )
    return _assembled(data, head, parts, write)


def _directory(rng, data, _donor):
    """One entry of a TIFF's directory changed: its tag, type, count or value."""
    out = bytearray(data)
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(f"{order}H", data, 2)[0] == 43
    first = struct.unpack_from(f"{order}{'Q' if big else 'I'}", data, 8 if big else 4)[0]
    count, lead, size = (
        (struct.unpack_from(f"{order}Q", data, first)[0], 8, 20)
        if big
        else (struct.unpack_from(f"{order}H", data, first)[0], 2, 12)
    )
    for _ in range(rng.randint(1, 3)):
        place = first + lead + rng.randrange(count) * size
        act = rng.randrange(4)
        if act == 0:
            struct.pack_into(
                f"{order}H", out, place, rng.choice((254, 256, 257, 258, 259, 262, 277, 278, 317, 338, 32997))
            )
        elif act == 1:
            struct.pack_into(f"{order}H", out, place + 2, rng.randrange(20))
        elif act == 2:
            struct.pack_into(f"{order}I", out, place + 4, rng.choice(EXTREMES))
        else:
            struct.pack_into(f"{order}I", out, place + (12 if big else 8), rng.choice((*EXTREMES, first, place)))
    return bytes(out)


MUTATIONS = (
    _flip, _flip_early, _cut, _behead, _repeat_block, _drop_block, _zeros, _hole, _hole, _extreme_number, _splice,
    _swallow, _append, _structure, _structure, _structure, _structure,
)  # fmt: skip


def mutated(number):
    """What was done, the file's name and its damaged bytes."""
    rng = random.Random(number)
    kinds = list(KINDS)
    kind = kinds[number % len(kinds)]
    data = KINDS[kind](number % 5)
    donor = KINDS[rng.choice(kinds)](number % 3)
    done = []
    for _ in range(rng.choice((1, 1, 1, 2))):
        mutation = rng.choice(MUTATIONS)
        with suppress(ValueError, struct.error, IndexError):  # too damaged to be taken apart once more
            data = mutation(rng, data, donor) or data
            done.append(mutation.__name__.strip("_"))
    return f"{kind}: {' and '.join(done)}", kind, data
