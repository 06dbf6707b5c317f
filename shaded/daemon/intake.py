"""From a settled file to a job: read once, recognise, hash, and enter it into the ledger."""

from __future__ import annotations

import hashlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from shaded import logs
from shaded.clock import Clock, SystemClock
from shaded.daemon.audience import Audience, Finished, Outcome
from shaded.daemon.boundary import concerns_all
from shaded.errors import Incomplete, NoPicture, PictureError, Refusal, SourceChanged, Unreadable
from shaded.filestat import FileStat
from shaded.ledger import Admission, Ledger
from shaded.outbox.arrivals import Arrival
from shaded.outbox.scan import look
from shaded.outbox.screening import leave_alone_no_picture, read_bytes, screen
from shaded.outbox.second_look import SecondLook
from shaded.publishing.formats import written_as
from shaded.publishing.holes.runs import HOLE
from shaded.publishing.naming import published_name
from shaded.publishing.pairs import FoundPair, find_pair
from shaded.publishing.sidecar import printable, read_sidecar, sidecar_path, summary_of
from shaded.publishing.sidecar_places import BESIDE, SidecarPlaces
from shaded.settings import Folder, Profile, Settings

logger = logs.get_logger("intake")

#: So many of the files that could not be read are looked at again in one round, since there may be very many.
LOOKED_AT_ONCE = 50
#: Why a file is passed over that this program made itself.
OWN_OUTPUT = "it is a shaded copy that was made here, and is not shaded again"


@dataclass(frozen=True)
class Source:
    """A watched folder with the profile that holds for it."""

    folder: Folder
    profile: Profile
    digest: str
    json: str

    @classmethod
    def of(cls, folder: Folder, settings: Settings) -> Source:
        """Look the profile up."""
        profile = settings.profile_named(folder.profile)
        return cls(folder, profile, profile.digest(), profile.model_dump_json())


