"""A fast stand-in for the engine: real reading, screening, decoding and saving; only the shading is a flipped bit.

It writes down every picture that it begins and ends, so that a test can count how often each content was rendered.
"""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

from shaded.errors import Refusal
from shaded.outbox.screening import read_bytes, read_settled, screen
from shaded.publishing.reading import decode
from shaded.publishing.resizing import fit_side
from shaded.publishing.sidecar import describe
from shaded.publishing.writing import encode
from shaded.scheduling.accelerator import Accelerator
from shaded.scheduling.messages import Progress, Rendered
from shaded.scheduling.saving import save_result
from tests.publishing.sidecars import a_sidecar

#: Taken before anybody counts the calls of a daemon, among which a test's own notes are not.
_open = os.open


def note(log, *words):
    """Append one line to a log that several processes share; whole, or not at all."""
    descriptor = _open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, (" ".join(words) + "\n").encode())
    finally:
        os.close(descriptor)


def rendered_counts(log):
    """How often each content was begun and how often it was finished: two dictionaries by SHA-256."""
    begun, ended = {}, {}
    for line in Path(log).read_text().splitlines() if Path(log).exists() else []:
        what, sha256 = line.split()
        counts = {"begin": begun, "end": ended}[what]
        counts[sha256] = counts.get(sha256, 0) + 1
    return begun, ended


class RetouchingEngine:
    """Flips the lowest bit of every colour value.

    Args:
        log: Where renders are noted; ``None`` notes nothing.
        seconds: How long one picture takes at least.
    """

    device = "fake"
    accelerator = Accelerator()

    def __init__(self, log=None, seconds=0.0):
        self._log = log
        self._seconds = seconds

    def shade(self, task, progress):
        """Shade one picture into staging, as the real engine does."""
        progress(Progress(job_id=task.job_id, stage="reading"))
        if task.sha256:
            data = read_settled(task.source, task.root, task.max_bytes, task.sha256)
        else:
            data = read_bytes(task.source, task.root, task.max_bytes)
        sha256 = hashlib.sha256(data).hexdigest()
        self._note("begin", sha256)
        rendered, stated = render(data, task)
        time.sleep(self._seconds)
        progress(Progress(job_id=task.job_id, stage="saving", step=1, steps=1, pull=0.25))
        picture, beside = save_result(task, rendered, stated.to_json().encode())
        self._note("end", sha256)
        return Rendered(
            job_id=task.job_id, picture=picture, sidecar=beside, sha256=stated.published.sha256,
            bytes=stated.published.bytes, summary={"concept": "cow", "target": "handbag", "pull": 0.25},
        )  # fmt: skip

    def _note(self, *words):
        if self._log is not None:
            note(self._log, *words)


def render(data, task):
    """The published file's bytes and its sidecar, for a file's bytes."""
    screen(data, task.source, task.max_pixels)
    source = decode(data, task.source)
    facts = describe(data, source, task.name)
    picture = fit_side(source, task.profile.max_side)
    encoded = encode(
        picture, picture.colour ^ 1, task.profile.output_format,
        metadata=task.profile.metadata, rights=task.profile.rights,
    )  # fmt: skip
    result = decode(encoded.data)
    if result.size != picture.size:
        raise Refusal("it came back in another size", path=task.source)
    screen(encoded.data, None, task.max_pixels)
    stated = a_sidecar().model_copy(
        update={"source": facts, "published": describe(encoded.data, result, task.output_name)}
    )
    return encoded.data, stated
