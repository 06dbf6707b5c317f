"""Dies before every single durable step of one picture's way, one after the other: ``every_step.py FOLDER [apart]``.

With ``apart`` the sidecar goes into a folder of its own.
The way begins with the first start of all: making the state folder, the ledger, its secret and the outbox's marker.

Each death is a real one (``SIGKILL`` of a forked process), so no ``finally`` runs; then another process does the rest.
Prints one JSON object: how many steps there were, and a sentence for each that went wrong.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from pathlib import Path

from shaded import logs
from shaded.publishing.sidecar import read_sidecar
from shaded.publishing.sidecar_places import SidecarPlaces
from shaded.scheduling.worker import failure_of
from tests.daemon.rig import FakeExecutor, Rig
from tests.reliability.engine import RetouchingEngine, note, rendered_counts
from tests.reliability.mortality import Mortality
from tests.reliability.pictures import KINDS


class RetouchingExecutor(FakeExecutor):
    """Renders in this process: so the worker's durable steps are died before, too."""

    def __init__(self, log):
        super().__init__()
        self.outputs = []
        self._engine = RetouchingEngine(log)

    def work(self):
        for task in self.held:
            try:
                rendered = self._engine.shade(task, self.said.append)
            except Exception as error:  # noqa: BLE001 - as the worker does
                self.said.append(failure_of(task.job_id, error))
            else:
                self.said.append(rendered)
                self.outputs.append(rendered.sha256)
        self.held = []


def live(base, last, apart):
    """One daemon's life in a process of its own; its exit status as ``os.waitpid`` gives it."""
    child = os.fork()
    if child == 0:
        mortality = Mortality(last, lambda name: note(base / "placed", name.replace(" ", "?")))
        try:
            private = base / "private" if apart else None
            rig = Rig(base, executor=RetouchingExecutor(base / "renders"), sidecars=private)
            rig.settle(8)
            rig.close()
            (base / "steps").write_text(str(mortality.taken))
        except BaseException as error:  # noqa: BLE001 - told to the parent
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def troubles(base, name, source, apart):
    """What is wrong after the rest was done, a sentence each."""
    sidecar = SidecarPlaces(base / "private" if apart else None).new(base / "pub" / name)
    files = [path for folder in ("pub", "private") for path in (base / folder).rglob("*") if path.is_file()]
    if set(files) != {base / "pub" / name, sidecar, base / "pub" / "theirs.png"}:
        return [f"the publish folder has {sorted(map(str, files))}"]
    published = (base / "pub" / name).read_bytes()
    stated = read_sidecar(sidecar)
    placed = (base / "placed").read_text().splitlines().count(name)
    begun, ended = rendered_counts(base / "renders")
    checks = {
        "picture and sidecar do not belong together": stated.published.sha256 == hashlib.sha256(published).hexdigest(),
        "the sidecar names another source": stated.source.sha256 == hashlib.sha256(source).hexdigest(),
        "something is left in staging": not list((base / "state" / "staging").iterdir()),
        f"it was put into place {placed} times": placed == 1,
        f"it was rendered {begun} {ended} times": sum(begun.values()) <= 2 and sum(ended.values()) <= 2,
    }
    return [sentence for sentence, holds in checks.items() if not holds]


def main():
    """Try every step."""
    folder, apart = Path(sys.argv[1]), sys.argv[2:] == ["apart"]
    logs.configure("error", "json")
    name, source = "fox.png", KINDS["see-through.png"](1)
    wrong, last, steps, deaths = [], 0, -1, 0
    while steps < 0 or last <= steps:
        base = folder / f"step {last}"
        (base / "out").mkdir(parents=True)
        (base / "pub").mkdir()
        (base / "out" / name).write_bytes(source)
        (base / "pub" / "theirs.png").write_bytes(b"somebody's")
        status = live(base, last, apart)
        if last == 0:
            steps = int((base / "steps").read_text())
        elif os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            deaths += 1
        else:
            wrong.append(f"step {last}: it did not die but ended with {status}")
        if status and live(base, 0, apart):
            wrong.append(f"step {last}: the next daemon failed")
        wrong += [f"step {last}: {what}" for what in troubles(base, name, source, apart)]
        last += 1
    print(json.dumps({"steps": steps, "deaths": deaths, "wrong": wrong}))  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
