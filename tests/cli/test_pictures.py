"""``run --once``, ``shade`` and ``verify``, with a worker that copies."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from shaded.cli import shading, verifying
from shaded.daemon import executors
from shaded.daemon.audience import Nobody
from shaded.publishing.sidecar import is_own_output, read_sidecar, sidecar_path
from shaded.settings import Profile, Shading, load_settings
from tests.daemon.rig import FakeExecutor, png

pytestmark = pytest.mark.real_process


@pytest.fixture
def quick(monkeypatch):
    """Files settle at once."""
    monkeypatch.setenv("SHADED_WATCHING__QUIET_SECONDS", "0.2")


def _outbox(tmp_path, **pictures):
    folder = tmp_path / "out"
    folder.mkdir()
    for name, data in pictures.items():
        (folder / f"{name}.png").write_bytes(data)
    return folder


def test_once_publishes_and_prints_a_table(shaded, fake_engine, quick, tmp_path):
    """Run --once publishes what is there, prints one row for each picture, and exits with 0."""
    outbox = _outbox(tmp_path, fox=png(1), wolf=png(2))
    code, out, _ = shaded("run", "--once", "--outbox", outbox, "--publish", tmp_path / "pub")
    assert code == 0
    assert is_own_output(tmp_path / "pub" / "fox.png")
    assert out.splitlines()[-1] == "2 published."
    row = next(line for line in out.splitlines() if "fox.png" in line)
    assert "cow -> handbag" in row
    assert "0.25" in row


def test_once_names_what_was_refused(shaded, fake_engine, quick, tmp_path):
    """Run --once exits with 3 and gives the reason when a picture is refused; a second run says so again."""
    outbox = _outbox(tmp_path, fox=png(1), refuse=png(2), fake=b"this is text")
    words = ("run", "--once", "--outbox", outbox, "--publish", tmp_path / "pub")
    for expected in ("1 published, 2 refused.", "2 refused."):
        code, out, _ = shaded(*words)
        assert code == 3
        assert out.splitlines()[-1] == expected
        assert "it is animated. Save one frame of it" in out


def test_once_tells_what_is_put_off(shaded, fake_engine, quick, tmp_path):
    """Run --once does not wait an hour for a full disk: the picture is listed as waiting, and the exit code is 3."""
    outbox = _outbox(tmp_path, busy=png(1))
    code, out, _ = shaded("run", "--once", "--outbox", outbox, "--publish", tmp_path / "pub")
    assert code == 3
    assert out.splitlines()[-1] == "1 waiting."
    assert "the disk is full" in out


def test_one_folder_alone_needs_the_settings(shaded, tmp_path):
    """--outbox without --publish is wrong usage unless the settings have exactly one folder."""
    code, _, err = shaded("run", "--outbox", tmp_path / "out")
    assert code == 2
    assert "--publish" in err


def test_no_folder_is_a_configuration_error(shaded):
    """Run without any folder exits with 78 and says where to write one."""
    code, _, err = shaded("run", "--once")
    assert code == 78
    assert "[[folder]]" in err


def test_shade_publishes_into_the_folder(shaded, fake_engine, tmp_path):
    """Shade publishes each picture with its sidecar and tells about each as JSON."""
    outbox = _outbox(tmp_path, fox=png(1), refuse=png(2))
    code, out, _ = shaded("shade", outbox / "fox.png", outbox / "refuse.png", "--out", tmp_path / "pub", "--json")
    assert code == 3
    fox, refused = json.loads(out)["pictures"]
    assert (fox["outcome"], fox["published"]) == ("published", str(tmp_path / "pub" / "fox.png"))
    assert fox["summary"]["pull"] == 0.25
    assert (refused["outcome"], refused["reason"]) == ("refused", "it is animated")
    assert is_own_output(tmp_path / "pub" / "fox.png")


def test_shade_prints_a_table(shaded, fake_engine, tmp_path):
    """Without --json shade prints the table and the count."""
    outbox = _outbox(tmp_path, fox=png(1))
    code, out, _ = shaded("shade", outbox / "fox.png", "--out", tmp_path / "pub")
    assert code == 0
    assert out.splitlines()[-1] == "1 published."


def test_shade_has_several_pictures_under_way(shaded, fake_engine, tmp_path, monkeypatch):
    """The daemon's workers do it, as many at once as the settings allow; the rows stay in order."""
    opened, at_once, open_pool = [], [], executors.open_pool

    def watched(*words, **more):
        pool = open_pool(*words, **more)
        submit = pool.submit

        def noting(batch):
            submit(batch)
            at_once.append(sum(executor.busy for executor in pool.executors))

        monkeypatch.setattr(pool, "submit", noting)
        opened.append(pool)
        return pool

    monkeypatch.setattr(executors, "open_pool", watched)
    monkeypatch.setenv("SHADED_SCHEDULING__WORKERS", "2")
    names = ["a", "b-slow", "c-slow", "d"]
    outbox = _outbox(tmp_path, **{name: png(number) for number, name in enumerate(names)})
    sources = [outbox / f"{name}.png" for name in names]
    code, out, _ = shaded("shade", *sources, "--out", tmp_path / "pub", "--json")
    assert code == 0
    assert [row["path"] for row in json.loads(out)["pictures"]] == [str(source) for source in sources]
    assert max(at_once) == 2
    assert not opened[0].busy


