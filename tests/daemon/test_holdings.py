"""What is this program's own: foreign folders are refused untouched, and only what is proven is ever removed."""

from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from shaded.cli import checking
from shaded.clock import SystemClock
from shaded.daemon import holdings
from shaded.daemon.assembly import prepare_folders, run_daemon
from shaded.daemon.holdings import STAGING_MARKER, STATE_MARKER, make_job_folder, remove_staged, staging_to_itself
from shaded.daemon.instance import LEDGER_NAME, LOCK_NAME, is_locked, lock_owner, only_instance
from shaded.daemon.recovering import recover
from shaded.errors import AlreadyRunning, ConfigurationError, Transient, Unavailable
from shaded.ledger import Ledger
from shaded.settings import Folder, Publishing, load_settings
from tests.daemon.rig import Rig, png


def settings_for(base, state="state", staging=None):
    folder = Folder(outbox=base / "out", publish=base / "pub")
    return load_settings(folder=(folder,), state_dir=base / state, publishing=Publishing(staging=staging))


def picture_years(folder):
    """A person's folder with years of pictures; every path in it with its mode and bytes."""
    for year in ("2023", "2024", "77", "publish-5", "shaded-job-3"):
        (folder / year).mkdir(parents=True)
        (folder / year / "fox.png").write_bytes(png(int(year[-1])))
    folder.chmod(0o755)
    return everything(folder)


def everything(folder):
    return {
        path: (path.lstat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in (folder, *sorted(folder.rglob("*")))
    }


@pytest.mark.parametrize("key", ["state_dir", "publishing.staging"])
def test_a_folder_of_pictures_is_refused_and_stays_as_it_is(tmp_path, key):
    """As state or staging it is refused with the key, before anything is made; check says the same."""
    theirs = tmp_path / "Pictures"
    before = picture_years(theirs)
    settings = settings_for(tmp_path, "Pictures") if key == "state_dir" else settings_for(tmp_path, staging=theirs)
    with pytest.raises(ConfigurationError, match=rf"{key}.*other things") as caught:
        run_daemon(settings, once=True)
    assert caught.value.exit_code == 78
    assert any(key in problem and "other things" in problem for problem in checking.folder_problems(settings))
    assert everything(theirs) == before
    assert [path.name for path in tmp_path.iterdir()] == ["Pictures"]


@pytest.mark.parametrize("inside", [(), ("lost+found",)])
def test_an_empty_folder_is_taken_and_its_permissions_stay(tmp_path, inside):
    """Empty folders, and fresh disks, become state and staging; their modes are their owner's business."""
    for name in ("state", "staging"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o755)
        for each in inside:
            (tmp_path / name / each).mkdir()
    settings = settings_for(tmp_path, staging=tmp_path / "staging")
    for _ in range(2):
        prepare_folders(settings)
    assert (tmp_path / "state" / STATE_MARKER).is_file()
    assert (tmp_path / "staging" / STAGING_MARKER).is_file()
    assert stat.S_IMODE((tmp_path / "staging").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o755
    assert stat.S_IMODE(settings.staging_dir.stat().st_mode) == 0o700
    assert settings.staging_dir.parent == tmp_path / "staging"


def test_what_somebody_puts_into_our_staging_folder_later_stays(tmp_path, monkeypatch):
    """A folder that was taken is used on with other things in it, and none of these is ever touched."""
    monkeypatch.setenv("SHADED_PUBLISHING__STAGING", str(tmp_path / "staging"))
    rig = Rig(tmp_path)
    shutil.rmtree(tmp_path / "Pictures", ignore_errors=True)
    before = picture_years(tmp_path / "Pictures")
    for path in (tmp_path / "Pictures").iterdir():
        shutil.copytree(path, tmp_path / "staging" / path.name)
    rig.put("fox.png")
    rig.settle()
    rig.restart()
    assert rig.published() == ["fox.png"]
    for path, (_, data) in before.items():
        copy = tmp_path / "staging" / path.relative_to(tmp_path / "Pictures")
        assert copy.exists()
        assert copy.is_dir() or copy.read_bytes() == data
    rig.close()


def test_a_file_in_the_place_of_an_outbox_leaves_no_litter(tmp_path):
    """What is refused is refused before any folder is made."""
    (tmp_path / "pub").write_text("mine")
    with pytest.raises(ConfigurationError, match=r"folder\.0\.publish"):
        prepare_folders(settings_for(tmp_path))
    with pytest.raises(ConfigurationError, match="no folder is watched"):
        run_daemon(load_settings(state_dir=tmp_path / "state"), once=True)
    assert [path.name for path in tmp_path.iterdir()] == ["pub"]


@pytest.mark.parametrize("kind", ["folder", "link", "file"])
def test_nothing_else_can_stand_in_the_subfolders_place(tmp_path, kind):
    """A ``shaded-jobs`` that shaded did not make makes the whole folder somebody else's."""
    jobs = tmp_path / "staging" / "shaded-jobs"
    jobs.parent.mkdir()
    (tmp_path / "elsewhere").mkdir()
    if kind == "folder":
        jobs.mkdir()
    elif kind == "link":
        jobs.symlink_to(tmp_path / "elsewhere")
    else:
        jobs.write_text("mine")
    with pytest.raises(ConfigurationError, match=r"publishing\.staging"):
        prepare_folders(settings_for(tmp_path, staging=tmp_path / "staging"))
    assert not (tmp_path / "state").exists()


def test_staging_in_the_state_folder_is_no_link(tmp_path):
    """Where finished pictures wait is never reached through a link, which could lead to anything."""
    prepare_folders(settings_for(tmp_path))
    (tmp_path / "state" / "staging").rmdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "state" / "staging").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="a link stands"):
        prepare_folders(settings_for(tmp_path))


