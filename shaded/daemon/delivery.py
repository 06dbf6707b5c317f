"""From a finished result to the publish folders: every place that lacks it gets it."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from itertools import groupby, islice
from pathlib import Path

from shaded import logs
from shaded.clock import Clock
from shaded.daemon.audience import Audience, Finished
from shaded.daemon.backoff import backoff
from shaded.daemon.holdings import copy_folder, job_folder, remove_staged, tidy_staging
from shaded.daemon.intake import Source
from shaded.daemon.profiles import profile_of
from shaded.daemon.space import LOOK_SECONDS, Disks
from shaded.errors import PictureError, ShadedError, StateUnusable, Transient, from_os_error, policy_of
from shaded.ledger import Job, Ledger, Placement
from shaded.outbox.screening import hash_inside, open_inside
from shaded.publishing.atomic import publish_pair
from shaded.publishing.naming import published_name, sidecar_name
from shaded.publishing.ownership import Copy
from shaded.publishing.sidecar import read_document, read_sidecar
from shaded.publishing.sidecar_places import BESIDE, SidecarPlaces
from shaded.publishing.standing import Alive
from shaded.publishing.temporaries import remove_temporaries

logger = logs.get_logger("delivery")

_STEP = 1 << 20
#: How long places are published before the rest of the daemon is looked after again, in seconds.
DELIVERY_SECONDS = 0.25


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
        alive: Called between pieces of a long copy; what it raises ends the copy.
        places: Where the sidecars go.
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
        alive: Alive = lambda: None,
        places: SidecarPlaces = BESIDE,
    ) -> None:
        self._ledger = ledger
        self._staging = staging
        self._source_of = source_of
        self._clock = clock
        self._retry_seconds = retry_seconds
        self._disks = disks
        self._audience = audience
        self._alive = alive
        self._places = places
        self._queue: deque[int] = deque()
        self._not_before: dict[int, float] = {}
        self._failures: dict[int, int] = {}
        self._troubles: dict[int, tuple[Path, PictureError]] = {}
        self._due = True

    @property
    def next_deadline(self) -> float | None:
        """When there is something to do (``Clock.monotonic``)."""
        if self._due or self._queue:
            return self._clock.monotonic()
        return min(self._not_before.values(), default=None)

    @property
    def troubles(self) -> dict[Path, PictureError]:
        """Sources whose finished copy could not be published yet, and why."""
        return dict(self._troubles.values())

    def first_troubles(self, most: int) -> list[tuple[Path, PictureError]]:
        """Some of them, for whoever asks in every round."""
        return list(islice(self._troubles.values(), most))

    def note(self) -> None:
        """Something became ready to be published."""
        self._due = True

    def tidy(self) -> None:
        """Remove what a crash left in the staging folder and in the publish folders, and mend what claims one name."""
        removed = remove_temporaries(self._ledger.copies.under_way(), self._places)
        if removed:
            logger.info("removed what a crash left", files=removed)
        for published, claims in groupby(self._ledger.contested(), key=lambda place: place.published):
            places = list(claims)
            stands = None
            with suppress(PictureError, OSError):  # nothing of ours stands there now
                if published is not None:
                    stands = hash_inside(published, published.parent, published.lstat().st_size, self._alive)
            owner = next((place for place in places if place.published_sha256 == stands), places[0])
            for place in places:
                if place is not owner:
                    logger.warning("another's copy stands under its name; it is published again", file=str(place.path))
                    self._ledger.disown(place.id)
        needed = {path.parent for path in self._ledger.staged_files()}
        tidy_staging(self._staging, needed)

    def work(self, seconds: float = DELIVERY_SECONDS) -> None:
        """Publish what is ready and not waiting for a failed place to mend, for about so long, one place at least."""
        deadline = self.next_deadline
        now = self._clock.monotonic()
        if deadline is None or now < deadline:
            return
        if not self._queue:
            self._due = False
            pending = self._ledger.pending_places()
            self._forget_all_but(set(pending))
            self._queue.extend(place for place in pending if self._not_before.get(place, now) <= now)
        while self._queue:
            found = self._ledger.pending_place(self._queue.popleft())
            if found is not None:
                with logs.about_job(found[0].id):
                    self._deliver(*found)
            if self._clock.monotonic() - now >= seconds:
                return

    def _forget_all_but(self, pending: Collection[int]) -> None:
        """Keep no books of places that wait no longer: a daemon runs for months."""
        self._not_before = {place: at for place, at in self._not_before.items() if place in pending}
        self._failures = {place: count for place, count in self._failures.items() if place in pending}
        self._troubles = {place: trouble for place, trouble in self._troubles.items() if place in pending}

    def _deliver(self, job: Job, placement: Placement) -> None:
        """Publish one job's result for one place, or note when to try again."""
        source = self._source_of(placement.root)
        if source is None:
            self._not_before[placement.id] = float("inf")  # nobody watches that outbox now
            return
        scratch = copy_folder(self._staging, placement.id)
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
        except StateUnusable:  # a broken ledger is no place's trouble
            raise
        except Exception as error:
            logger.exception("publishing failed unexpectedly")
            what = f"an unexpected error ({type(error).__name__}: {error})"
            self._put_off(job, placement, Transient(what, remedy="The log has the details"))
        else:
            self._delivered(job, placement, published)
        finally:
            remove_staged(scratch)

    def _delivered(self, job: Job, placement: Placement, published: Path) -> None:
        """Say so, and clear the staging folder of a job that is published."""
        self._not_before.pop(placement.id, None)
        self._troubles.pop(placement.id, None)
        self._clear(job)
        logger.info("picture published", file=str(placement.path), published=str(published), **job.summary)
        self._audience.finished(Finished(placement.path, "published", published=published, summary=job.summary))

    def _clear(self, job: Job) -> None:
        """Remove the staged files of a job that no place waits for any more, if one of them has its copy.

        Those of earlier versions stand elsewhere: the hash says whose they are.
        """
        now = self._ledger.job(job.id)
        if job.picture is None or job.sidecar is None or now is None or now.state != "published":
            return
        if self._ledger.lacks_copies(job.id):
            return
        if job.picture.parent == job_folder(self._staging, job.id):
            remove_staged(job.picture.parent)
        elif self._is_sound(job.picture, job.sidecar, job):
            with suppress(OSError):
                job.picture.unlink()
                job.sidecar.unlink()
                job.picture.parent.rmdir()

    def _put_off(self, job: Job, placement: Placement, error: PictureError) -> None:
        """Try again later, or give up where trying cannot help."""
        if policy_of(error).outcome in ("refused", "failed"):
            self._ledger.place_refused(placement.id, error.what, error.remedy)
            self._clear(job)
            self._audience.finished(Finished(placement.path, "refused", reason=error.what, remedy=error.remedy))
            logger.warning("cannot be published", file=str(placement.path), why=error.what)
            return
        self._failures[placement.id] = self._failures.get(placement.id, 0) + 1
        self._wait(placement, error, backoff(self._retry_seconds, self._failures[placement.id]))

    def _wait(self, placement: Placement, error: PictureError, seconds: float) -> None:
        """Leave a place alone for a while, and say why."""
        self._not_before[placement.id] = self._clock.monotonic() + seconds
        if placement.id not in self._troubles:
            logger.warning("cannot be published now", file=str(placement.path), why=error.what, again_in=round(seconds))
        self._troubles[placement.id] = placement.path, error

    def _result(self, job: Job, scratch: Path) -> tuple[Path, Path] | None:
        """Picture and sidecar of a finished job whose bytes are still what they were: staged, or fetched back."""
        if job.picture is not None and job.sidecar is not None and self._is_sound(job.picture, job.sidecar, job):
            return job.picture, job.sidecar
        for place in self._ledger.published_copies(job.id):
            copies = self._ledger.copies.of(place.root, place.relative)
            own = [copy for copy in copies if copy.sha256 == job.output_sha256]
            fetched = _fetch(place, job.output_bytes or 0, scratch, self._alive, self._places)
            if fetched is not None and self._is_sound(*fetched, job) and _is_unaltered(fetched[1], own):
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
        known = _Recorded(self._ledger, job, placement, lambda outbox: self._source_of(outbox) is not None)
        return publish_pair(picture, sidecar, root, target, known, self._alive, places=self._places)


