"""What runs on the machines of a cluster: one actor for each worker, with one engine, for one picture at a time.

Bytes come in and go out. In between they lie in a private temporary folder of that machine, since the engine works on
files there as it does at home; it is gone when the picture is done, or when the next worker starts there.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import queue
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from shaded import __version__, logs
from shaded.errors import ConfigurationError, ModelError, PictureError
from shaded.scheduling.messages import Failure, Progress, Ready, ShadeTask, Start, Unusable
from shaded.scheduling.peak import begin_counting
from shaded.scheduling.worker import Engine, EngineFactory, Throttle, be_nice, failure_of, unusable_of

logger = logs.get_logger("worker")

_OURS = re.compile(r"\Ashaded-worker-\d+-[A-Za-z0-9_]{8}\Z")
#: In each folder; the lock on it, which goes with the process, says that the folder is in use.
_LOCK = ".shaded-worker"


class Parcel(NamedTuple):
    """A finished picture on its way home.

    Attributes:
        rendered: A :class:`~shaded.scheduling.messages.Rendered` as JSON; its paths mean nothing elsewhere.
        picture: The rendered file's bytes; ``rendered`` has their SHA-256.
        sidecar: The sidecar's bytes.
        sidecar_sha256: Their SHA-256.
    """

    rendered: str
    picture: bytes
    sidecar: bytes
    sidecar_sha256: str


class Place(NamedTuple):
    """Where a worker is: Ray's name for the machine, and the machine's own."""

    node: str
    host: str


class ClusterWorker:
    """One worker; Ray makes an actor of it.

    Args:
        start: A :class:`~shaded.scheduling.messages.Start` as JSON.
        open_engine: Loads the models.
        version: The daemon's version of this program.
    """

    def __init__(self, start: str, open_engine: EngineFactory, version: str) -> None:
        self._start = Start.model_validate_json(start)
        self._open_engine = open_engine
        self._version = version
        self._engine: Engine | None = None
        # One thread has the engine from beginning to end, while this one passes on what it says.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine")
        logs.configure(self._start.log_level, self._start.log_format)
        be_nice(self._start.niceness)
        remove_leftovers()

    def where(self) -> Place:
        """Where this is."""
        import ray  # noqa: PLC0415 - only with the extra

        return Place(ray.get_runtime_context().get_node_id(), socket.gethostname())

    def open(self) -> str:
        """Load the models: ``Ready`` or ``Unusable``, as JSON."""
        return self._thread.submit(self._open).result().model_dump_json()

    def shade(self, task: str, source: bytes) -> Iterator[str | Parcel]:
        """Shade one picture.

        Args:
            task: A :class:`~shaded.scheduling.messages.ShadeTask` as JSON; its paths mean nothing here.
            source: The picture file's bytes.

        Yields:
            ``Progress`` as JSON, any number of times; at last a parcel, or ``Failure`` or ``Unusable`` as JSON.
        """
        said: queue.SimpleQueue[Progress | Parcel | Failure | Unusable] = queue.SimpleQueue()
        self._thread.submit(lambda: said.put(self._shade(ShadeTask.model_validate_json(task), source, said)))
        while True:
            news = said.get()
            yield news if isinstance(news, Parcel) else news.model_dump_json()
            if not isinstance(news, Progress):
                return

    def _open(self) -> Ready | Unusable:
        begun = time.monotonic()
        try:
            if self._version != __version__:
                raise ConfigurationError(  # noqa: TRY301 - told like any other trouble
                    f"shaded {__version__} is on {socket.gethostname()}, and the daemon is {self._version}",
                    remedy="Install the same version on every machine of the cluster",
                )
            self._engine = self._open_engine(self._start)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told
            return unusable_of(error)
        return Ready(device=self._engine.device, seconds=time.monotonic() - begun)

    def _shade(self, task: ShadeTask, source: bytes, said: queue.SimpleQueue[Any]) -> Parcel | Failure | Unusable:
        throttle = Throttle()

        def tell(progress: Progress) -> None:
            if throttle.passes(progress):
                said.put(progress)

        begin_counting()
        try:
            with logs.about_job(task.job_id), _own_folder() as folder:
                return self._shade_in(folder, task, source, tell)
        except (ModelError, ConfigurationError) as error:
            return unusable_of(error)
        except Exception as error:
            failure = failure_of(task.job_id, error)
            if failure.outcome == "failed" and not isinstance(error, PictureError):
                logger.error("the picture failed unexpectedly", exc_info=True)  # noqa: G201 - structlog's own way
            return failure

    def _shade_in(self, folder: Path, task: ShadeTask, source: bytes, tell: Any) -> Parcel:
        if self._engine is None:
            raise RuntimeError("the models are not loaded")
        root, staging = folder / "source", folder / "staging"
        root.mkdir()
        staging.mkdir()
        path = root / task.source.name
        path.write_bytes(source)
        here = task.model_copy(update={"root": root, "source": path, "staging": staging})
        rendered = self._engine.shade(here, tell)
        sidecar = rendered.sidecar.read_bytes()
        return Parcel(
            rendered.model_dump_json(), rendered.picture.read_bytes(), sidecar, hashlib.sha256(sidecar).hexdigest()
        )


@contextmanager
def _own_folder() -> Iterator[Path]:
    """A private folder that is known as this process's for as long as it lives."""
    with tempfile.TemporaryDirectory(prefix=f"shaded-worker-{os.getpid()}-") as name:
        folder = Path(name)
        with (folder / _LOCK).open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield folder


def remove_leftovers() -> None:
    """Remove the folders of this user's workers that were killed on this machine: those with a lock nobody holds."""
    for folder in Path(tempfile.gettempdir()).glob("shaded-worker-*"):
        with suppress(OSError):
            found = folder.lstat()
            if _OURS.match(folder.name) and found.st_uid == os.getuid() and not folder.is_symlink():
                lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
                finally:
                    os.close(lock)
