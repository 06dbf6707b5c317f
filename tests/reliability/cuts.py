"""Daemons' lives on a disk that loses what was not synced, and what must hold of whatever a power cut leaves."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path, PurePath

from shaded.daemon.instance import LEDGER_NAME
from shaded.errors import ShadedError
from shaded.publishing.sidecar import parse_sidecar
from shaded.settings import Folder
from tests.daemon.rig import Rig
from tests.reliability.every_step import RetouchingExecutor
from tests.reliability.pictures import KINDS
from tests.reliability.power import Disk, Killed

PICTURE, COPY = "a/b/fox.png", "c/fox copy.png"
FIRST, SECOND = KINDS["see-through.png"](1), KINDS["see-through.png"](2)
THEIRS = b"somebody's"
OUT, PUB, PRIVATE = "pictures/out", "web/pub", "private/sidecars"
SIDECAR = ".shaded.json"
ROWS = "SELECT published, published_sha256 FROM placements WHERE published IS NOT NULL"
DONE = "SELECT sha256 FROM jobs WHERE state IN ('rendered', 'published')"


def sha(data):
    """A content's SHA-256."""
    return hashlib.sha256(data).hexdigest()


def daemon(base, executor, *, apart):
    """A daemon whose folders lie in folders of which none is synced with another; ``apart``: the sidecars', too."""
    folder = Folder(outbox=base / OUT, publish=base / PUB)
    sidecars = base / PRIVATE if apart else None
    return Rig(base, executor=executor, folders=(folder,), sidecars=sidecars, retry_seconds=0.0)


def sidecar_of(path, base, *, apart):
    """Where the sidecar of a published picture stands, both as paths below ``base``."""
    return f"{PRIVATE}{base}/{path}{SIDECAR}" if apart else path + SIDECAR


class Life:
    """A daemon over ``base``, which need not be there, on a watched disk.

    Args:
        base: Where outbox, publish and state folder are; moved nowhere, since the ledger knows paths.
        apart: Whether the sidecars have a folder of their own.
        options: See :class:`Disk`.
    """

    def __init__(self, base, *, apart=False, **options):
        shutil.rmtree(base, ignore_errors=True)
        self.apart = apart
        for folder in (OUT, PUB, PRIVATE):
            (base / folder).parent.mkdir(parents=True)
        self.base = base
        self.saved = {}
        self.theirs = {}
        self.executor = RetouchingExecutor(None)
        self.rig = None
        self.disk = Disk(base, base / "state" / LEDGER_NAME, told=self.told, **options)

    def told(self):
        """What is known by now."""
        return {"saved": dict(self.saved), "theirs": dict(self.theirs), "apart": self.apart}

    def start(self):
        """A daemon starts; once more after it was killed."""
        self.close()
        self.executor.held, self.executor.said = [], []
        self.rig = daemon(self.base, self.executor, apart=self.apart)

    def save(self, name, data):
        """A careful program saves a picture: it waits for the disk, and does not rely on the daemon's having done so.

        The folders on the way are its own, the outbox is the daemon's.
        """
        path = self.base / OUT / name
        made = [folder for folder in (path.parent, *path.parents) if folder.is_relative_to(self.base / OUT)]
        for folder in reversed(made[:-1]):
            folder.mkdir(exist_ok=True)
            _sync(folder.parent)
        before = self.saved.get(name, (None,))
        if before == (data,):
            return
        self.saved[name] = (*before, data)
        _write(path.with_name(".saving"), data)
        path.with_name(".saving").rename(path)
        _sync(path.parent)
        self.saved[name] = (data,)
        self.rig.observers[0].see(path)

    def outputs(self):
        """The hashes of everything that was rendered."""
        return set(self.executor.outputs)

    def close(self):
        """The end."""
        if self.rig is not None:
            self.rig.close()
        self.rig = None


def _sync(folder):
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(path, data):
    with path.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


# Scenes: each lives until everything is done --------------------------------------------------------------------------


def the_first_picture(life):
    """All folders are made by the daemon, and then a picture is saved."""
    if life.rig is None:
        life.start()
    life.save(PICTURE, FIRST)
    life.rig.settle(10)


def _established(life):
    life.start()
    life.save(PICTURE, FIRST)
    life.rig.settle(10)
    _write(life.base / PUB / "theirs.png", THEIRS)
    life.theirs[f"{PUB}/theirs.png"] = THEIRS
    life.disk.all_is_safe()


def a_newer_version(life):
    """A published picture is saved again, and the newer copy takes the older one's place."""
    life.save(PICTURE, SECOND)
    life.rig.settle(10)


