"""The way to a cluster, without Ray: a script stands for the process that talks to it, and a worker needs none."""

from __future__ import annotations

import errno
import hashlib
import queue
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from shaded.clock import FakeClock
from shaded.daemon.assembly import run_daemon
from shaded.daemon.executors import cluster_start
from shaded.errors import ConfigurationError, Transient, Unavailable
from shaded.scheduling.cluster import FIRST_PAUSE, ClusterExecutor
from shaded.scheduling.cluster_driver import places
from shaded.scheduling.cluster_seat import Opened, Seat, Unopened, Vacant, delivered
from shaded.scheduling.cluster_worker import ClusterWorker, Parcel, _own_folder, remove_leftovers
from shaded.scheduling.executor import Candidate, Pick
from shaded.scheduling.messages import EVENTS, ClusterState, Ready, ShadeTask, Start, Unusable
from shaded.scheduling.room import LEAST_CANVAS
from shaded.scheduling.worker import failure_of
from shaded.settings import Cluster, Folder, Shading, load_settings
from tests.daemon.rig import png
from tests.scheduling.fake_worker import CopyingEngine, open_copying

#: Says the lines of its arguments as soon as it has heard as many lines as stand before each: ``0 {...} 2 {...}``.
SCRIPT = """
import sys
heard = 0
said = sys.argv[1:]
while said:
    while heard < int(said[0]):
        assert sys.stdin.readline()
        heard += 1
    if said[1] == "die":
        sys.exit(3)
    print(said[1], flush=True)
    del said[:2]
sys.stdin.read()
"""


def _state(workers, **more):
    return ClusterState(workers=workers, **more).model_dump_json()


def _refused(job):
    return f'{{"kind": "failure", "job_id": "{job}", "outcome": "refused", "what": "it is animated"}}'


@pytest.fixture
def settings(tmp_path):
    """Settings with a cluster."""
    folder = Folder(outbox=tmp_path / "out", publish=tmp_path / "pub")
    return load_settings(folder=(folder,), state_dir=tmp_path / "state", cluster=Cluster(address="127.0.0.1:1"))


@pytest.fixture
def start_executor(settings):
    """Build executors over the script and stop them afterwards."""
    made = []

    def build(*said, idle=1000.0, **shading):
        clock = FakeClock()
        command = (sys.executable, "-c", SCRIPT, *said)
        start = cluster_start(settings.model_copy(update={"shading": settings.shading.model_copy(update=shading)}))
        made.append(ClusterExecutor(start, idle_seconds=idle, clock=clock, command=command))
        return made[-1], clock

    yield build
    for executor in made:
        executor.close(now=True)


def _hear(executor, until, seconds=20):
    told = []
    for _ in range(seconds * 10):
        told.extend(executor.events(0.1))
        if until():
            return told
    raise AssertionError(told)


def _task(folder, name):
    return ShadeTask(
        job_id=name, root=folder, source=folder / name, name=name, staging=folder, output_name=name, secret="00"
    )


def _waiting(*names):
    return [Candidate(name, 64) for name in names]


def test_without_the_extra_the_message_says_what_to_install(settings, monkeypatch):
    """A daemon that is to use a cluster ends at once where Ray is missing, and says how to install it."""
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'shaded\[cluster\]'") as caught:
        run_daemon(settings, once=True)
    assert caught.value.exit_code == 78


def test_a_cluster_that_does_not_answer_ends_the_daemon(settings, monkeypatch):
    """The real process tries the address; the daemon ends, to be started again later, and says what to start."""
    monkeypatch.setattr("shaded.daemon.assembly.require_ray", lambda: None)  # it is not asked for so far
    outbox = settings.folder[0].outbox
    outbox.mkdir()
    (outbox / "fox.png").write_bytes(png())
    with pytest.raises(Unavailable, match="Connection refused") as caught:
        run_daemon(settings, once=True)
    assert (caught.value.exit_code, "Start Ray" in caught.value.remedy) == (74, True)


def test_an_address_is_auto_or_a_host_with_a_port():
    """Anything else is refused with the key's name."""
    assert load_settings(cluster={"address": "auto"}).cluster.address == "auto"
    assert load_settings(cluster={"address": "studio.lan:6379"}).cluster.cpus_per_worker == 4
    for wrong in ("studio.lan", "ray://studio:1", "a b:1", "studio:1\n"):
        with pytest.raises(ConfigurationError, match=r"cluster\.address"):
            load_settings(cluster={"address": wrong})