@pytest.mark.parametrize("staging", ["state", "state/staging", "state/other", "."])
def test_staging_may_lie_in_the_state_folder_or_around_it(tmp_path, staging):
    """Overlapping state and staging folders are both used, at the first start and later."""
    settings = settings_for(tmp_path, "disk/state", tmp_path / "disk" / staging)
    for _ in range(2):
        prepare_folders(settings)
        assert make_job_folder(settings, "1").is_dir()


# Two daemons --------------------------------------------------------------------------------------------------------


def test_two_state_folders_do_not_share_a_staging_folder(tmp_path):
    """The second daemon is refused with the first one's state folder in the message, whether that runs or not."""
    first = settings_for(tmp_path, "one", tmp_path / "staging")
    prepare_folders(first)
    second = settings_for(tmp_path, "two", tmp_path / "staging")
    with pytest.raises(ConfigurationError, match=r"belongs to the daemon.*/one") as caught:
        prepare_folders(second)
    assert not (tmp_path / "two").exists()
    assert "delete shaded-jobs and .shaded-staging" in caught.value.remedy
    (tmp_path / "staging" / "shaded-jobs").rmdir()
    (tmp_path / "staging" / STAGING_MARKER).unlink()
    prepare_folders(second)


def test_a_moved_state_folder_keeps_its_staging_folder(tmp_path):
    """The owner is known by its identity, so that moving the state folder changes nothing; so is one made anew."""
    prepare_folders(settings_for(tmp_path, "one", tmp_path / "staging"))
    (tmp_path / "one").rename(tmp_path / "two")
    prepare_folders(settings_for(tmp_path, "two", tmp_path / "staging"))
    prepare_folders(settings_for(tmp_path, "one", tmp_path / "staging"))


def _hold(base, ready, end):
    with staging_to_itself(settings_for(base, staging=base / "staging")):
        ready.set()
        end.wait(20)


@pytest.mark.real_process
def test_a_copied_state_folder_does_not_share_a_running_daemons_staging(tmp_path):
    """Even with the same identity a second process is kept out, for as long as the first one lives."""
    settings = settings_for(tmp_path, staging=tmp_path / "staging")
    prepare_folders(settings)
    context = multiprocessing.get_context("spawn")
    ready, end = context.Event(), context.Event()
    holder = context.Process(target=_hold, args=(tmp_path, ready, end))
    holder.start()
    assert ready.wait(20)
    with pytest.raises(AlreadyRunning, match=r"publishing\.staging"), staging_to_itself(settings):
        pass
    end.set()
    holder.join(20)
    with staging_to_itself(settings):
        pass


