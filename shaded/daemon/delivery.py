"""From a finished result to the publish folders: every place that lacks it gets it."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from shaded import logs
from shaded.clock import Clock
from shaded.daemon.audience import Audience, Finished
from shaded.daemon.backoff import backoff
from shaded.daemon.intake import Source
from shaded.daemon.profiles import profile_of
from shaded.daemon.space import LOOK_SECONDS, Disks
from shaded.errors import PictureError, ShadedError, Transient, from_os_error, policy_of
from shaded.ledger import Job, Ledger, Placement
from shaded.outbox.screening import open_inside
from shaded.publishing.atomic import publish_pair, remove_orphans
from shaded.publishing.naming import published_name, sidecar_name
from shaded.publishing.sidecar import read_sidecar, sidecar_path

logger = logs.get_logger("delivery")

#: What stands in the staging folder: a folder for each job, and one for each copy under way. Nothing else is ours.
_STAGED = re.compile(r"\A(publish-)?[0-9]+\Z")


def file_sha256(path: Path) -> str | None:
    """The hash of a file's bytes, 64 hexadecimal digits; ``None`` where it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return None


def _about_publishing(error: OSError, path: Path) -> PictureError:
    """A file that is gone here is no source that changed, but a staging or publish folder that went away."""
    known = from_os_error(error, path)
    if policy_of(known).outcome == "changed":
        return Transient("a folder went away meanwhile", path=path, remedy="It is tried again by itself")
    return known


