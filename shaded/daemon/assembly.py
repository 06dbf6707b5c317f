"""Putting a real daemon together from the settings."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from shaded import logs
from shaded.clock import Clock, SystemClock
from shaded.control import ControlServer
from shaded.daemon.audience import Audience, Nobody
from shaded.daemon.commands import answerer
from shaded.daemon.executors import configure_executor, open_executor
from shaded.daemon.holdings import (
    LEDGER_NAME,
    claim_staging,
    claim_state,
    named_folders,
    prepare_folder,
    refuse_foreign,
    staging_to_itself,
)
from shaded.daemon.instance import only_instance
from shaded.daemon.intake import Intake
from shaded.daemon.loop import Daemon
from shaded.daemon.notify import Notifier
from shaded.daemon.parts import Parts
from shaded.daemon.reloading import Reader, reread
from shaded.daemon.remembering import root_memory, used_before
from shaded.daemon.signals import listening_to_signals
from shaded.daemon.wake import Wake
from shaded.errors import ConfigurationError, Transient, Unavailable
from shaded.ledger import Ledger
from shaded.outbox.arrivals import Outbox
from shaded.outbox.observer import NativeObserver
from shaded.scheduling.cluster import require_ray
from shaded.settings import Settings

logger = logs.get_logger("daemon")


def refuse_wrong_folders(settings: Settings) -> None:
    """Look at every folder before anything is made.

    Raises:
        ConfigurationError: No folder is watched, one is none, or one is somebody else's.
        Unavailable: One cannot be read now.
    """
    if not settings.folder:
        raise ConfigurationError(
            "folder: no folder is watched",
            remedy="Name --outbox and --publish, or write a [[folder]] table into the settings file",
        )
    refuse_foreign(settings)
    for key, _, path in named_folders(settings):
        if os.path.exists(path) and not os.path.isdir(path):  # noqa: PTH110, PTH112 - these never fail
            raise ConfigurationError(f"{key}: that is no folder", path=path, remedy="Name a folder")


def prepare_folders(settings: Settings) -> None:
    """Make the folders that are missing, saying so; one that was in use before is waited for instead.

    Raises:
        ConfigurationError: No folder is watched, one cannot be made, or one is somebody else's.
        Unavailable: One cannot be used now.
    """
    refuse_wrong_folders(settings)
    claim_staging(settings, claim_state(settings.state_dir))
    named = named_folders(settings)
    used = used_before(settings, ((kind, path) for _, kind, path in named))
    for key, kind, path in named:
        if path not in used and prepare_folder(path, key, private=kind == "sidecars"):
            logger.info("made a missing folder", kind=kind, path=str(path))


@contextmanager
def _again_later() -> Iterator[None]:
    """What passes, but not here: the service manager starts the program again."""
    try:
        yield
    except Transient as error:
        raise Unavailable(error.what, path=error.path, remedy=error.remedy) from error


def _outboxes(settings: Settings, clock: Clock, wake: Wake, ledger: Ledger, intake: Intake) -> list[Outbox]:
    return [
        Outbox(
            folder,
            settings.watching,
            clock,
            NativeObserver(folder.outbox, wake.ring),
            partial(intake.already_known, folder.outbox),
            root_memory(ledger, "outbox", folder.outbox),
        )
        for folder in settings.folder
    ]


def run_daemon(
    settings: Settings,
    *,
    once: bool = False,
    audience: Audience | None = None,
    command: Sequence[str] = (),
    read: Reader | None = None,
) -> Daemon:
    """Run a daemon in the foreground until it ends; the ended daemon.

    Args:
        settings: What to watch and how.
        once: End when everything that is there was dealt with.
        audience: Hears of progress and outcomes.
        command: The command line of a worker, or of the process that talks to the cluster; empty: the real one's.
        read: Reads the settings anew when SIGHUP asks for it; without it that signal is refused in the log.

    Raises:
        ConfigurationError, ModelError: No picture can be shaded here.
        AlreadyRunning: Another daemon uses the state folder, or the staging folder.
        StateUnusable: What the state folder holds is damaged.
        Unavailable: A disk or folder cannot be used now.
    """
    clock = SystemClock()
    if settings.cluster.address:
        require_ray()
    refuse_wrong_folders(settings)
    claim_state(settings.state_dir)
    with only_instance(settings.state_dir), _again_later():
        prepare_folders(settings)
        return _run(settings, clock, once, audience or Nobody(), command, read)


def _run(
    settings: Settings, clock: Clock, once: bool, audience: Audience, command: Sequence[str], read: Reader | None
) -> Daemon:
    """Run a daemon that has its folders and the lock."""
    with staging_to_itself(settings):
        wake = Wake()
        ledger = Ledger.open(settings.state_dir / LEDGER_NAME, clock, settings.scheduling)
        executor = open_executor(settings, clock, ledger, on_event=wake.ring, command=command)

        def outboxes_of(present: Settings) -> Callable[[Intake], list[Outbox]]:
            return lambda intake: _outboxes(present, clock, wake, ledger, intake)

        parts = Parts(
            settings=settings,
            clock=clock,
            ledger=ledger,
            executor=executor,
            outboxes=outboxes_of(settings),
            wake=wake,
            notifier=Notifier(),
            audience=audience,
        )

        def again(current: Settings) -> tuple[Parts, tuple[str, ...]]:
            """Everything is checked before anything changes."""
            if read is None:
                raise ConfigurationError("these settings cannot be read anew", remedy="Start the program again")
            fresh = reread(read, current)
            prepare_folders(fresh.settings)
            logging = fresh.settings.logging
            logs.configure(logging.level, logs.resolve_format(logging.format, sys.stderr), logging.repeat_seconds)
            configure_executor(executor, fresh.settings)
            return replace(parts, settings=fresh.settings, outboxes=outboxes_of(fresh.settings)), fresh.kept

        try:
            daemon = Daemon(replace(parts, again=again), once=once)
            server = ControlServer(settings.state_dir, answerer(daemon, settings, clock))
            # Before anybody can know that it is there: a signal to a program that does not listen yet would end it.
            with listening_to_signals(daemon.request_stop, daemon.request_reload):
                server.start()
                try:
                    daemon.run()
                finally:
                    server.stop()
        finally:
            executor.close(now=True)
            ledger.close()
            wake.close()
    return daemon
