"""Giving an executor tasks one after another, without a daemon."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from shaded.errors import ConfigurationError, ModelError
from shaded.scheduling.executor import AnyTask, Executor
from shaded.scheduling.messages import Audited, Failure, Progress, Rendered, Unusable, Verified, WorkerDied
from shaded.settings import Settings, load_settings

#: How long to wait for the worker's next word before looking after it, in seconds.
LISTEN_SECONDS = 1.0


def foreground_settings(config: Path | None) -> Settings:
    """The settings of a command in the foreground, its log set up.

    Its worker's news would stand between the lines of its answer: of them only warnings are shown.
    """
    from shaded import logs  # noqa: PLC0415 - not needed to print help

    settings = load_settings(config)
    level = "warning" if settings.logging.level == "info" else settings.logging.level
    logs.configure(level, logs.resolve_format(settings.logging.format, sys.stderr))
    return settings.model_copy(update={"logging": settings.logging.model_copy(update={"level": level})})


@contextmanager
def foreground_executor(settings: Settings) -> Iterator[Executor]:
    """A worker for as long as a command runs."""
    from shaded.clock import SystemClock  # noqa: PLC0415 - not needed to print help
    from shaded.daemon.executors import process_executor  # noqa: PLC0415

    executor = process_executor(settings, SystemClock())
    try:
        yield executor
    finally:
        executor.close(now=True)


def drive(
    executor: Executor, tasks: Iterable[AnyTask], on_progress: Callable[[Progress], None] = lambda _: None
) -> Iterator[tuple[AnyTask, Rendered | Verified | Audited | Failure]]:
    """Do the tasks in order; each with its outcome.

    Raises:
        ModelError, ConfigurationError: No picture can be shaded here.
    """
    for task in tasks:
        executor.submit([task])
        outcome: Rendered | Verified | Audited | Failure | None = None
        while outcome is None:
            for event in executor.events(LISTEN_SECONDS):
                if isinstance(event, Progress):
                    on_progress(event)
                elif isinstance(event, Unusable):
                    kind = ConfigurationError if event.cause == "configuration" else ModelError
                    raise kind(event.what, path=event.path, remedy=event.remedy)
                elif isinstance(event, WorkerDied):
                    outcome = Failure(job_id=task.job_id, outcome="failed", what=event.detail)
                elif isinstance(event, Rendered | Verified | Audited | Failure):
                    outcome = event
        yield task, outcome
