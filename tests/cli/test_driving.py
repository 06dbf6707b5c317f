"""Tasks given to an executor without a daemon."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field

import pytest

from shaded import logs
from shaded.cli.driving import drive, foreground_pool, scratch_folder
from shaded.errors import ConfigurationError, ModelError
from shaded.scheduling.executor import LOOKAHEAD, Candidate, Pick
from shaded.scheduling.messages import Failure, Progress, Unusable, Verified, VerifyTask, WorkerDied
from shaded.settings import load_settings


def task(name):
    """Any task."""
    return VerifyTask(job_id=name, published=f"/{name}.png")


def done(name):
    """How it ends."""
    return Verified(job_id=name, problems=(), measured={})


@dataclass
class Scripted:
    """An executor that takes so many at once. What is not done at once has its events in the script."""

    places: int = 1
    script: dict = field(default_factory=dict)
    prefers: str = ""
    short: int = 0
    offered: list = field(default_factory=list)
    submitted: list = field(default_factory=list)
    held: list = field(default_factory=list)

    @property
    def full(self):
        return len(self.held) >= self.places

    @property
    def shortage(self):
        return f"memory is short: {self.short} GB" if self.short else ""

    def pick(self, candidates):
        self.offered.append([candidate.job_id for candidate in candidates])
        self.short -= bool(self.short)
        if not candidates or self.short:
            return None
        names = self.offered[-1]
        return Pick(names.index(self.prefers) if self.prefers in names else 0, canvas_pixels=0)

    def submit(self, batch):
        self.submitted += [each.job_id for each in batch]
        self.held += [each.job_id for each in batch]

    def events(self, _timeout):
        told, names = [], list(self.held)
        for name in names:
            event = (self.script.get(name) or [done(name)]).pop(0)
            told.append(event)
            if not isinstance(event, Progress):
                self.held.remove(name)
        return told


def out_of_memory(name, *, blames):
    """Memory ran out."""
    return Failure(
        job_id=name, outcome="transient", what="no memory", out_of_memory=True, blames_picture=blames
    )  # fmt: skip


def test_each_task_has_its_outcome_as_it_comes():
    """Several are under way at once, progress is heard, and the outcome that comes first is given first."""
    heard = []
    slow = Progress(job_id="a", stage="shade", step=1, steps=2)
    executor = Scripted(2, {"a": [slow, done("a")]})
    outcomes = [(each.job_id, outcome) for each, outcome in drive(executor, map(task, "abc"), heard.append)]
    assert outcomes == [("b", done("b")), ("a", done("a")), ("c", done("c"))]
    assert heard == [slow]


def test_the_executor_chooses_among_the_next_ones():
    """It is offered so many and may take one out of turn; tasks are made only when they come near."""
    made = []

    def making():
        for number in range(LOOKAHEAD + 3):
            made.append(number)
            yield task(str(number))

    executor = Scripted(prefers="5")
    driven = drive(executor, making(), candidate=lambda each: Candidate(each.job_id, 7))
    assert next(driven)[0].job_id == "5"
    assert len(made) == LOOKAHEAD + 1
    assert executor.offered[0] == [str(number) for number in range(LOOKAHEAD)]
    rest = [each.job_id for each, _ in driven]
    assert rest == [str(number) for number in range(LOOKAHEAD + 3) if number != 5]


def test_where_memory_ran_out_the_other_way_is_tried_first():
    """The task is offered again, before the others, as long as the executor does not blame it."""
    executor = Scripted(1, {"a": [out_of_memory("a", blames=False)] * 2 + [done("a")]})
    assert [each.job_id for each, _ in drive(executor, map(task, "ab"))] == ["a", "b"]
    assert executor.submitted == ["a", "a", "a", "b"]
    executor = Scripted(1, {"a": [out_of_memory("a", blames=True)]})
    (_, outcome), _ = drive(executor, map(task, "ab"))
    assert outcome.what == "no memory"


def test_a_worker_that_dies_fails_its_task_only():
    """The others are done."""
    executor = Scripted(1, {"a": [WorkerDied(job_ids=("a",), detail="killed")]})
    (_, failure), (_, other) = drive(executor, map(task, "ab"))
    assert (failure.outcome, failure.what) == ("failed", "killed")
    assert other == done("b")


@pytest.mark.parametrize(("cause", "kind"), [("model", ModelError), ("configuration", ConfigurationError)])
def test_where_nothing_can_be_done_it_ends_with_the_reason(cause, kind):
    """The error that the worker told is raised."""
    executor = Scripted(1, {"a": [Unusable(cause=cause, what="no models", remedy="Reinstall")]})
    with pytest.raises(kind, match="no models"):
        list(drive(executor, map(task, "ab")))


def test_a_shortage_of_memory_is_told_once(capsys):
    """Somebody who waits at a terminal learns why nothing happens; another wait is told anew."""
    logs.configure("warning", "json")
    executor = Scripted(short=4)
    outcomes = drive(executor, map(task, "ab"))
    assert next(outcomes)[0].job_id == "a"
    assert capsys.readouterr().err.count("memory is short") == 1
    executor.short = 7  # a text that stands in the log already is not said again so soon
    assert next(outcomes)[0].job_id == "b"
    assert capsys.readouterr().err.count("memory is short") == 1


@pytest.mark.real_process
def test_a_foreground_pool_has_the_daemons_workers(fake_engine, monkeypatch):
    """As many as the settings say, and none is left behind."""
    monkeypatch.setenv("SHADED_SCHEDULING__WORKERS", "2")
    with foreground_pool(load_settings()) as pool:
        assert len(pool.executors) == 2
        assert pool.pick([Candidate("a", 1000)]).index == 0


def test_a_temporary_folder_that_no_worker_can_be_told_is_refused(monkeypatch):
    """The variable is named; nothing is made there."""
    monkeypatch.setattr(tempfile, "tempdir", "/tmp/\udcff")
    with pytest.raises(ConfigurationError, match="TMPDIR"), scratch_folder():
        pass