def the_same_elsewhere(life):
    """A picture that was published, and whose result is not in staging any more, lies at another place, too."""
    life.save(COPY, FIRST)
    life.rig.settle(10)


def somebodys_name(life):
    """Somebody's file has the name, so that another is taken."""
    if not life.theirs.get(f"{PUB}/{COPY}"):
        (life.base / PUB / "c").mkdir()
        _write(life.base / PUB / COPY, THEIRS)
        life.theirs[f"{PUB}/{COPY}"] = THEIRS
        life.disk.all_is_safe()
    the_same_elsewhere(life)


def _established_apart(life):
    _established(life)
    life.apart = True


def with_the_sidecar_elsewhere(life):
    """From the next start on the sidecars have a folder of their own, and a newer version comes."""
    life.start()
    a_newer_version(life)


SCENES = {
    "the first picture": (None, the_first_picture, False),
    "a newer version": (_established, a_newer_version, False),
    "the same elsewhere": (_established, the_same_elsewhere, False),
    "somebody's name": (_established, somebodys_name, False),
    "the first picture, sidecars apart": (None, the_first_picture, True),
    "a newer version, sidecars apart": (_established, a_newer_version, True),
    "somebody's name, sidecars apart": (_established, somebodys_name, True),
    "a newer version, sidecars apart from then on": (_established_apart, with_the_sidecar_elsewhere, False),
}


def cut_life(base, scene, **options):
    """Live a scene; the life, with a moment for each call that changed or synced something."""
    prepare, act, apart = SCENES[scene]
    life = Life(base, apart=apart, **options)
    with life.disk:
        if prepare:
            prepare(life)
        act(life)
        life.disk.moment("at the end")
    life.close()
    return life


def killed_life(base, scene, step, **options):
    """The same with a daemon that is killed before its ``step``-th call, and another; only the end has a moment.

    Without a life that is so long: ``None``.
    """
    prepare, act, apart = SCENES[scene]
    life = Life(base, apart=apart, keep=False, **options)
    with life.disk:
        if prepare:
            prepare(life)
        life.disk.die_at = step
        try:
            act(life)
        except Killed:
            life.close()
            life.disk.revive()
            life.start()
            act(life)
            life.disk.keep = True
            life.disk.moment(f"at the end, after a kill before step {step}")
    life.close()
    return life if life.disk.moments else None


def faults_after_an_error(base, scene, call):
    """What is wrong after the next start when the disk was full at one call only; ``None``: there are fewer calls.

    Where the error ends a start, the service manager starts it again.
    """
    prepare, act, apart = SCENES[scene]
    life = Life(base, apart=apart, keep=False)
    with life.disk:
        if prepare:
            prepare(life)
        life.disk.fail_at = call
        try:
            act(life)
        except ShadedError:
            life.close()
            act(life)
        failed = life.disk.calls >= call
        life.start()  # a file that could not be removed is removed now
        life.rig.settle(10)
    life.close()
    told = life.told()
    return list(_faults_at_the_end(base, told, list(life.saved))) if failed else None


# What must hold -------------------------------------------------------------------------------------------------------


def _sidecar_in(image, path, told, base):
    """What a power cut left of a published picture's sidecar; of one that was beside it, if it has none apart yet."""
    apart = image.data(sidecar_of(path, base, apart=True)) if told["apart"] else None
    return parse_sidecar(apart or image.data(path + SIDECAR) or b"")


def faults_at_once(image, told, outputs, base):
    """What is wrong with what a power cut left, before any daemon looks at it; sentences."""
    for name, versions in told["saved"].items():
        if image.data(f"{OUT}/{name}") not in versions:
            yield f"the original {name} is lost or damaged"
    for path, data in told["theirs"].items():
        if image.data(path) != data:
            yield f"somebody's {path} has changed"
    for path in image.found:
        name = PurePath(path).name
        ours = path.startswith(f"{PUB}/") and path not in told["theirs"] and not name.startswith(".~")
        if ours and image.found[path] is not None and not name.endswith(SIDECAR):
            if sha(image.data(path) or b"") not in outputs:
                yield f"{path} is not whole"
            try:
                if _sidecar_in(image, path, told, base).published.name != name:
                    yield f"{path} has another picture's sidecar"
            except ShadedError:
                yield f"{path} has no whole sidecar"