class Intake:
    """Takes arrivals up, a few at a time.

    Args:
        ledger: Where they are entered.
        settings: Limits on bytes and pixels.
        audience: Hears of refusals.
        alive: Called between pieces of a long read; what it raises ends the read.
        places: Where the sidecars of published pictures stand.
        clock: Says how long ago an incomplete file changed, and when it is looked at again.
    """

    def __init__(
        self, ledger: Ledger, settings: Settings, audience: Audience, alive: Callable[[], None] = lambda: None,
        places: SidecarPlaces = BESIDE, clock: Clock | None = None,
    ) -> None:  # fmt: skip
        self._ledger = ledger
        self._watching = settings.watching
        self._audience = audience
        self._alive = alive
        self._places = places
        self._sources = {folder.outbox: Source.of(folder, settings) for folder in settings.folder}
        self._waiting: deque[Arrival] = deque()
        self._later = SecondLook(clock or SystemClock(), settings.watching.quiet_seconds)
        self._own: dict[Path, FileStat] = {}
        self._put_off: dict[Path, PictureError] = {}
        self._to_look_at: Iterator[Path] = iter(())

    def __len__(self) -> int:
        """How many arrivals wait to be taken up."""
        return len(self._waiting)

    @property
    def idle(self) -> bool:
        """Whether nothing waits, neither to be taken up nor to be looked at once more."""
        return not self._waiting and not len(self._later)

    @property
    def next_deadline(self) -> float | None:
        """When an incomplete file is to be looked at once more (monotonic seconds)."""
        return self._later.next_deadline

    def source(self, root: Path) -> Source | None:
        """The watched folder with this outbox, if it is still watched."""
        return self._sources.get(root)

    @property
    def put_off(self) -> dict[Path, PictureError]:
        """Files that could not be read, or not yet, and why; each is tried again. One that is gone goes soon."""
        return self._put_off

    def why_not(self, path: Path) -> str | None:
        """Why a file that was read is no job."""
        if path in self._own:
            return OWN_OUTPUT
        return self._put_off[path].what if path in self._put_off else None

    def already_known(self, root: Path, relative: Path, stat: FileStat) -> bool:
        """Whether this file was dealt with as it looks now, or waits for its second look."""
        if self._own.get(root / relative) == stat or self._later.holds(root / relative, stat):
            return True
        source = self._sources[root]
        return self._ledger.stat_known(root, relative, stat, source.digest)

    def tidy(self) -> None:
        """Keep no books of this program's own copies that are gone from the outboxes: a daemon runs for months."""
        self._own = {path: stat for path, stat in self._own.items() if os.path.lexists(path)}

    def add(self, arrivals: Iterable[Arrival]) -> None:
        """Queue arrivals."""
        self._waiting.extend(arrivals)

    def work(self, seconds: float) -> list[Admission]:
        """Take arrivals up for about so long; what was entered into the ledger."""
        end = time.monotonic() + seconds
        self._forget_some_gone()
        self._waiting.extend(self._later.take_due())
        admitted = []
        while self._waiting and time.monotonic() < end:
            admission = self._take(self._waiting[0])
            self._waiting.popleft()
            if admission is not None:
                admitted.append(admission)
        return admitted

    def _forget_some_gone(self) -> None:
        """Look at a few of the files that could not be read, round by round: some may be gone by now."""
        looked = list(islice(self._to_look_at, LOOKED_AT_ONCE))
        for path in looked:
            if not os.path.lexists(path):
                self._put_off.pop(path, None)
        if len(looked) < LOOKED_AT_ONCE:
            self._to_look_at = iter(list(self._put_off))

    def _take(self, arrival: Arrival) -> Admission | None:
        """Enter one file into the ledger, or say why not; an unexpected error sets this file aside.

        Raises:
            Transient: The ledger cannot be written now.
            StateUnusable: It is damaged.
        """
        source = self._sources[arrival.root]
        if self._later.holds(arrival.path, arrival.stat):
            return None
        self._put_off.pop(arrival.path, None)
        try:
            return self._enter(arrival, source, may_wait=not self._later.has_waited(arrival))
        except Exception as error:
            if concerns_all(error):
                raise
            logger.exception("cannot be taken", file=str(arrival.path))
            what = f"an unexpected error ({type(error).__name__}: {error})"
            unexpected = Unreadable(what, remedy="The log has the details")
        try:
            return self._set_aside(arrival, source, unexpected)
        except Exception as error:  # the ledger cannot even hold that; it is tried again at the next scan
            if concerns_all(error):
                raise
            logger.exception("cannot be set aside", file=str(arrival.path))
            self._put_off[arrival.path] = unexpected
            return None

    def _enter(self, arrival: Arrival, source: Source, *, may_wait: bool) -> Admission | None:
        """Enter one file into the ledger, or say why not."""
        try:
            sha256, pixels = self._read(arrival, may_wait=may_wait)
        except SourceChanged as error:
            logger.debug("not taken yet", file=str(arrival.path), why=error.what)
            return None
        except (Refusal, Unreadable) as error:
            if isinstance(error, Incomplete) and may_wait and self._later.hold(arrival):
                self._say_later(arrival, error)
                return None
            return self._set_aside(arrival, source, error)
        except PictureError as error:
            self._put_off[arrival.path] = error
            logger.warning("cannot be read now", file=str(arrival.path), why=error.what, remedy=error.remedy)
            return None
        if sha256 is None:
            self._own[arrival.path] = arrival.stat
            logger.info("passed over", file=str(arrival.path), why=OWN_OUTPUT)
            return None
        admission = adopt(
            self._ledger, source, arrival.relative, arrival.stat, sha256, self._alive, self._places
        ) or self._ledger.admit(
            arrival.root, arrival.relative, arrival.stat, sha256, source.digest, source.json, pixels=pixels
        )
        with logs.about_job(admission.job.id):
            logger.info("picture taken up", file=str(arrival.path), kind=admission.kind)
        if admission.kind in ("refused", "failed"):
            self._tell_decided(admission)
        return admission

    def _look(self, path: Path) -> FileStat | None:
        return look(path, downloads=self._watching.placeholders == "download")

    def _say_later(self, arrival: Arrival, error: PictureError) -> None:
        wait = f"it is looked at once more after {self._later.seconds:g} seconds without a change"
        what = f"it may not be written to its end yet, and {wait}: {error.what}"
        self._put_off[arrival.path] = Incomplete(what, remedy=error.remedy)
        logger.info("not taken yet", file=str(arrival.path), why=what)

    def _read(self, arrival: Arrival, *, may_wait: bool) -> tuple[str | None, int]:
        """The file's hash and how many pixels it has; ``None`` where it is this program's own output.

        Raises:
            Incomplete: It is not written to its end, or may not be and changed lately.
            PictureError: It cannot be shaded, or not now.
        """
        try:
            str(arrival.path).encode()
        except UnicodeEncodeError:
            raise Refusal("its name is not valid UTF-8", remedy="Rename it") from None
        data = read_bytes(
            arrival.path,
            arrival.root,
            self._watching.max_bytes,
            self._alive,
            partial(leave_alone_no_picture, path=arrival.path),
        )
        if self._look(arrival.path) != arrival.stat:
            raise SourceChanged("it changed while it was read", path=arrival.path)
        sha256 = hashlib.sha256(data).hexdigest()
        if self._ledger.is_own_output(sha256) or is_stated_beside(arrival.path, arrival.root, sha256):
            return None, 0
        screened = screen(data, arrival.path, self._watching.max_pixels)
        if screened.doubtful and may_wait and self._later.hold(arrival):
            raise Incomplete(HOLE, path=arrival.path)
        return sha256, screened.width * screened.height

    def _set_aside(self, arrival: Arrival, source: Source, error: PictureError) -> Admission:
        other = isinstance(error, NoPicture)
        tell, event = (logger.info, "left alone") if other else (logger.warning, "picture refused")
        tell(event, file=str(arrival.path), why=error.what, remedy=error.remedy)
        admission = self._ledger.set_aside(
            arrival.root,
            arrival.relative,
            arrival.stat,
            source.digest,
            error.what,
            error.remedy,
            is_picture=not other,
        )
        self._tell_decided(admission)
        return admission

    def _tell_decided(self, admission: Admission) -> None:
        job = admission.job
        outcome: Outcome = "failed" if admission.kind == "failed" else "left alone" if job.left_alone else "refused"
        self._audience.finished(Finished(admission.placement.path, outcome, reason=job.reason, remedy=job.remedy))


