"""Takes damaged files the whole way from an outbox to a publish folder, under a limit on memory and on time.

``python mutation_worker.py FOLDER BYTES WHAT...`` where ``WHAT`` is the number of a mutation or the name of a crafted
file. One JSON line says that a file is begun, one how it ended. A file that takes too much computing time ends the
process with ``SIGPROF``; one that waits for something, with ``SIGALRM``, later, since the machine may be busy.
"""

from __future__ import annotations

import json
import logging
import resource
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path

from shaded import logs
from shaded.errors import PictureError, Transient
from shaded.outbox.screening import read_bytes, screen
from shaded.publishing.atomic import publish_pair
from shaded.publishing.ownership import Unrecorded
from shaded.publishing.reading import decode
from shaded.publishing.sidecar import read_sidecar, sidecar_path
from shaded.scheduling.messages import ShadeTask
from tests.reliability.crafted import CRAFTED
from tests.reliability.engine import RetouchingEngine
from tests.reliability.mutations import mutated

MOST_PIXELS = 2_000_000
MOST_SECONDS = 10.0
LONGEST_WAIT = 240.0


def produced(what):
    """The label, a file name and the bytes."""
    if what.isdecimal():
        return mutated(int(what))
    return what, "crafted", CRAFTED[what]()


def way(folder, name, data):
    """Publish the file as the daemon and its worker do; how it ended."""
    outbox, staging, publish = (folder / part for part in ("out", "staging", "pub"))
    for part in (outbox, staging, publish):
        part.mkdir(exist_ok=True)
    source = outbox / name
    source.write_bytes(data)
    screen(read_bytes(source, outbox, 1 << 30), source, MOST_PIXELS)
    task = ShadeTask(
        job_id="1", root=outbox, source=source, name=name, staging=staging, output_name=name, secret="0",
        max_pixels=MOST_PIXELS,
    )  # fmt: skip
    done = RetouchingEngine().shade(task, lambda _event: None)
    target = publish_pair(done.picture, done.sidecar, publish, name, Unrecorded())
    return target, decode(data)


def fault(target, source):
    """What is wrong with a published file, in words; empty when it is as it should be."""
    data = target.read_bytes()
    result = decode(data)
    stated = read_sidecar(sidecar_path(target))
    if result.size != source.size:
        return f"its size is {result.size}, the source's {source.size}"
    read_only = source.container.format == "heic"  # published as JPEG, which is opaque
    if (result.is_gray, result.alpha is None, result.colour.dtype) != (
        source.is_gray, read_only or source.alpha is None, source.colour.dtype
    ):  # fmt: skip
        return f"it is {result.container.mode}, the source {source.container.mode}"
    if (stated.published.bytes, stated.published.width, stated.published.height) != (len(data), *result.size):
        return "the sidecar does not fit"
    if b"<!DOCTYPE" in (result.container.xmp or b"") or b"<!ENTITY" in (result.container.xmp or b""):
        return "the packet declares entities"
    return ""


def outcome(folder, name, data):
    """``published``, ``refused: ...`` or what went wrong: ``WRONG: ...``."""
    try:
        target, source = way(folder, name, data)
        wrong = fault(target, source)
    except Transient as error:
        return f"WRONG: put off ({error.what})"
    except PictureError as error:
        return f"refused: {error.what}" if error.what else "WRONG: refused without a reason"
    except BaseException:  # noqa: BLE001 - anything else is what is looked for
        return f"WRONG: {traceback.format_exc(limit=-4)}"
    return f"WRONG: {wrong}" if wrong else "published"


def main():
    """Take one file after the other."""
    folder, most = Path(sys.argv[1]), int(sys.argv[2])
    logs.configure("error", "json")
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    warm = produced("11")[2]  # imports what is imported late, before memory is measured
    outcome(folder, "warm.tif", warm)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    for what in sys.argv[3:]:
        label, name, data = produced(what)
        sys.stdout.write(json.dumps({"begin": what, "label": label, "bytes": len(data)}) + "\n")
        sys.stdout.flush()
        resource.setrlimit(resource.RLIMIT_AS, (used + most, resource.RLIM_INFINITY))
        signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)
        signal.setitimer(signal.ITIMER_REAL, LONGEST_WAIT)
        begun, cpu = time.monotonic(), time.process_time()
        ended = outcome(folder, f"{what[:40].replace(' ', '_')} {name}", data)
        seconds, busy = time.monotonic() - begun, time.process_time() - cpu
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        sys.stdout.write(
            json.dumps({"end": what, "how": ended, "seconds": seconds, "cpu": busy, "peak_kb": peak}) + "\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