class Delivery:
    """Publishes what is finished.

    Args:
        ledger: Says what is finished and where it is missing.
        staging: Where rendered files wait, one folder for each job.
        source_of: The watched folder of an outbox, or ``None`` where it is not watched any more.
        retry_seconds: How long a place is left alone after publishing there failed once; doubled each time.
        disks: Says whether there is room to publish.
        audience: Hears of what was published.
    """

    def __init__(
        self,
        ledger: Ledger,
        staging: Path,
        source_of: Callable[[Path], Source | None],
        *,
        clock: Clock,
        retry_seconds: float,
        disks: Disks,
        audience: Audience,
    ) -> None:
        self._ledger = ledger
        self._staging = staging
        self._source_of = source_of
        self._clock = clock
        self._retry_seconds = retry_seconds
        self._disks = disks
        self._audience = audience
        self._not_before: dict[int, float] = {}
        self._failures: dict[int, int] = {}
        self._troubles: dict[Path, PictureError] = {}
        self._due = True

    @property
    def next_deadline(self) -> float | None:
        """When there is something to do (``Clock.monotonic``)."""
        if self._due:
            return self._clock.monotonic()
        return min(self._not_before.values(), default=None)

    @property
    def troubles(self) -> dict[Path, PictureError]:
        """Sources whose finished copy could not be published yet, and why."""
        return self._troubles

    def note(self) -> None:
        """Something became ready to be published."""
        self._due = True

    def tidy(self, publish_roots: Iterable[Path]) -> None:
        """Remove what a crash left in the staging folder and in the publish folders."""
        for root in set(publish_roots):
            removed = remove_orphans(root)
            if removed:
                logger.info("removed what a crash left", path=str(root), files=removed)
        needed = {path.parent for path in self._ledger.staged_files()}
        for entry in sorted(self._staging.iterdir()):
            if entry in needed or not _STAGED.match(entry.name) or entry.is_symlink() or not entry.is_dir():
                continue
            logger.info("removed what a crash left in staging", path=str(entry))
            shutil.rmtree(entry, ignore_errors=True)

    def work(self) -> None:
        """Publish everything that is ready and not waiting for a failed place to mend."""
        deadline = self.next_deadline
        now = self._clock.monotonic()
        if deadline is None or now < deadline:
            return
        self._due = False
        pending = self._ledger.pending_publications()
        self._forget_all_but([placement for _, placement in pending])
        for job, placement in pending:
            if self._not_before.get(placement.id, now) <= now:
                with logs.about_job(job.id):
                    self._deliver(job, placement)

    def _forget_all_but(self, places: Iterable[Placement]) -> None:
        """Keep no books of places that wait no longer: a daemon runs for months."""
        ids, paths = {place.id for place in places}, {place.path for place in places}
        self._not_before = {i: at for i, at in self._not_before.items() if i in ids}
        self._failures = {i: count for i, count in self._failures.items() if i in ids}
        self._troubles = {path: error for path, error in self._troubles.items() if path in paths}

    def _deliver(self, job: Job, placement: Placement) -> None:
        """Publish one job's result for one place, or note when to try again."""
        source = self._source_of(placement.root)
        if source is None:
            self._not_before[placement.id] = float("inf")  # nobody watches that outbox now
            return
        scratch = self._staging / f"publish-{placement.id}"
        try:
            self._disks.refuse_if_unpublishable(placement.root, job.output_bytes or 0)
        except Transient as error:
            self._wait(placement, error, LOOK_SECONDS)
            return
        try:
            result = self._result(job, scratch)
            if result is None:
                self._ledger.requeue(job.id)
                return
            published = self._publish(job, placement, source, result, scratch)
            self._ledger.published(placement.id, published, job.output_sha256 or "")
        except OSError as error:
            self._put_off(job, placement, _about_publishing(error, placement.path))
        except PictureError as error:
            self._put_off(job, placement, error)
        except Exception as error:
            logger.exception("publishing failed unexpectedly")
            what = f"an unexpected error ({type(error).__name__}: {error})"
            self._put_off(job, placement, Transient(what, remedy="The log has the details"))
        else:
            self._delivered(job, placement, published)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _delivered(self, job: Job, placement: Placement, published: Path) -> None:
        """Say so, and clear the staging folder of a job that is published."""
        self._not_before.pop(placement.id, None)
        self._troubles.pop(placement.path, None)
        staged = job.picture is not None and job.picture.parent.parent == self._staging
        if staged and job.picture is not None and not self._ledger.lacks_copies(job.id):
            shutil.rmtree(job.picture.parent, ignore_errors=True)
        logger.info("picture published", file=str(placement.path), published=str(published), **job.summary)
        self._audience.finished(Finished(placement.path, "published", published=published, summary=job.summary))

    def _put_off(self, job: Job, placement: Placement, error: PictureError) -> None:
        """Try again later, or give up where trying cannot help."""
        if policy_of(error).outcome in ("refused", "failed"):
            self._ledger.refused(job.id, error.what, error.remedy)
            self._audience.finished(Finished(placement.path, "refused", reason=error.what, remedy=error.remedy))
            logger.warning("cannot be published", file=str(placement.path), why=error.what)
            return
        self._failures[placement.id] = self._failures.get(placement.id, 0) + 1
        self._wait(placement, error, backoff(self._retry_seconds, self._failures[placement.id]))

    def _wait(self, placement: Placement, error: PictureError, seconds: float) -> None:
        """Leave a place alone for a while, and say why."""
        self._not_before[placement.id] = self._clock.monotonic() + seconds
        if placement.path not in self._troubles:
            logger.warning("cannot be published now", file=str(placement.path), why=error.what, again_in=round(seconds))
        self._troubles[placement.path] = error

    def _result(self, job: Job, scratch: Path) -> tuple[Path, Path] | None:
        """Picture and sidecar of a finished job whose bytes are still what they were: staged, or fetched back."""
        if job.picture is not None and job.sidecar is not None and self._is_sound(job.picture, job.sidecar, job):
            return job.picture, job.sidecar
        for place in self._ledger.published_copies(job.id):
            fetched = _fetch(place, scratch)
            if fetched is not None and self._is_sound(*fetched, job):
                return fetched
        return None

    @staticmethod
    def _is_sound(picture: Path, sidecar: Path, job: Job) -> bool:
        """Whether this pair is the job's result."""
        try:
            stated = read_sidecar(sidecar).published.sha256
            return file_sha256(picture) == stated == job.output_sha256
        except (ShadedError, OSError):
            return False

    def _publish(
        self, job: Job, placement: Placement, source: Source, result: tuple[Path, Path], scratch: Path
    ) -> Path:
        """Move a copy of the result into place under this placement's name; the picture's path."""
        picture, sidecar = result
        profile = profile_of(job)
        name = published_name(placement.relative.name, profile.output_format)
        facts = read_sidecar(sidecar)
        if (facts.source.name, facts.published.name) != (placement.relative.name, name):
            scratch.mkdir(exist_ok=True)
            sidecar = scratch / sidecar_name("renamed")
            sidecar.write_text(facts.with_names(source=placement.relative.name, published=name).to_json(), "utf-8")
        target = placement.relative.with_name(name)
        root = source.folder.publish
        if not root.is_dir():
            raise Transient("the publish folder is missing", path=root, remedy="Mount it, or make it again")
        return publish_pair(picture, sidecar, root, target, self._ours(job, placement, root / target))

    def _ours(self, job: Job, placement: Placement, target: Path) -> Callable[[str], bool]:
        """Whether a file that stands in the way is an earlier output for the same source, and may be replaced.

        Any output of this installation is, unless the ledger knows that it belongs to another source.
        """
        others = [
            record
            for record in self._ledger.find(target)
            if record.placement.published == target and record.placement.path != placement.path
        ]
        earlier = {job.output_sha256, placement.published_sha256}

        def ours(sha256: str) -> bool:
            if sha256 in earlier:
                return True
            twins = (place for place in self._ledger.published_as(sha256) if place.path != placement.path)
            taken = any(_is_same_file(place.published, target) for place in twins)
            return not taken and not others and self._ledger.is_own_output(sha256)

        return ours


def _is_same_file(published: Path | None, target: Path) -> bool:
    """Whether two names mean one file, as ``Fox.png`` and ``fox.png`` do on a file system that ignores case."""
    try:
        return published is not None and published.samefile(target)
    except OSError:
        return False


def _fetch(place: Placement, scratch: Path) -> tuple[Path, Path] | None:
    """A published pair, copied into staging without following a link below the publish folder; ``None``: not to be had.

    Somebody may have put anything in the place of what was published.
    """
    if place.published is None:
        return None
    root = place.published.parents[len(place.relative.parts) - 1]
    pair = scratch / "fetched", scratch / sidecar_name("fetched")
    try:
        scratch.mkdir(exist_ok=True)
        for path, copy in zip((place.published, sidecar_path(place.published)), pair, strict=True):
            with (
                open_inside(path, root) as descriptor,
                open(descriptor, "rb", closefd=False) as reading,
                copy.open("wb") as writing,
            ):
                shutil.copyfileobj(reading, writing)
    except (PictureError, OSError):
        return None
    return pair
