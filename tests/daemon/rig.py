"""A daemon over fakes: a fake clock, fake observers, an engine that copies; real folders and a real ledger."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path

from PIL import Image

from shaded.clock import FakeClock
from shaded.daemon.assembly import prepare_folders
from shaded.daemon.instance import LEDGER_NAME
from shaded.daemon.loop import Daemon
from shaded.daemon.notify import Notifier
from shaded.daemon.parts import Parts
from shaded.daemon.remembering import sidecar_places
from shaded.daemon.wake import Wake
from shaded.ledger import Ledger
from shaded.outbox.arrivals import Outbox
from shaded.outbox.observer import FakeObserver
from shaded.publishing.sidecar import read_sidecar
from shaded.scheduling.executor import Pick
from shaded.scheduling.messages import Ready, WorkerDied
from shaded.scheduling.worker import failure_of
from shaded.settings import Folder, Scheduling, load_settings
from tests.scheduling.fake_worker import CopyingEngine


def png(shade: int = 0, size: int = 8) -> bytes:
    """A real PNG; another shade gives another picture."""
    stream = io.BytesIO()
    Image.new("RGB", (size, size), (shade % 256, shade // 256, 90)).save(stream, "PNG")
    return stream.getvalue()


class FakeExecutor:
    """Does tasks when told to, in this process; ``fate`` maps part of a source's name to an event maker."""

    next_check = None

    def __init__(self):
        self.held = []
        self.said = []
        self.submitted = []
        self.closed = None
        self.automatic = True
        self.deadly = ""
        self.offered = []
        self.canvas_pixels = 0
        self.seconds = 0.0
        self.refuse_submit = None

    @property
    def busy(self):
        return bool(self.held)

    full = busy
    shortage = ""
    courtesy = ""

    def pick(self, candidates):
        self.offered = list(candidates) or self.offered
        if not candidates or self.held:
            return None
        return Pick(0, canvas_pixels=self.canvas_pixels, seconds=self.seconds)

    def backlog(self, candidates):
        return self.seconds * len(candidates) if self.seconds else None

    def submit(self, batch):
        if self.refuse_submit is not None:
            raise self.refuse_submit
        assert not self.held
        self.held = list(batch)
        self.submitted.extend(batch)

    def work(self):
        """Do what is held."""
        engine = CopyingEngine()
        for task in self.held:
            self.said.append(Ready(device="fake", seconds=0.1))
            if self.deadly and self.deadly in task.name:
                self.said.append(WorkerDied(job_ids=(task.job_id,), detail="killed by a test"))
                continue
            try:
                self.said.append(engine.shade(task, self.said.append))
            except Exception as error:  # noqa: BLE001 - as the worker does
                self.said.append(failure_of(task.job_id, error))
        self.held = []

    def events(self, timeout):
        if self.automatic:
            self.work()
        said, self.said = self.said, []
        return said

    def close(self, *, now=False):
        self.closed = "now" if now else "later"
        self.held = []


class Listening:
    """An audience that remembers."""

    def __init__(self):
        self.heard = []

    def progress(self, flight):
        pass

    def finished(self, finished):
        self.heard.append((finished.path.name, finished.outcome, finished.reason))


class Rig:
    """One folder pair and one daemon; :meth:`restart` makes another daemon over the same folders."""

    def __init__(self, base: Path, *, once: bool = False, executor=None, folders=None, sidecars=None, **scheduling):
        self.base = base
        self.outbox, self.publish = base / "out", base / "pub"
        pairs = folders or (Folder(outbox=self.outbox, publish=self.publish),)
        self.settings = load_settings(
            folder=pairs, state_dir=base / "state", scheduling=Scheduling(**scheduling),
            **({} if sidecars is None else {"publishing": {"sidecars": sidecars}}),
        )  # fmt: skip
        self.clock = FakeClock()
        self.audience = Listening()
        self.executor = executor or FakeExecutor()
        self.once = once
        self.ledger = None
        self.restart()

    def restart(self):
        """End the daemon as a crash would, and make a new one."""
        if self.ledger is not None:
            self.ledger.close()
            self.wake.close()
        prepare_folders(self.settings)
        self.wake = Wake()
        self.ledger = Ledger.open(self.settings.state_dir / LEDGER_NAME, self.clock, self.settings.scheduling)
        self.observers = []
        self.daemon = Daemon(
            Parts(
                settings=self.settings,
                clock=self.clock,
                ledger=self.ledger,
                executor=self.executor,
                outboxes=self._outboxes,
                wake=self.wake,
                notifier=Notifier({}),
                audience=self.audience,
            ),
            once=self.once,
        )
        self.daemon.start()

    def _outboxes(self, intake):
        outboxes = []
        for folder in self.settings.folder:
            observer = FakeObserver()
            self.observers.append(observer)
            known = partial(intake.already_known, folder.outbox)
            outboxes.append(Outbox(folder, self.settings.watching, self.clock, observer, known))
        return outboxes

    def close(self):
        self.ledger.close()
        self.wake.close()

    def move_sidecars(self, folder: Path | None):
        """Start again with another folder for sidecars; ``None``: beside the pictures."""
        publishing = self.settings.publishing.model_copy(update={"sidecars": folder})
        self.settings = self.settings.model_copy(update={"publishing": publishing})
        self.restart()

    def sidecar(self, picture: Path) -> Path:
        """Where the sidecar of a published picture stands."""
        return sidecar_places(self.settings, self.ledger).find(picture, picture.parent).path

    def put(self, name: str, data: bytes | None = None) -> Path:
        """Save a picture into the outbox, seen by the observer."""
        path = self.outbox / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png() if data is None else data)
        self.observers[0].see(path)
        return path

    def settle(self, seconds: float = 10.0):
        """Let time pass in small steps, the daemon working."""
        for _ in range(int(seconds)):
            self.daemon.step()
            self.clock.advance(1.0)
        self.daemon.step()

    def published(self) -> list[str]:
        """The published pictures' relative paths; each must agree with its sidecar."""
        names = []
        for path in sorted(self.publish.rglob("*")):
            if path.is_file() and not path.name.endswith(".shaded.json"):
                stated = read_sidecar(self.sidecar(path))
                assert stated.published.name == path.name
                names.append(str(path.relative_to(self.publish)))
        assert not list(self.publish.rglob("*.tmp"))
        return names