def test_the_workers_threads_are_their_cores(settings):
    """The process that talks to Ray is told the cluster's settings, and each worker's threads."""
    start = cluster_start(settings)
    assert (start.shading.threads, start.cluster.address) == (4, "127.0.0.1:1")


def test_pictures_go_out_while_workers_are_free(start_executor, tmp_path):
    """Nothing is taken until a worker is ready, then as many as there are; each outcome makes room."""
    executor, _ = start_executor("1", _state(2), "3", _refused("a"))
    assert executor.full
    assert executor.pick(_waiting("a")) is None
    _hear(executor, lambda: not executor.full)
    for name in ("a", "b"):
        assert executor.pick(_waiting(name)) == Pick(0)
        executor.submit([_task(tmp_path, name)])
    assert executor.pick(_waiting("c")) is None
    told = _hear(executor, lambda: not executor.full)
    assert [(event.kind, event.job_id) for event in told] == [("failure", "a")]
    assert executor.busy


def test_running_out_of_memory_there_means_a_smaller_canvas(start_executor, tmp_path):
    """Each time half of the pixels, and the picture is not blamed; on the least canvas it is, and that is all."""
    canvas = 4 * LEAST_CANVAS
    out = failure_of("a", MemoryError()).model_dump_json()
    executor, _ = start_executor("1", _state(1), "2", out, "3", out, "4", out, canvas_pixels=canvas)
    _hear(executor, lambda: not executor.full)
    canvases, blamed = [], []
    for _ in range(3):
        pick = executor.pick([Candidate("a", canvas)])
        canvases.append(pick.canvas_pixels)
        executor.submit([_task(tmp_path, "a")])
        (failure,) = _hear(executor, lambda: not executor.busy)
        assert failure.out_of_memory
        blamed.append(failure.blames_picture)
    assert canvases == [0, canvas // 2, canvas // 4]
    assert blamed == [False, False, True]
    assert executor.pick([Candidate("b", canvas)]).canvas_pixels == 0


def test_a_cluster_that_is_not_reached_at_the_start_ends_the_daemon(start_executor):
    """It may be a network that is not up yet: that passes, and the error says what to do."""
    executor, _ = start_executor("1", _state(0, reached=False, trouble="nobody answers", remedy="Start Ray"))
    told = []
    while not told:
        told = list(executor.events(1.0))
    assert told == [Unusable(cause="unavailable", what="cluster.address: nobody answers", remedy="Start Ray")]


def test_a_connection_that_is_lost_blames_no_picture_and_is_made_anew(start_executor, tmp_path):
    """Pictures under way are put off without a count, status says why, and after a rest the next is offered again."""
    executor, clock = start_executor("1", _state(1), "2", "die")
    _hear(executor, lambda: not executor.full)
    assert executor.pick(_waiting("a"))
    executor.submit([_task(tmp_path, "a")])
    (lost,) = _hear(executor, lambda: not executor.busy)
    assert (lost.outcome, lost.blames_picture) == ("transient", False)
    assert executor.full
    assert "127.0.0.1:1 is not reached" in executor.shortage
    assert executor.next_check == clock.monotonic() + FIRST_PAUSE
    clock.advance(FIRST_PAUSE)
    assert not executor.full
    assert executor.pick(_waiting("a")) is None
    _hear(executor, lambda: not executor.full)
    assert executor.pick(_waiting("a")) == Pick(0)
    assert not executor.shortage


def test_rests_grow_while_a_cluster_stays_away(start_executor):
    """Each connection that fails without a worker doubles the rest."""
    executor, clock = start_executor("1", _state(0), "1", "die")
    for times in (1, 2, 4):
        _hear(executor, lambda: executor.next_check is not None)
        assert executor.next_check == clock.monotonic() + FIRST_PAUSE * times
        clock.advance(FIRST_PAUSE * times)
        assert executor.pick(_waiting("a")) is None


def test_an_idle_cluster_is_left(start_executor):
    """After the idle time the process ends, and the next picture starts another."""
    executor, clock = start_executor("1", _state(1), idle=60)
    _hear(executor, lambda: not executor.full)
    clock.advance(59)
    executor.events(0)
    assert executor.pick(_waiting("a")) == Pick(0)
    clock.advance(2)
    executor.events(0)
    assert executor.next_check is None
    assert not executor.full
    assert executor.pick(_waiting("a")) is None
    _hear(executor, lambda: not executor.full)


def test_other_settings_reach_new_workers(start_executor, settings):
    """After renew nothing more is given to the old workers; the next picture starts new ones."""
    executor, _ = start_executor("1", _state(1))
    _hear(executor, lambda: not executor.full)
    other = cluster_start(settings).model_copy(update={"niceness": 3})
    executor.renew(other, idle_seconds=1000)
    assert executor.pick(_waiting("a")) is None
    _hear(executor, lambda: not executor.full)
    assert executor.pick(_waiting("a")) == Pick(0)


def test_places_are_counted_machine_by_machine():
    """A worker needs all its cores and GPUs on one living machine."""
    nodes = [
        {"Alive": True, "Resources": {"CPU": 7.0, "GPU": 2.0}},
        {"Alive": True, "Resources": {"CPU": 8.0}},
        {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}},
    ]
    assert places(nodes, Cluster(cpus_per_worker=4)) == 3
    assert places(nodes, Cluster(cpus_per_worker=2, gpus_per_worker=1)) == 2
    assert places(nodes, Cluster(cpus_per_worker=16)) == 0


