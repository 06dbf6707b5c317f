"""``kill -9`` of daemon and worker, at random and aimed: every picture is published whole, once; nothing is left."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.reliability.pictures import picture
from tests.reliability.torment import ROOT, Torment

pytestmark = [pytest.mark.real_disk, pytest.mark.real_process]

#: The daemon takes about this many durable steps from its start to the end of its second picture.
STEPS_OF_A_LIFE = 90
STEPS_OF_A_WORKER = 6


@pytest.fixture
def torment(tmp_path):
    """A pair of folders whose processes are ended afterwards."""
    made = Torment(tmp_path)
    yield made
    made.end()


def torture(torment, kills, seed):
    """Kill so often; before each daemon's life a few more pictures arrive, some of them copies of earlier ones."""
    rng = random.Random(seed)
    for number in range(24):
        torment.save(*picture(number))
    while sum(torment.kills.values()) < kills:
        for _ in range(rng.randint(0, 3)):
            _arrive(torment, rng)
        aimed_at_worker = rng.random() < 0.25
        if aimed_at_worker:
            (torment.base / "doom").write_text(str(rng.randint(1, STEPS_OF_A_WORKER)))
        if rng.random() < 0.5:
            torment.start(rng.randint(1, STEPS_OF_A_LIFE))
            while not torment.wait_for_death(5.0):  # all was done before the step came: give it more to do
                _arrive(torment, rng)
            torment.kills["daemon, at a step"] += 1
        else:
            torment.start()
            time.sleep(rng.uniform(0.0, 2.5))
            if rng.random() < 0.5 and torment.kill_worker():
                torment.kills["worker, at a moment"] += 1
                time.sleep(rng.uniform(0.0, 1.0))
            torment.kill()
            torment.kills["daemon, at a moment"] += 1
        doom = torment.base / "doom"
        if aimed_at_worker and not doom.exists():
            torment.kills["worker, at a step"] += 1
        doom.unlink(missing_ok=True)


def _arrive(torment, rng):
    name, data = picture(len(torment.inputs))
    if rng.random() < 0.15:
        data = torment.inputs[rng.choice(sorted(torment.inputs))]
    torment.save(name, data)


def _torture_and_look(torment, kills, seed):
    torture(torment, kills, seed)
    retried = torment.finish(seconds=120)
    torment.assert_aftermath()
    begun, ended = torment.assert_nothing_done_twice()
    sys.stdout.write(
        f"{sum(torment.kills.values())} kills {dict(torment.kills)}, {len(torment.inputs)} pictures with "
        f"{len(set(torment.inputs.values()))} contents, {begun} renders begun, {ended} ended, "
        f"{retried} asked for again\n"
    )


@pytest.mark.timeout(900)
def test_a_death_before_every_single_step(tmp_path):
    """One picture's way, cut off before each durable step in turn: it is put into place once, and nothing is left."""
    script = Path(__file__).with_name("every_step.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False, timeout=850,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    sys.stdout.write(f"{told['steps']} steps\n")
    assert told["steps"] > 25
    assert told["wrong"] == []


@pytest.mark.timeout(600)
def test_ten_kills_lose_and_double_nothing(torment):
    """After ten kills at random moments and steps every picture is published once, whole, and nothing is left over."""
    _torture_and_look(torment, kills=10, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_hundred_kills_lose_and_double_nothing(torment):
    """The same with two hundred kills over some hundred pictures of every format."""
    _torture_and_look(torment, kills=200, seed=2)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_ten_kills_of_the_real_engine(tmp_path):
    """``shaded run`` with the bundled models, killed ten times, publishes every picture once, whole."""
    made = []

    def command(_last):
        return [sys.executable, "-m", "shaded", "run", "--config", str(made[0].config)]

    torment = Torment(tmp_path, command)
    made.append(torment)
    rng = random.Random(3)
    try:
        for number in range(4):
            torment.save(*picture(number))
        for kill in range(10):
            torment.start()
            time.sleep(rng.uniform(1.0, 12.0))
            if kill % 3 == 2 and torment.kill_worker():
                time.sleep(rng.uniform(0.0, 6.0))
            torment.kill()
            torment.save(*picture(len(torment.inputs)))
        torment.finish(seconds=600)
        torment.assert_aftermath()
    finally:
        torment.end()
