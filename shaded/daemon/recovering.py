"""A ledger made again from what lies in the outboxes and publish folders; nothing is rendered twice.

A published pair is known by itself: its sidecar names the hashes of its picture and of that one's source. A picture
in an outbox whose hash such a sidecar names is done. Everything else is left to the daemon, which takes it up.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from shaded.clock import SystemClock
from shaded.daemon.holdings import LEDGER_NAME, claim_staging, claim_state, make_job_folder, named_folders
from shaded.daemon.instance import only_instance
from shaded.daemon.intake import Source, is_as_wanted, is_stated_beside, was_made_for
from shaded.daemon.remembering import sidecar_places
from shaded.daemon.secretfile import installation_secret
from shaded.durable import write_durably
from shaded.errors import LedgerDamaged, PictureError, ShadedError, Transient, Unavailable
from shaded.filestat import FileStat
from shaded.ledger import Ledger
from shaded.ledger.connection import insist_on_a_file, peek
from shaded.outbox.ignore import IgnoreRules
from shaded.outbox.scan import look, scan
from shaded.outbox.screening import read_bytes, screen
from shaded.publishing.naming import names_for, published_name
from shaded.publishing.pairs import FREE_NAMES, FoundPair, pictures_with_sidecars, read_pair
from shaded.publishing.sidecar import sidecar_path, summary_of
from shaded.settings import Folder, Settings

#: Hears what is being looked at: a folder, and how many files of it so far.
Progress = Callable[[Path, int], None]


@dataclass
class Recovered:
    """What was found.

    Attributes:
        ledger: ``kept``, ``made``, or ``made again`` where a damaged one was moved aside.
        moved_to: Where the damaged ledger is now.
        pairs: How many complete pairs stand in the publish folders.
        known: How many pictures in the outboxes the ledger knew already.
        taken_over: How many pictures in the outboxes have their pair; they are done.
        to_publish: How many have a pair elsewhere, from which the daemon makes their own.
        to_shade: How many have none; the daemon shades them.
        without_original: How many pairs belong to no picture in an outbox. They stay as they are.
        not_whole: Pictures with a sidecar that are no pair of ours, or were changed, and why. They stay as they are.
        unread: What could not be read now, and why.
    """

    ledger: str = "kept"
    moved_to: Path | None = None
    pairs: int = 0
    known: int = 0
    taken_over: int = 0
    to_publish: int = 0
    to_shade: int = 0
    without_original: int = 0
    not_whole: dict[str, str] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)


def recover(settings: Settings, progress: Progress = lambda _folder, _count: None) -> Recovered:
    """Make the ledger again, or complete one that is there, while no daemon runs.

    Originals, published files and a damaged ledger are kept as they are; the latter gets another name.

    Raises:
        AlreadyRunning: A daemon uses the state folder.
        ConfigurationError: The settings are wrong.
        Unavailable: A disk or folder cannot be used now.
    """
    _insist_on_folders(settings)
    state = claim_state(settings.state_dir)
    with only_instance(settings.state_dir):
        claim_staging(settings, state)
        try:
            try:
                return _walk(settings, progress)
            except LedgerDamaged:
                _keep_the_secret(settings)
                return _walk(settings, progress, _move_aside(settings.state_dir / LEDGER_NAME))
        except Transient as error:
            raise Unavailable(error.what, path=error.path, remedy=error.remedy) from error


def _insist_on_folders(settings: Settings) -> None:
    """A folder that is away would count as one without a picture, and everything would be shaded again."""
    for key, _, path in named_folders(settings):
        if not os.path.isdir(path):  # noqa: PTH112 - never fails
            raise Unavailable(
                f"{key}: the folder is missing",
                path=path,
                remedy="Mount its disk first; or make the folder, if it was never there",
            )


def _walk(settings: Settings, progress: Progress, moved_to: Path | None = None) -> Recovered:
    """Complete the ledger that is there, or make one, from what lies in the folders.

    Raises:
        LedgerDamaged: It is, which may show only on the way.
    """
    place = settings.state_dir / LEDGER_NAME
    found = Recovered("made again" if moved_to is not None else "made", moved_to)
    if os.path.lexists(place):
        found.ledger = "kept"
        _insist_on_soundness(place)
    with Ledger.open(place, SystemClock(), settings.scheduling) as ledger:
        installation_secret(settings, ledger)
        ledger.recover()
        _Recovery(settings, ledger, found, progress).run()
    return found


def _insist_on_soundness(place: Path) -> None:
    """Look at every page and every index, since damage need not show where a file is opened.

    Raises:
        LedgerDamaged: Something is wrong.
    """
    insist_on_a_file(place)
    told = [str(row[0]) for row in peek(place, "PRAGMA integrity_check(1)")]
    lost = peek(place, "PRAGMA foreign_key_check")
    if lost or told not in ([], ["ok"]):
        what = "rows refer to others that are gone" if lost else told[0]
        raise LedgerDamaged(f"the ledger is damaged: {what}", path=place)


def _keep_the_secret(settings: Settings) -> None:
    """A ledger of an older version may hold the only copy of the secret, and that part of it may be whole."""
    with suppress(ShadedError):
        installation_secret(settings)


def _move_aside(place: Path) -> Path:
    """Give a damaged ledger, with what SQLite keeps beside it, a name that nothing has; that name."""
    stem = f"{place.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}"
    number = 1
    while os.path.lexists(target := place.with_name(stem if number == 1 else f"{stem}-{number}")):
        number += 1
    try:
        for ending in ("-wal", "-shm", ""):
            with suppress(FileNotFoundError):
                os.rename(f"{place}{ending}", f"{target}{ending}")  # noqa: PTH104 - names, not paths
    except OSError as error:
        raise Unavailable(
            f"the damaged ledger cannot be moved aside: {error.strerror}", path=place, remedy="Make its folder writable"
        ) from error
    return target


class _Recovery:
    """One walk through all folders."""

    def __init__(self, settings: Settings, ledger: Ledger, found: Recovered, progress: Progress) -> None:
        self._settings = settings
        self._ledger = ledger
        self._found = found
        self._progress = progress
        self._pairs: dict[str, list[FoundPair]] = {}
        self._places = sidecar_places(settings, ledger)

    def run(self) -> None:
        """Look at the published pairs first, then at the originals."""
        for publish in dict.fromkeys(folder.publish for folder in self._settings.folder):
            self._index(publish)
        wanted: set[str] = set()
        for folder in self._settings.folder:
            wanted |= set(self._take_over(folder))
        self._found.without_original = sum(len(pairs) for sha256, pairs in self._pairs.items() if sha256 not in wanted)

    def _index(self, publish: Path) -> None:
        """Read every pair below a publish folder."""
        for count, picture in enumerate(pictures_with_sidecars(publish, self._trouble, self._places)):
            self._progress(publish, count)
            try:
                pair = read_pair(picture, publish, self._places)
            except Transient as error:
                self._trouble(error)
                continue
            except PictureError as error:
                self._found.not_whole[str(picture)] = error.what
                continue
            if not pair.agrees:
                self._found.not_whole[str(picture)] = "it is not the picture that its sidecar describes"
                continue
            self._found.pairs += 1
            self._ledger.remember_output(pair.sha256)
            self._pairs.setdefault(pair.stated.source.sha256, []).append(FoundPair(picture, pair, publish))

    def _take_over(self, folder: Folder) -> Iterator[str]:
        """Enter every picture of an outbox that has its pair; the hashes of what lies there."""
        source = Source.of(folder, self._settings)
        rules = IgnoreRules.for_root(folder.outbox, self._settings.watching.ignore)
        downloads = self._settings.watching.placeholders == "download"
        files = scan(folder.outbox, rules, self._scan_trouble, downloads=downloads)
        for count, found in enumerate(filter(None, files)):
            relative, stat = found
            self._progress(folder.outbox, count)
            path = folder.outbox / relative
            if self._ledger.stat_known(folder.outbox, relative, stat, source.digest) and self._is_done(path, folder):
                self._found.known += 1
                yield from (record.job.sha256 for record in self._ledger.find(path))
                continue
            try:
                data = read_bytes(path, folder.outbox, self._settings.watching.max_bytes)
                screened = screen(data, path, self._settings.watching.max_pixels)
            except Transient as error:
                self._trouble(error)
                continue
            except PictureError:
                continue  # the daemon says why, when it comes to it
            sha256 = hashlib.sha256(data).hexdigest()
            if self._ledger.is_own_output(sha256) or is_stated_beside(path, folder.outbox, sha256):
                continue
            if look(path, downloads=downloads) == stat:
                yield sha256
                self._enter(source, relative, stat, sha256, screened.width * screened.height)

    def _is_done(self, path: Path, folder: Folder) -> bool:
        """Whether the ledger knows this picture's copy, with all that it has to know of one."""
        copies = self._ledger.copies.of(folder.outbox, path.relative_to(folder.outbox))
        known = {copy.sha256 for copy in copies}
        return any(record.placement.published_sha256 in known for record in self._ledger.find(path))

    def _enter(self, source: Source, relative: Path, stat: FileStat, sha256: str, pixels: int) -> None:
        """Let the ledger know of one picture what its pairs tell, if it has any."""
        outbox = source.folder.outbox
        own = self._pair_of(source, relative, sha256)
        if own is not None:
            stated = own.pair.stated
            adopted = self._ledger.adopt(
                outbox, relative, stat, sha256, source.digest, source.json, own.copy, stated.published.bytes,
                summary_of(stated),
            )  # fmt: skip
            if adopted is not None:
                self._found.taken_over += 1
                return
        elsewhere = [found for found in self._pairs.get(sha256, []) if self._may_be_handed_on(found, source)]
        if not elsewhere:
            self._found.to_shade += 1
            return
        admission = self._ledger.admit(outbox, relative, stat, sha256, source.digest, source.json, pixels=pixels)
        if admission.kind == "new":
            self._stage(admission.job.id, elsewhere[0])
        self._found.to_publish += 1

    def _may_be_handed_on(self, found: FoundPair, source: Source) -> bool:
        """Whether a pair is what this outbox's profile would make: another one may keep what this one strips."""
        others = (folder for folder in self._settings.folder if folder.publish == found.root)
        same = all(Source.of(folder, self._settings).digest == source.digest for folder in others)
        return same and is_as_wanted(found, source)

    def _stage(self, job_id: str, found: FoundPair) -> None:
        """Let a pair that stands elsewhere be a job's finished result: it is published, and not rendered again."""
        folder = make_job_folder(self._settings, job_id)
        picture = folder / found.path.name
        write_durably(picture, read_bytes(found.path, found.root, found.pair.stated.published.bytes))
        write_durably(sidecar_path(picture), found.pair.document)
        self._ledger.rendered(
            job_id, picture, sidecar_path(picture), found.pair.sha256, found.pair.stated.published.bytes,
            summary_of(found.pair.stated),
        )  # fmt: skip

    def _pair_of(self, source: Source, relative: Path, sha256: str) -> FoundPair | None:
        """The pair that stands where this picture's would be published, and is no other picture's."""
        standing = {found.path: found for found in self._pairs.get(sha256, [])}
        if not standing:
            return None
        outbox, publish, free = source.folder.outbox, source.folder.publish, 0
        with suppress(PictureError):  # its name cannot be published
            for name in names_for(published_name(relative.name, source.profile.output_format)):
                path = publish / relative.with_name(name)
                taken = path in standing and self._ledger.copies.held_by_another(standing[path].copy, outbox, relative)
                if path in standing and not taken and was_made_for(standing[path], source, relative):
                    return standing[path]
                free += not os.path.lexists(path)
                if free > FREE_NAMES:
                    break
        return None

    def _trouble(self, error: PictureError) -> None:
        self._found.unread[str(error.path)] = error.what

    def _scan_trouble(self, path: Path, error: Exception) -> None:
        self._found.unread[str(path)] = getattr(error, "strerror", None) or str(error)