def _worker(engine_factory, version=None):
    from shaded import __version__

    start = Start(shading=Shading(threads=1)).model_dump_json()
    return ClusterWorker(start, engine_factory, version or __version__)


def test_a_worker_takes_bytes_and_gives_bytes(tmp_path, monkeypatch):
    """It needs none of the task's paths, and its own folder is gone afterwards, also where the picture failed."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    worker = _worker(open_copying([]))
    assert isinstance(EVENTS.validate_json(worker.open()), Ready)
    away = Path("/nowhere")
    *progress, parcel = worker.shade(_task(away, "a.png").model_dump_json(), b"picture")
    assert [EVENTS.validate_json(said).kind for said in progress] == ["progress"] * 2
    assert parcel.picture == b"pictureshaded"
    rendered = delivered(_task(tmp_path, "a.png"), parcel)
    assert rendered.picture.read_bytes() == b"pictureshaded"
    assert rendered.sidecar == tmp_path / "a.png.shaded.json"
    for name, outcome in (("refuse.png", "refused"), ("busy.png", "transient"), ("bug.png", "failed")):
        *_, said = worker.shade(_task(away, name).model_dump_json(), b"picture")
        assert EVENTS.validate_json(said).outcome == outcome
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "a.png.shaded.json"]


def test_what_cannot_be_opened_is_told():
    """Models that are altered, or another version of this program, are no picture's fault."""
    assert EVENTS.validate_json(_worker(open_copying(["no-model"])).open()).cause == "model"
    told = EVENTS.validate_json(_worker(open_copying([]), "0.0.0").open())
    assert (told.cause, "0.0.0" in told.what) == ("configuration", True)


@pytest.mark.parametrize("part", ["picture", "sidecar"])
def test_damaged_results_are_refused(tmp_path, part):
    """A byte that changed on the way, in either file, is found, and nothing is written."""
    engine = CopyingEngine()
    (tmp_path / "a.png").write_bytes(b"picture")
    task = _task(tmp_path, "a.png")
    rendered = engine.shade(task, lambda _: None)
    sidecar = rendered.sidecar.read_bytes()
    parcel = Parcel(
        rendered.model_dump_json(), rendered.picture.read_bytes(), sidecar, hashlib.sha256(sidecar).hexdigest()
    )
    away = task.model_copy(update={"staging": tmp_path / "staging"})
    (tmp_path / "staging").mkdir()
    with pytest.raises(Transient, match="damaged"):
        delivered(away, parcel._replace(**{part: getattr(parcel, part)[:-1] + b"?"}))
    assert not list(away.staging.iterdir())