def _job(tmp_path, **profile):
    return shading.Job(Profile(**profile), tmp_path / "pub", load_settings(), named=bool(profile.get("concept")))


def test_shading_twice_replaces_only_ours(tmp_path):
    """The same picture again replaces its result; another picture of the same name, and a stranger's file, are kept."""
    one, two = tmp_path / "one" / "fox.png", tmp_path / "two" / "fox.png"
    for path, data in ((one, png(1)), (two, png(2))):
        path.parent.mkdir()
        path.write_bytes(data)
    for source in (one, one, two):
        shading.shade_pictures(_job(tmp_path), [source], _drivable(), Nobody())
    names = sorted(path.name for path in (tmp_path / "pub").glob("*.png"))
    assert names == ["fox (shaded).png", "fox.png"]
    stranger = tmp_path / "pub" / "wolf.png"
    stranger.write_bytes(b"precious")
    wolf = tmp_path / "wolf.png"
    wolf.write_bytes(png(3))
    (row,) = shading.shade_pictures(_job(tmp_path), [wolf], _drivable(), Nobody())
    assert row.published.name == "wolf (shaded).png"
    assert stranger.read_bytes() == b"precious"


class _Driven(FakeExecutor):
    def submit(self, batch):
        super().submit(batch)
        self.busy_once = True


def _drivable():
    return _Driven()


def test_the_command_line_names_the_concept(tmp_path):
    """--concept and the other choices reach the engine, and the concept is known to come from the command line."""
    fox = tmp_path / "fox.png"
    fox.write_bytes(png(1))
    executor = _drivable()
    job = _job(tmp_path, concept="fox", target="boat", intensity="high", quality="fast")
    shading.shade_pictures(job, [fox], executor, Nobody())
    (task,) = executor.submitted
    assert task.profile.concept == "fox"
    assert (task.profile.target, task.profile.intensity, task.profile.quality) == ("boat", "high", "fast")
    assert task.concept_origin == "command"


@pytest.mark.parametrize(("targets", "length"), [("shared", 0), ("own", 32)])
def test_the_secret_goes_to_the_worker_only_where_targets_are_ones_own(tmp_path, targets, length):
    """The engine chooses the target that all share, unless the settings say otherwise."""
    fox = tmp_path / "fox.png"
    fox.write_bytes(png(1))
    executor = _drivable()
    job = _job(tmp_path)
    own = job.settings.model_copy(update={"shading": Shading(targets=targets)})
    shading.shade_pictures(replace(job, settings=own), [fox], executor, Nobody())
    assert len(bytes.fromhex(executor.submitted[0].secret)) == length