@pytest.mark.parametrize("kind", ["folder", "link", "pipe", "dangling", "theirs"])
def test_whatever_stands_in_the_locks_place_one_daemon_has_the_folder(tmp_path, kind):
    """Where no lock file can be, the folder itself is locked; links are not followed, and nothing is changed there."""
    place, theirs = tmp_path / "daemon.lock", tmp_path / "theirs.txt"
    theirs.write_text("a person's words")
    if kind == "folder":
        place.mkdir()
    elif kind == "pipe":
        os.mkfifo(place)
    elif kind == "theirs":
        (tmp_path / "daemon.pid").symlink_to(theirs)
    else:
        place.symlink_to(theirs if kind == "link" else tmp_path / "nowhere")
    assert not is_locked(tmp_path)
    with only_instance(tmp_path):
        assert is_locked(tmp_path)
        with pytest.raises(AlreadyRunning), only_instance(tmp_path):
            pass
    assert not is_locked(tmp_path)
    assert theirs.read_text() == "a person's words"
    assert not (tmp_path / "nowhere").exists()


def test_the_process_id_of_an_earlier_version_is_still_read(tmp_path):
    """A daemon of an earlier version that holds the lock is named by the file that it wrote."""
    (tmp_path / "daemon.pid").write_text("4711\n")
    assert lock_owner(tmp_path) == 4711


# Earlier versions ---------------------------------------------------------------------------------------------------


def test_an_earlier_versions_state_folder_is_known(tmp_path):
    """Without a marker its ledger tells, also where a person keeps a note beside it."""
    state = tmp_path / "state"
    Ledger.open(state / LEDGER_NAME, SystemClock()).close()
    (state / "note.txt").write_text("do not delete")
    prepare_folders(settings_for(tmp_path))
    assert (state / STATE_MARKER).exists()
    assert (state / "note.txt").exists()


def test_another_programs_database_does_not_make_a_folder_ours(tmp_path):
    """A file of the ledger's name with other tables proves nothing where other things lie beside it."""
    (tmp_path / "state").mkdir()
    with closing(sqlite3.connect(tmp_path / "state" / LEDGER_NAME)) as connection:
        connection.execute("CREATE TABLE songs (name)")
    (tmp_path / "state" / "song.mp3").touch()
    with pytest.raises(ConfigurationError, match="other things"):
        prepare_folders(settings_for(tmp_path))


@pytest.mark.parametrize("named", [False, True])
def test_a_result_that_an_earlier_version_staged_is_published(tmp_path, monkeypatch, named):
    """It is found at the path that the ledger has, is published without being shaded again, and is cleared away."""
    if named:
        monkeypatch.setenv("SHADED_PUBLISHING__STAGING", str(tmp_path / "staging"))
    old = (tmp_path if named else tmp_path / "state") / "staging"
    rig = Rig(tmp_path)
    monkeypatch.setattr(rig.daemon.delivery, "work", lambda: None)
    rig.put("fox.png")
    rig.settle()
    ((job, _),) = rig.ledger.pending_publications()
    old.mkdir(exist_ok=True)
    shutil.move(job.picture.parent, old / job.id)
    columns = [os.fsencode(old / job.id / path.name) for path in (job.picture, job.sidecar)]
    rig.ledger._connection.execute("UPDATE jobs SET picture = ?, sidecar = ?", columns)
    (tmp_path / "state" / STATE_MARKER).unlink()
    if named:
        (old / STAGING_MARKER).unlink()
        (old / "shaded-jobs").rmdir()
    rig.restart()
    rig.settle(3)
    assert rig.published() == ["fox.png"]
    assert len(rig.executor.submitted) == 1
    assert not (old / job.id).exists()
    rig.close()


