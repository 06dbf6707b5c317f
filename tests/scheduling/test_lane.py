from __future__ import annotations

from types import SimpleNamespace

from shaded.scheduling.executor import Pick
from shaded.scheduling.gpus import CONTEXT_BYTES, Gpu
from shaded.scheduling.lane import FIRST_REST_SECONDS, LONGEST_REST_SECONDS, Lane
from shaded.scheduling.messages import Failure, Rendered, Spent

LOST = Failure(job_id="a", outcome="transient", what="the GPU stopped working", ends_worker=True)
BROKEN = Failure(job_id="a", outcome="failed", what="it is broken")


def _rendered(folder):
    return Rendered(job_id="a", picture=folder, sidecar=folder, sha256="", bytes=1, summary={})


def test_rests_double_up_to_an_hour(tmp_path):
    """Each loss in a row doubles the rest; a picture that ends well makes the next one the first again."""
    lane = Lane(SimpleNamespace(worker_pid=1))
    rests = []
    for number in range(9):
        lane.count_loss(LOST, 10_000.0 * number, [])
        rests.append(lane.rests_until - 10_000.0 * number)
    assert rests[:3] == [FIRST_REST_SECONDS, 2 * FIRST_REST_SECONDS, 4 * FIRST_REST_SECONDS]
    assert rests[-1] == LONGEST_REST_SECONDS
    lane.count_loss(_rendered(tmp_path), 200_000.0, [])
    lane.count_loss(LOST, 200_000.0, [])
    assert lane.rests_until == 200_000.0 + FIRST_REST_SECONDS


def test_a_picture_that_fails_for_its_own_reasons_is_no_loss():
    """Only a GPU that stops working makes its worker rest."""
    lane = Lane(SimpleNamespace(worker_pid=1))
    lane.count_loss(BROKEN, 5.0, [])
    assert lane.rests_until < 5.0


def test_those_on_the_same_gpu_rest_with_it():
    """One loss that several workers notice is one loss; after the rest, the next one lasts twice as long for all."""
    one, other = (Lane(SimpleNamespace(worker_pid=number)) for number in (1, 2))
    one.count_loss(LOST, 0.0, [other])
    other.count_loss(LOST, 1.0, [one])
    assert one.rests_until == other.rests_until == FIRST_REST_SECONDS
    other.count_loss(LOST, FIRST_REST_SECONDS, [one])
    assert one.rests_until == other.rests_until == 3 * FIRST_REST_SECONDS


def test_what_a_picture_is_still_to_take_of_a_gpu():
    """What the driver tells that the process holds is taken off, or else what it held before, with its context."""
    lane = Lane(SimpleNamespace(worker_pid=1), pick=Pick(0, device_needed=5 * CONTEXT_BYTES))
    silent = Gpu(free=1, total=1)
    assert lane.device_to_come(silent) == 6 * CONTEXT_BYTES
    lane.spent = Spent(job_id="a", peak_bytes=0, device_held_bytes=2 * CONTEXT_BYTES)
    assert lane.device_to_come(silent) == 3 * CONTEXT_BYTES
    assert lane.device_to_come(Gpu(free=1, total=1, users={1: 4 * CONTEXT_BYTES})) == 2 * CONTEXT_BYTES
    assert lane.device_to_come(Gpu(free=1, total=1, users={1: 9 * CONTEXT_BYTES})) == 0


def test_what_is_held_on_the_gpu_ends_with_the_process():
    """It is remembered from one picture to the next, and nothing is held once the worker is gone."""
    lane = Lane(SimpleNamespace(worker_pid=1))
    lane.spent = Spent(job_id="a", peak_bytes=9, device_peak_bytes=7, device_held_bytes=3)
    lane.begin(None)
    assert (lane.device_held, lane.spent.peak_bytes, lane.spent.device_peak_bytes) == (3, 0, 0)
    lane.executor.worker_pid = None
    assert lane.device_held == 0


def test_the_largest_canvas_is_the_present_processs():
    """A worker that was replaced has had none."""
    lane = Lane(SimpleNamespace(worker_pid=1))
    assert lane.earlier == 0
    lane.had(900)
    lane.had(100)
    assert lane.earlier == 900
    lane.executor.worker_pid = 2
    assert lane.earlier == 0
    lane.had(100)
    assert lane.earlier == 100