def broken_promises(image, told, base):
    """Copies of which the ledger says wrongly that they are published."""
    for published, sha256 in image.rows(ROWS):
        path = str(Path(os.fsdecode(published)).relative_to(base))
        data = image.data(path)
        if data is None or sha(data) != sha256:
            yield f"the ledger says that {path} is published"
            continue
        try:
            if _sidecar_in(image, path, told, base).published.sha256 != sha256:
                yield f"the ledger says that {path} is published, and its sidecar is another's"
        except ShadedError:
            yield f"the ledger says that {path} is published, and its sidecar is not whole"


def faults_later(image, told, base, secret):
    """What is wrong when the next daemon has done its work on what a power cut left; sentences."""
    shutil.rmtree(base, ignore_errors=True)
    image.lay_out(base, base / "state" / LEDGER_NAME)
    executor = RetouchingExecutor(None)
    try:
        rig = daemon(base, executor, apart=told["apart"])
    except ShadedError as error:
        yield f"the next daemon does not start: {error}"
        return
    try:
        rig.settle(10)
    finally:
        rig.close()
    yield from _faults_at_the_end(base, told, [name for name in told["saved"] if image.data(f"{OUT}/{name}")])
    done = {sha256 for (sha256,) in image.rows(DONE)}
    again = [task.name for task in executor.submitted if task.sha256 in done]
    if again:
        yield f"{again} was rendered once more, although the ledger said that it was done"
    if len(executor.submitted) > len(told["saved"]):
        yield f"there were {len(executor.submitted)} renders"
    if done and any(task.secret != secret for task in executor.submitted):
        yield "the secret is another"


def _faults_at_the_end(base, told, names):
    files = (path for folder in (PUB, PRIVATE) for path in (base / folder).rglob("*") if not path.is_dir())
    found = {str(path.relative_to(base)) for path in files}
    expected = {f"{PUB}/{_published(name, told)}" for name in names}
    sidecars = {path: sidecar_of(path, base, apart=told["apart"]) for path in expected}
    # What was published before the sidecars got another folder keeps its own where it is.
    kept = {path: path + SIDECAR for path in expected if path + SIDECAR in found and sidecars[path] not in found}
    sidecars |= kept
    if found != expected | set(sidecars.values()) | set(told["theirs"]):
        yield f"the publish folder has {sorted(found)}"
        return
    for name in names:
        source, target = base / OUT / name, base / PUB / _published(name, told)
        data = target.read_bytes()
        stated = parse_sidecar((base / sidecars[f"{PUB}/{_published(name, told)}"]).read_bytes())
        if (stated.published.sha256, stated.source.sha256) != (sha(data), sha(source.read_bytes())):
            yield f"{name} and its sidecar do not belong together"
        if target.stat().st_nlink != 1:
            yield f"{name} has {target.stat().st_nlink} names"
    for path, data in told["theirs"].items():
        if (base / path).read_bytes() != data:
            yield f"somebody's {path} has changed"
    if list((base / "state" / "staging").iterdir()):
        yield "something is left in staging"


def _published(name, told):
    path = PurePath(name)
    return str(path.with_name(f"{path.stem} (shaded){path.suffix}")) if f"{PUB}/{name}" in told["theirs"] else name


class Judge:
    """Looks at all that a power cut could leave of a life; what was seen once is not looked at again.

    Args:
        life: A life that was lived.
        seed: Decides what is looked at where there is too much.
        chances: How much is looked at then.
        daemons: On so many disks of each moment the next daemon is started; 0: on all.
    """

    def __init__(self, life, *, seed=0, chances=6, daemons=0):
        self.life = life
        self.looked = 0
        self._seed, self._chances, self._daemons = seed, chances, daemons
        self._secret = life.executor.submitted[0].secret

    def _images(self):
        """Every possible folder once, the latest first: its moment, and whether a daemon is started on it."""
        seen = set()
        for moment in reversed(self.life.disk.moments):
            fresh = 0
            for image in moment.images(self._seed, self._chances):
                key = image.key()
                if key not in seen:
                    seen.add(key)
                    fresh += 1
                    yield moment, image, fresh <= (self._daemons or fresh)

    def faults(self):
        """Each fault with the moment of the cut: first all that can be seen without a daemon."""
        base, outputs = self.life.base, self.life.outputs()
        for moment, image, _ in self._images():
            self.looked += 1
            told = moment.told
            for fault in (*faults_at_once(image, told, outputs, base), *broken_promises(image, told, base)):
                yield f"{moment.where}: {fault}"
        for moment, image, started in self._images():
            if started:
                for fault in faults_later(image, moment.told, base, self._secret):
                    yield f"{moment.where}: {fault}"