class _Recorded:
    """What the ledger knows of published names, as seen by one place; see :class:`Ownership`.

    An outbox that was moved, or is named otherwise now, finds its copies again: what the same path in an outbox that is
    not watched any more put there is this place's, as long as it is the very picture.
    """

    def __init__(self, ledger: Ledger, job: Job, placement: Placement, is_watched: Callable[[Path], bool]) -> None:
        self._copies = ledger.copies
        self._source = placement.root, placement.relative
        same = self._copies.of_the_same(placement.relative, job.output_sha256 or "")
        self._inherited = {root: copy for root, copy in same if not is_watched(root)}

    def earlier(self) -> Sequence[Copy]:
        """What was published for this source path, whatever lay there."""
        return [*self._copies.of(*self._source), *self._inherited.values()]

    def is_taken(self, path: Path) -> bool:
        """Whether the name belongs to another source, even while nothing stands there."""
        others = set(self._copies.owners(path)) - {self._source}
        return any(root not in self._inherited or relative != self._source[1] for root, relative in others)

    def intend(self, copy: Copy) -> str:
        """Write it down before it appears."""
        return self._copies.intend(*self._source, copy)


def _is_unaltered(sidecar: Path, own: Iterable[Copy]) -> bool:
    """Whether a published sidecar is what was put there: somebody may have written other numbers into it."""
    hashes = {copy.sidecar_sha256 for copy in own}
    return None in hashes or file_sha256(sidecar) in hashes


def _fetch(place: Placement, size: int, scratch: Path, alive: Alive, places: SidecarPlaces) -> tuple[Path, Path] | None:
    """A published pair, copied into staging without following a link below the publish folder; ``None``: not to be had.

    Somebody may have put anything in the place of what was published; what has another size is not even read.
    """
    if place.published is None:
        return None
    root = place.published.parents[len(place.relative.parts) - 1]
    pair = scratch / "fetched", scratch / sidecar_name("fetched")
    try:
        scratch.mkdir(exist_ok=True)
        pair[1].write_bytes(read_document(*places.find(place.published, root)))
        with (
            open_inside(place.published, root) as descriptor,
            open(descriptor, "rb", closefd=False) as reading,
            pair[0].open("wb") as writing,
        ):
            if os.fstat(descriptor).st_size != size:
                return None
            while piece := reading.read(_STEP):
                writing.write(piece)
                alive()
    except (PictureError, OSError):
        return None
    return pair
