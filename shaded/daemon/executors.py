"""The workers that settings ask for: one for a command in the foreground; several, or a cluster, for the daemon."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Sequence
from functools import partial

from shaded import logs
from shaded.clock import Clock
from shaded.daemon.remembering import LedgerMemory
from shaded.ledger import Ledger
from shaded.outbox.roots import Memory
from shaded.scheduling.available import most_bytes, total_bytes
from shaded.scheduling.cluster import DRIVER_COMMAND, ClusterExecutor
from shaded.scheduling.messages import ClusterStart, Start
from shaded.scheduling.pace import Pace
from shaded.scheduling.pool import Limits, WorkerPool
from shaded.scheduling.process import WORKER_COMMAND, ProcessExecutor, gpu_worker_count, thread_count, worker_count
from shaded.scheduling.room import Allowance, Room
from shaded.settings import Settings, bytes_of_share


def start_message(settings: Settings, number: int = 0) -> Start:
    """What a worker is told first: it logs like this process; the first few numbers compute on the first GPU."""
    return Start(
        device_index=number // gpu_worker_count(settings.scheduling.workers_per_gpu),
        shading=settings.shading.model_copy(update={"threads": thread_count(settings.shading.threads)}),
        niceness=settings.scheduling.niceness,
        log_level=settings.logging.level,
        log_format=logs.resolve_format(settings.logging.format, sys.stderr),
    )


def process_executor(
    settings: Settings,
    clock: Clock,
    on_event: Callable[[], None] = lambda: None,
    command: Sequence[str] = WORKER_COMMAND,
    number: int = 0,
) -> ProcessExecutor:
    """One worker as these settings ask for."""
    return ProcessExecutor(
        start_message(settings, number),
        idle_seconds=settings.scheduling.worker_idle_seconds,
        silence_seconds=settings.scheduling.lease_seconds,
        clock=clock,
        on_event=on_event,
        command=command,
    )


def limits_of(settings: Settings) -> Limits:
    """How many workers there may be, and how much memory they may hold."""
    total, scheduling = total_bytes(), settings.scheduling
    reserve = bytes_of_share(scheduling.memory_reserve, total)
    return Limits(
        workers=worker_count(scheduling.workers, settings.shading.threads),
        allowance=Allowance(
            limit=min(bytes_of_share(scheduling.memory_limit, total), most_bytes(reserve)),
            reserve=reserve,
            reserve_share=min(1.0, reserve / total),
        ),
        per_gpu=gpu_worker_count(scheduling.workers_per_gpu),
        yields=scheduling.busy_gpu == "wait",
    )


def open_room(settings: Settings, clock: Clock, memory_of: Callable[[str], Memory]) -> Room:
    """What picks pictures that there is memory for; what it learns is kept for each set of models."""
    key = _models_key(settings)
    return Room(settings.shading.canvas_pixels, lambda name: memory_of(f"memory {key} {name}".strip()), clock)


def _models_key(settings: Settings) -> str:
    models = settings.shading.model_dump_json(include={"device", "threads", "surrogates"})
    return hashlib.sha256(models.encode()).hexdigest()[:16]


def open_pool(
    settings: Settings,
    clock: Clock,
    memory_of: Callable[[str], Memory],
    on_event: Callable[[], None] = lambda: None,
    command: Sequence[str] = WORKER_COMMAND,
) -> WorkerPool:
    """Workers on this machine; what is learned about memory and time is kept under a key for each set of models."""

    def make(number: int, ring: Callable[[], None]) -> ProcessExecutor:
        return process_executor(settings, clock, on_event=ring, command=command, number=number)

    return WorkerPool(
        make,
        limits_of(settings),
        open_room(settings, clock, memory_of),
        Pace(memory_of(f"pace {_models_key(settings)}")),
        clock=clock,
        on_event=on_event,
    )


def cluster_start(settings: Settings) -> ClusterStart:
    """What the process between the daemon and a cluster is told first."""
    start = start_message(settings)
    shading = start.shading.model_copy(update={"threads": settings.cluster.cpus_per_worker})
    return ClusterStart(
        **start.model_copy(update={"shading": shading}).model_dump(),
        cluster=settings.cluster,
        silence_seconds=settings.scheduling.lease_seconds,
    )


def open_executor(
    settings: Settings, clock: Clock, ledger: Ledger, on_event: Callable[[], None], command: Sequence[str] = ()
) -> WorkerPool | ClusterExecutor:
    """What shades for the daemon: this machine, or the cluster that the settings name.

    Args:
        settings: All of them.
        clock: Its monotonic time.
        ledger: Keeps what is learned about memory.
        on_event: Called from another thread when there is something to hear.
        command: The command line of a worker, or of the process that talks to the cluster; empty: the real one's.
    """
    if not settings.cluster.address:
        learned = partial(LedgerMemory, ledger)
        return open_pool(settings, clock, learned, on_event=on_event, command=command or WORKER_COMMAND)
    return ClusterExecutor(
        cluster_start(settings),
        idle_seconds=settings.scheduling.worker_idle_seconds,
        clock=clock,
        on_event=on_event,
        command=command or DRIVER_COMMAND,
    )


def configure_executor(executor: WorkerPool | ClusterExecutor, settings: Settings) -> None:
    """Let what runs follow other settings: each worker from its next picture on."""
    if isinstance(executor, ClusterExecutor):
        executor.renew(cluster_start(settings), idle_seconds=settings.scheduling.worker_idle_seconds)
    else:
        _configure_pool(executor, settings)


def _configure_pool(pool: WorkerPool, settings: Settings) -> None:
    pool.configure(limits_of(settings), settings.shading.canvas_pixels)
    for number, executor in enumerate(pool.executors):
        executor.renew(
            start_message(settings, number),
            idle_seconds=settings.scheduling.worker_idle_seconds,
            silence_seconds=settings.scheduling.lease_seconds,
        )