def test_folders_of_killed_workers_are_removed(tmp_path, monkeypatch):
    """A folder goes when the lock in it is nobody's; one in use, one without a lock and anything else stays."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    names = ("shaded-worker-1-killed_1", "shaded-worker-999999999-holidays", "shaded-worker-mine", "shaded-worker-1-x")
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "picture").touch()
    for name in (names[0], names[3]):
        (tmp_path / name / ".shaded-worker").touch()
    with _own_folder() as used:
        remove_leftovers()
        assert {path.name for path in tmp_path.iterdir()} == {used.name, *names[1:]}
    assert not used.exists()


class LittleRay:
    """What a worker's place uses of Ray, with a worker that does as it is told."""

    class exceptions:  # noqa: N801 - Ray's own name
        """Its errors."""

        RayError = type("RayError", (Exception,), {})
        RayActorError = type("RayActorError", (RayError,), {})
        OutOfMemoryError = type("OutOfMemoryError", (RayError,), {})
        RayTaskError = type("RayTaskError", (RayError,), {})
        GetTimeoutError = type("GetTimeoutError", (RayError,), {})

    def __init__(self, opening=None, shading=None):
        self.killed = 0
        self._answers = {"where": ("node", "host"), "open": opening or Ready(device="cpu", seconds=1).model_dump_json()}
        self._shading = shading

    def remote(self, _kind):
        return self

    def options(self, **_more):
        return SimpleNamespace(remote=lambda *_: self._worker())

    def _worker(self):
        def method(name, options=False):
            call = SimpleNamespace(remote=lambda *_: iter([self._shading]) if name == "shade" else self._answers[name])
            return SimpleNamespace(options=lambda **_: call) if options else call

        return SimpleNamespace(where=method("where"), open=method("open"), shade=method("shade", options=True))

    def put(self, data):
        return data

    def wait(self, references, timeout):
        assert timeout > 0
        return references, []

    def get(self, reference, timeout=None):
        if isinstance(reference, Exception):
            raise reference
        return reference

    def kill(self, _worker):
        self.killed += 1


def _live(ray, settings, *tasks):
    """One worker's life in its place; what was told of it."""
    waiting, news = queue.SimpleQueue(), queue.SimpleQueue()
    for task in tasks:
        waiting.put(task)
    Seat(ray, cluster_start(settings), open_copying([]), waiting, news)._live()
    return [news.get_nowait() for _ in range(news.qsize())]


def test_a_worker_that_ray_ended_for_want_of_memory_is_replaced(settings, tmp_path):
    """Its place is vacant, and its picture ran out of memory: Ray tells that otherwise than other deaths."""
    (tmp_path / "a.png").write_bytes(png())
    ray = LittleRay(shading=LittleRay.exceptions.OutOfMemoryError("1 worker(s) were killed"))
    opened, vacant, failure = _live(ray, settings, _task(tmp_path, "a.png"))
    assert (type(opened), type(vacant)) == (Opened, Vacant)
    assert failure == failure_of("a.png", MemoryError())
    assert failure.out_of_memory
    assert ray.killed == 1


def test_a_machine_short_of_memory_is_no_hopeless_one(settings, monkeypatch):
    """Where Ray ends a worker that loads its models, that does not count toward giving up."""
    monkeypatch.setattr("shaded.scheduling.cluster_seat.PAUSE_SECONDS", 0)
    ray = LittleRay(opening=LittleRay.exceptions.OutOfMemoryError("1 worker(s) were killed"))
    assert _live(ray, settings) == [Unopened("its machine is short of memory", counts=False)]
    assert ray.killed == 1


def test_a_cluster_whose_process_cannot_be_started_now_is_tried_again(start_executor, monkeypatch):
    """Too many open files at the moment of connecting anew cost a pause, and not the daemon."""
    executor, clock = start_executor("1", _state(1), idle=10)
    _hear(executor, lambda: not executor.full)
    clock.advance(11)
    executor.events(0)

    def refuse(*_arguments):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("shaded.scheduling.cluster.launch", refuse)
    assert executor.pick(_waiting("a")) is None
    assert executor.full
    assert "Too many open files" in executor.shortage
    monkeypatch.undo()
    clock.advance(301)
    assert not executor.full
    assert executor.pick(_waiting("a")) is None
    _hear(executor, lambda: not executor.full)
    assert executor.pick(_waiting("a")) is not None