# Disks that are away ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [errno.EROFS, errno.ENOSPC, errno.EACCES, errno.EIO, errno.ENODEV, errno.ESTALE])
def test_a_state_disk_that_cannot_be_used_now_is_tried_again_later(tmp_path, monkeypatch, code):
    """What may pass ends the start with a code that every service manager starts again after, never with 78."""

    def mkdir(path, *_args, **_options):
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with pytest.raises(Unavailable, match="state_dir") as caught:
        run_daemon(settings_for(tmp_path), once=True)
    assert caught.value.exit_code == 74


def test_a_ledger_that_cannot_be_opened_now_is_tried_again_later(tmp_path, monkeypatch):
    """A passing error of the ledger at the start has the same code."""

    def refuse(*_arguments, **_options):
        raise Transient("the ledger cannot be written", remedy="Mount it writable")

    monkeypatch.setattr(Ledger, "open", refuse)
    with pytest.raises(Unavailable, match="Mount it writable"):
        run_daemon(settings_for(tmp_path), once=True)


def test_a_staging_disk_that_went_away_is_waited_for(tmp_path):
    """Without its marker the named folder is the mount point of a disk that is away: nothing is made in it."""
    settings = settings_for(tmp_path, staging=tmp_path / "staging")
    prepare_folders(settings)
    (tmp_path / "staging").rename(tmp_path / "away")
    (tmp_path / "staging").mkdir()
    with pytest.raises(Transient, match="missing"):
        make_job_folder(settings, "1")
    assert list((tmp_path / "staging").iterdir()) == []


def test_a_staging_folder_that_cannot_be_listed_does_not_end_the_daemon(tmp_path):
    """Tidying is left for another start."""
    holdings.tidy_staging(tmp_path / "missing", ())
    (tmp_path / "file").touch()
    holdings.tidy_staging(tmp_path / "file", ())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("daemon.lock", b"another program's words"),
        (".shaded-state", b"my notes"),
        ("installation.secret", b"dear diary"),
        ("installation.secret.new", b"dear diary, continued"),
        (".shaded-state.new", b"my notes, continued"),
        ("staging", None),
        ("ledger.sqlite3", "database"),
    ],
)
def test_a_name_alone_makes_nothing_ours(tmp_path, name, content):
    """A state folder whose only thing has one of our names, and is another program's, is refused and stays as it is."""
    state = tmp_path / "state"
    state.mkdir()
    if content is None:
        (state / name).mkdir()
        (state / name / "2023").mkdir()
        (state / name / "2023" / "fox.png").write_bytes(b"precious")
    elif content == "database":
        connection = sqlite3.connect(state / name)
        connection.execute("CREATE TABLE theirs (a)")
        connection.commit()
        connection.close()
    else:
        (state / name).write_bytes(content)
    before = {path: path.is_file() and path.read_bytes() for path in state.rglob("*")}
    settings = settings_for(tmp_path, "state", None)
    for folder in ("out", "pub"):
        (tmp_path / folder).mkdir()
    with pytest.raises(ConfigurationError, match="shaded did not make it"):
        prepare_folders(settings)
    with pytest.raises(ConfigurationError, match="shaded did not make it"):
        recover(settings)
    assert {path: path.is_file() and path.read_bytes() for path in state.rglob("*")} == before


def test_a_file_that_the_lock_is_a_link_to_keeps_its_bytes(tmp_path):
    """The lock holds, and nothing is written into what somebody else may hold under another name."""
    precious = tmp_path / "precious.txt"
    precious.write_bytes(b"a letter")
    state = tmp_path / "state"
    state.mkdir()
    (state / LOCK_NAME).hardlink_to(precious)
    with only_instance(state):
        assert is_locked(state)
    assert precious.read_bytes() == b"a letter"


def test_a_staging_folder_that_may_not_be_looked_into_is_left(tmp_path, monkeypatch):
    """Removing a job's folder fails quietly, since the picture was decided already; the next start tidies."""

    def denied(*_arguments, **_named):
        raise PermissionError(13, "denied")

    folder = tmp_path / "shaded-job-1"
    folder.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(Path, "lstat", denied)
        assert not remove_staged(folder)
    assert remove_staged(folder)
    assert not folder.exists()