def test_a_dead_worker_is_a_failed_picture(tmp_path):
    """When the worker dies the picture has failed with the reason, and the next one is shaded."""
    executor = _drivable()
    executor.deadly = "evil"
    sources = [tmp_path / "evil.png", tmp_path / "fox.png"]
    for number, source in enumerate(sources):
        source.write_bytes(png(number))
    evil, fox = shading.shade_pictures(_job(tmp_path), sources, executor, Nobody())
    assert (evil.outcome, evil.reason) == ("failed", "killed by a test")
    assert fox.outcome == "published"


def test_verify_finds_the_originals_in_the_ledger(shaded, fake_engine, quick, tmp_path):
    """Verify takes files, folders and sidecars, asks the ledger for originals, and exits with 0 when all is kept."""
    outbox = _outbox(tmp_path, fox=png(1), wolf=png(2))
    shaded("run", "--once", "--outbox", outbox, "--publish", tmp_path / "pub")
    everything = sorted((tmp_path / "pub").iterdir())
    code, out, _ = shaded("verify", *everything, "--json")
    assert code == 0
    files = json.loads(out)["files"]
    assert [file["path"] for file in files] == [str(tmp_path / "pub" / name) for name in ("fox.png", "wolf.png")]
    assert [file["measured"]["original"] for file in files] == [str(outbox / name) for name in ("fox.png", "wolf.png")]
    code, out, _ = shaded("verify", tmp_path / "pub")
    assert (code, out.splitlines()[-1]) == (0, "2 of 2 keep their word.")


def test_verify_names_what_does_not_keep_its_word(shaded, fake_engine, tmp_path):
    """A file with a problem is named, and the exit code is 3."""
    (tmp_path / "alone.png").write_bytes(png())
    code, out, _ = shaded("verify", tmp_path / "alone.png")
    assert code == 3
    assert "there is no sidecar" in out


def test_verify_needs_pictures(shaded, tmp_path):
    """Nothing to verify, and one original for two pictures, are wrong usage."""
    assert shaded("verify", tmp_path)[0] == 2
    (tmp_path / "c.png").write_bytes(png())
    assert shaded("verify", tmp_path / "a.png", tmp_path / "b.png", "--original", tmp_path / "c.png")[0] == 2


def test_a_folder_stands_for_its_pictures_with_sidecars(tmp_path):
    """Only pictures with a sidecar are taken from a folder, at any depth."""
    for name in (
        "b.png",
        "b.png.shaded.json",
        "sub/a.png",
        "sub/a.png.shaded.json",
        "loose.png",
        "lost.png.shaded.json",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    found = [path.relative_to(tmp_path) for path in verifying.published_pictures([tmp_path])]
    assert sorted(str(path) for path in found) == ["b.png", "sub/a.png"]


def test_sidecars_say_the_sources_name(shaded, fake_engine, tmp_path):
    """The sidecar of a shaded picture states its source's name and bytes."""
    outbox = _outbox(tmp_path, fox=png(1))
    shaded("shade", outbox / "fox.png", "--out", tmp_path / "pub")
    stated = read_sidecar(sidecar_path(tmp_path / "pub" / "fox.png"))
    assert (stated.source.name, stated.source.bytes) == ("fox.png", len(png(1)))


def test_a_result_under_another_name_is_replaced_too(shaded, tmp_path, fake_engine):
    """Beside somebody's picture a second shading takes the place of the first, and not a third name."""
    source, out = tmp_path / "fox.png", tmp_path / "pub"
    source.write_bytes(png())
    out.mkdir()
    (out / "fox.png").write_bytes(b"somebody's")
    for _ in range(2):
        assert shaded("shade", source, "--out", out)[0] == 0
    assert sorted(path.name for path in out.glob("*.png")) == ["fox (shaded).png", "fox.png"]


@pytest.mark.parametrize("option", ["--concept", "--target"])
def test_a_word_that_is_no_text_is_wrong_usage(shaded, tmp_path, option):
    """What a terminal of another encoding sends cannot be told to a worker, and says so before anything is made."""
    (tmp_path / "fox.png").write_bytes(b"not looked at")
    code, _, err = shaded("shade", tmp_path / "fox.png", "--out", tmp_path / "copies", option, "k\udcfc")
    assert code == 2
    assert f"{option}: it is not valid UTF-8" in err
    assert not (tmp_path / "copies").exists()
