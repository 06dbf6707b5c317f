"""Giving an executor tasks without a daemon."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from shaded import logs
from shaded.cli.words import unsayable
from shaded.errors import ConfigurationError, ModelError, Unavailable
from shaded.scheduling.executor import LOOKAHEAD, AnyEvent, AnyTask, Candidate, Executor
from shaded.scheduling.messages import Audited, Failure, Progress, Rendered, Unusable, Verified, WorkerDied
from shaded.settings import Settings, load_settings

logger = logs.get_logger("command")

#: How long to wait for the workers' next word before looking after them, in seconds.
LISTEN_SECONDS = 1.0
Outcome = Rendered | Verified | Audited | Failure


def foreground_settings(config: Path | None) -> Settings:
    """The settings of a command in the foreground, its log set up.

    Its worker's news would stand between the lines of its answer: of them only warnings are shown.
    """
    settings = load_settings(config)
    level = "warning" if settings.logging.level == "info" else settings.logging.level
    logs.configure(level, logs.resolve_format(settings.logging.format, sys.stderr))
    return settings.model_copy(update={"logging": settings.logging.model_copy(update={"level": level})})


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder of this command's own, gone with it.

    Raises:
        ConfigurationError: A worker cannot be told its name.
    """
    if unsayable(Path(tempfile.gettempdir())) is not None:
        raise ConfigurationError("TMPDIR: the name of the folder is not valid UTF-8", remedy="Name another one")
    with tempfile.TemporaryDirectory(prefix="shaded-", ignore_cleanup_errors=True) as path:
        yield Path(path)


@contextmanager
def foreground_executor(settings: Settings) -> Iterator[Executor]:
    """A worker for as long as a command runs, for one thing after another."""
    from shaded.clock import SystemClock  # noqa: PLC0415 - not needed to print help
    from shaded.daemon.executors import process_executor  # noqa: PLC0415

    executor = process_executor(settings, SystemClock())
    try:
        yield executor
    finally:
        executor.close(now=True)


@contextmanager
def foreground_pool(settings: Settings) -> Iterator[Executor]:
    """The workers that the daemon would have, for as long as a command runs; it knows what the daemon learned."""
    from shaded.clock import SystemClock  # noqa: PLC0415 - not needed to print help
    from shaded.daemon.executors import open_pool  # noqa: PLC0415
    from shaded.daemon.remembering import learned_before  # noqa: PLC0415

    pool = open_pool(settings, SystemClock(), learned_before(settings))
    try:
        yield pool
    finally:
        pool.close(now=True)


def drive(
    executor: Executor,
    tasks: Iterable[AnyTask],
    on_progress: Callable[[Progress], None] = lambda _: None,
    candidate: Callable[[AnyTask], Candidate] = lambda task: Candidate(task.job_id, 0),
) -> Iterator[tuple[AnyTask, Outcome]]:
    """Do the tasks, several at once where the executor can; each with its outcome, as they come.

    Args:
        executor: Does them, and says which one next.
        tasks: What is to be done.
        on_progress: Hears how far each is.
        candidate: What the executor is told of a task to choose by; asked once, when it is among the next ones.

    Raises:
        ModelError, ConfigurationError: No picture can be shaded here.
    """
    to_come = ((task, candidate(task)) for task in tasks)
    waiting = list(islice(to_come, LOOKAHEAD))
    under_way: dict[str, tuple[AnyTask, Candidate]] = {}
    told = False
    while waiting or under_way:
        while not executor.full and (pick := executor.pick([offered for _, offered in waiting])):
            task, offered = waiting.pop(pick.index)
            waiting += islice(to_come, 1)
            under_way[task.job_id], told = (task, offered), False
            executor.submit([_on_canvas(task, pick.canvas_pixels)])
        if executor.shortage and not told:  # once for each wait: its numbers change all the time
            told = True
            logger.warning(executor.shortage)
        for event in executor.events(LISTEN_SECONDS):
            if isinstance(event, Progress):
                on_progress(event)
            for job_id, outcome in _outcomes(event):
                task, offered = under_way.pop(job_id)
                if isinstance(outcome, Failure) and outcome.out_of_memory and not outcome.blames_picture:
                    waiting.insert(0, (task, offered))  # the executor has another way for it
                else:
                    yield task, outcome


def _outcomes(event: AnyEvent) -> list[tuple[str, Outcome]]:
    """How tasks ended, by their names, if that is what an event tells.

    Raises:
        ModelError, ConfigurationError: No picture can be shaded here.
    """
    if isinstance(event, Unusable):
        kinds = {"configuration": ConfigurationError, "unavailable": Unavailable, "model": ModelError}
        raise kinds[event.cause](event.what, path=event.path, remedy=event.remedy)
    if isinstance(event, WorkerDied):
        return [(job_id, Failure(job_id=job_id, outcome="failed", what=event.detail)) for job_id in event.job_ids]
    return [(event.job_id, event)] if isinstance(event, Outcome) else []


def _on_canvas(task: AnyTask, canvas_pixels: int) -> AnyTask:
    return task.model_copy(update={"canvas_pixels": canvas_pixels}) if canvas_pixels else task
