"""``kill -9`` of daemon and worker, at random and aimed: every picture is published whole, once; nothing is left."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.reliability.aftermath import assert_aftermath, assert_nothing_done_twice
from tests.reliability.engine import rendered_counts
from tests.reliability.pictures import picture
from tests.reliability.torment import INTRUDERS, ROOT, Torment, a_true_sidecar

pytestmark = [pytest.mark.real_disk, pytest.mark.real_process]

#: The daemon takes about this many durable steps from its start to the end of its third picture.
STEPS_OF_A_LIFE = 90
STEPS_OF_A_WORKER = 8
#: A daemon lives at most so many times as long as the first one took to its first published picture.
LONGEST_LIFE = 1.25
#: So many pictures at most lie in the outbox whose profile changes, since each change does all of them anew.
MOST_TURNED = 12
RELIABILITY = ROOT / "docs" / "reliability.md"


@pytest.fixture
def torment(tmp_path):
    """Two pairs of folders whose processes are ended afterwards."""
    made = Torment(tmp_path)
    yield made
    made.end()


class People:
    """What people do meanwhile, by seeded chance.

    Args:
        torment: The folders.
        seed: Decides what happens.
        intruders: What they put at names that pictures will want.
        sidecars: They change published sidecars, too.
    """

    def __init__(self, torment, seed, intruders=INTRUDERS, *, sidecars=True):
        self.torment = torment
        self.rng = random.Random(seed)
        self._intruders, self._sidecars = intruders, sidecars
        self._number = 0

    def arrive(self):
        """A picture arrives, perhaps with the content of another; its name may be taken in the publish folder."""
        rng, torment = self.rng, self.torment
        file, data = picture(self._number)
        self._number += 1
        turned = sum(name.startswith("turned/") for name in torment.versions)
        name = f"turned/{file}" if turned < MOST_TURNED and rng.random() < 0.2 else f"out/{file}"
        if rng.random() < 0.12:
            torment.intrude(torment.target(name), rng.choice(self._intruders))
        if rng.random() < 0.15 and torment.inputs:
            data = torment.inputs[rng.choice(sorted(torment.inputs))]
        torment.save(name, data)

    def edit(self):
        """A picture is saved again with another content."""
        if self.torment.inputs:
            name = self.rng.choice(sorted(self.torment.inputs))
            kinds = {"." + name.rpartition(".")[2]}
            while True:
                file, data = picture(self._number)
                self._number += 1
                if Path(file).suffix in kinds:
                    break
            self.torment.save(name, data)
            self.torment.happened["edited"] += 1

    def delete(self):
        """A picture is deleted."""
        if len(self.torment.inputs) > 20:
            self.torment.delete(self.rng.choice(sorted(self.torment.inputs)))

    def retouch(self):
        """A person saves a published copy; only while no daemon is at work, which could be about to replace it."""
        torment = self.torment
        passed_over = ".tmp" if self._sidecars else (".json", ".tmp")
        published = [path for folder in ("pub", "turned pub") for path in sorted((torment.base / folder).iterdir())]
        apart = sorted(path for path in (torment.base / "private").rglob("*") if path.is_file())
        copies = [
            path for path in (*published, *apart) if path not in torment.foreign and not path.name.endswith(passed_over)
        ]
        if copies:
            torment.retouch(self.rng.choice(copies), b"retouched %d" % self.rng.getrandbits(64))

    def act(self, chance):
        """Perhaps one of these, and perhaps another."""
        for what, share in ((self.edit, 0.25), (self.delete, 0.12), (self.arrive, 0.5)):
            if self.rng.random() < chance * share:
                what()


def torture(torment, people, kills, reloads, moves):
    """Kill so often, in many lives of daemons, while people do things; ``moves``: how likely sidecars go elsewhere."""
    rng = people.rng
    for _ in range(24):
        people.arrive()
    torment.start()
    torment.comes_up()
    came_up = time.monotonic()
    torment.until(lambda: torment.ledger("SELECT 1 FROM jobs WHERE state = 'published'"))
    longest = LONGEST_LIFE * (time.monotonic() - came_up)
    torment.kill()
    torment.kills["daemon, at a moment"] += 1
    while sum(torment.kills.values()) < kills:
        for _ in range(rng.randint(0, 2)):
            people.arrive()
        people.act(1.0)
        if rng.random() < 0.15:
            people.retouch()
        if rng.random() < moves:
            torment.move_sidecars()
        _live_and_die(torment, people, longest, may_reload=torment.happened["reloaded"] < reloads)


def _live_and_die(torment, people, longest, *, may_reload):
    """One daemon's life, with its kill, and perhaps its worker's."""
    rng, doom = people.rng, torment.base / "doom"
    if rng.random() < 0.25:
        doom.write_text(str(rng.randint(1, STEPS_OF_A_WORKER)))
    aimed = doom.exists()
    if rng.random() < 0.5:
        _live_to_a_step(torment, people, longest, rng.randint(1, STEPS_OF_A_LIFE))
    else:
        _live_to_a_moment(torment, people, longest, may_reload=may_reload)
    if aimed and not doom.exists():
        torment.kills["worker, at a step"] += 1
    doom.unlink(missing_ok=True)


def _live_to_a_step(torment, people, longest, step):
    """A daemon is killed before a durable step, or some time later where there was less to do."""
    torment.start(step)
    died = torment.comes_up()
    end = time.monotonic() + longest
    while not died and time.monotonic() < end:
        died = torment.wait_for_death(0.1)
        people.act(0.2)
    if not died:
        torment.kill()
    torment.kills["daemon, at a step" if died else "daemon, at a moment"] += 1


def _live_to_a_moment(torment, people, longest, *, may_reload):
    """A daemon is killed at a random moment of its start or its work."""
    rng = people.rng
    torment.start()
    if rng.random() < 0.2:
        time.sleep(rng.uniform(0.0, 0.6))
    else:
        torment.comes_up()
        if may_reload and rng.random() < 0.25:
            torment.reload()
        time.sleep(rng.uniform(0.0, longest))
        people.act(0.5)
    if rng.random() < 0.5 and torment.kill_worker():
        torment.kills["worker, at a moment"] += 1
        time.sleep(rng.uniform(0.0, 0.3))
    torment.kill()
    torment.kills["daemon, at a moment"] += 1


def _torture_and_look(torment, people, kills, reloads, moves=0.0):
    begun_at = time.monotonic()
    torture(torment, people, kills, reloads, moves)
    tortured_for = time.monotonic() - begun_at
    torment.finish(seconds=180)
    assert_aftermath(torment)
    begun, ended = assert_nothing_done_twice(torment)
    sys.stdout.write(
        f"{sum(torment.kills.values())} kills {dict(torment.kills)} in {tortured_for:.0f} s, "
        f"{len(torment.inputs)} pictures at the end, {len(torment.contents)} contents, {dict(torment.happened)}, "
        f"{begun} renders begun, {ended} ended\n"
    )


@pytest.mark.timeout(900)
@pytest.mark.parametrize("apart", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_death_before_every_single_step(tmp_path, apart):
    """One picture's way, cut off before each durable step in turn: it is put into place once, and nothing is left."""
    script = Path(__file__).with_name("every_step.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path), *(["apart"] if apart else [])],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False, timeout=850,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    sys.stdout.write(f"{told['steps']} steps\n")
    assert told["wrong"] == []
    assert told["deaths"] == told["steps"]
    (promised,) = re.findall(r"each of at least (\d+) durable steps", RELIABILITY.read_text("utf-8"))
    assert told["steps"] >= int(promised) >= 40


@pytest.mark.timeout(600)
def test_ten_kills_lose_and_double_nothing(torment):
    """After ten kills at random moments and steps every picture is published once, whole, and nothing is left over."""
    _torture_and_look(torment, People(torment, 1), kills=10, reloads=1)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_fifty_kills_while_sidecars_get_another_folder_and_back(tmp_path):
    """The same with the sidecars in a folder of their own, and beside their pictures again, from start to start."""
    torment = Torment(tmp_path, apart=True)
    try:
        _torture_and_look(torment, People(torment, 5), kills=50, reloads=2, moves=0.4)
    finally:
        torment.end()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_sidecars_that_are_somebodys_are_kept(torment):
    """A true sidecar that a person put at a name, or changed beside a published picture, is kept like any file."""
    people = People(torment, 4, (a_true_sidecar,))
    _torture_and_look(torment, people, kills=6, reloads=0)


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_five_hundred_kills_lose_and_double_nothing(torment):
    """The same with five hundred kills over some hundred pictures of every format."""
    _torture_and_look(torment, People(torment, 2), kills=500, reloads=12, moves=0.08)
    happened = torment.happened
    done = ("edited", "deleted", "retouched", "reloaded", "sidecars moved")
    assert all(happened[what] >= 10 for what in done), happened
    assert all(happened[f"foreign: {make.__name__}"] for make in INTRUDERS), happened


@pytest.mark.timeout(120)
def test_a_picture_whose_worker_is_killed_twice_is_set_aside(tmp_path):
    """With the settings as they come, a picture that a worker died with twice waits for a person, and others go on."""
    torment = Torment(tmp_path, max_deaths=2, seconds=1.0)
    try:
        name, data = picture(3)
        torment.save(f"out/{name}", data)
        torment.start()
        for deaths in (1, 2):
            torment.until(lambda deaths=deaths: sum(rendered_counts(torment.renders)[0].values()) == deaths)
            torment.kill_worker()
            torment.until(lambda deaths=deaths: _deaths(torment, name) == deaths)
        torment.save("out/other.png", picture(17)[1])
        torment.until(lambda: torment.ledger("SELECT 1 FROM jobs WHERE state = 'published'"))
        torment.stop()
        states = {torment.name_of(row): (row["state"], row["published"] is not None) for row in torment.rows()}
        assert states == {f"out/{name}": ("failed", False), "out/other.png": ("published", True)}
    finally:
        torment.end()


def _deaths(torment, name):
    """How many deaths the ledger knows of with a picture."""
    rows = torment.ledger("SELECT deaths, relative FROM placements JOIN jobs ON jobs.id = job_id")
    return next((row["deaths"] for row in rows if os.fsdecode(row["relative"]) == name), 0)


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
        for number in range(14):
            name, data = picture(number)
            torment.save(f"out/{name}", data)
            if number < 4:
                continue
            torment.start()
            time.sleep(rng.uniform(1.0, 12.0))
            if number % 3 == 0 and torment.kill_worker():
                time.sleep(rng.uniform(0.0, 6.0))
            torment.kill()
        torment.finish(seconds=600)
        assert_aftermath(torment)
    finally:
        torment.end()