def adopt(
    ledger: Ledger, source: Source, relative: Path, stat: FileStat, sha256: str, alive: Callable[[], None],
    places: SidecarPlaces = BESIDE,
) -> Admission | None:  # fmt: skip
    """Take over the pair that stands published for these bytes and that the ledger lost; else ``None``.

    So a ledger that was lost, or restored from a backup, costs no second rendering, and no second copy under another
    name. A pair with bytes that were rendered under this ledger is none of these: a person copied it there. One that
    was made with another intensity or quality than the profile has now is left alone.
    """
    outbox, publish, profile = source.folder.outbox, source.folder.publish, source.profile
    try:
        wanted = relative.with_name(published_name(relative.name, profile.output_format))
    except Refusal:
        return None

    def usable(found: FoundPair) -> bool:
        return (
            was_made_for(found, source, relative)
            and not ledger.rendered_here(found.pair.sha256)
            and not ledger.copies.held_by_another(found.copy, outbox, relative)
        )

    found = find_pair(publish, wanted, sha256, usable, alive, places)
    if found is None:
        return None
    return ledger.adopt(
        outbox, relative, stat, sha256, source.digest, source.json, found.copy, found.pair.stated.published.bytes,
        summary_of(found.pair.stated),
    )  # fmt: skip


def was_made_for(found: FoundPair, source: Source, relative: Path) -> bool:
    """Whether a pair says that it stands for this file and was made as the profile wants it, as far as a pair tells."""
    stated, profile = found.pair.stated, source.profile
    names = stated.source.name == printable(relative.name) and stated.published.name == printable(found.path.name)
    return names and is_as_wanted(found, source) and stated.engine.quality == profile.quality


def is_as_wanted(found: FoundPair, source: Source) -> bool:
    """Whether a pair has the intensity, the format and the size that the profile wants."""
    stated, profile = found.pair.stated, source.profile
    wanted = written_as(stated.source.format, profile.output_format)
    fits = not profile.max_side or max(stated.published.width, stated.published.height) <= profile.max_side
    return fits and stated.engine.intensity == profile.intensity and stated.published.format == wanted


def is_stated_beside(path: Path, root: Path, sha256: str) -> bool:
    """Whether the sidecar beside a file names its bytes: then it is another installation's output.

    Opened as carefully as the file itself: what has the sidecar's name may be a link out of the outbox, or a pipe.
    """
    try:
        return read_sidecar(sidecar_path(path), root).published.sha256 == sha256
    except PictureError:
        return False
