"""Whether the disks are there and have room, before work is begun: each folder's file system, free bytes and minimum.

Nothing here is a promise: a disk may fill up a moment later, and then the write itself fails and is tried again. But a
check that costs one system call spares minutes of shading for a result that cannot be saved, and leaves the user the
last bytes of the disk.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from shaded.clock import Clock
from shaded.errors import Transient
from shaded.outbox.roots import Memory, Root, ShortMemory
from shaded.settings import Settings, bytes_of_share

#: How long a look at the disks is good for, in seconds; also how soon work goes on once there is room.
LOOK_SECONDS = 5.0
#: A shaded copy may be larger than its source, above all a PNG of flat colours: it is reckoned so many times as large.
GROWTH = 4
#: For a sidecar, the ledger's log and the file system's own books, in bytes.
OVERHEAD = 1 << 20
#: For a finished sidecar alone, in bytes.
_SIDECAR = OVERHEAD // 4

Kind = Literal["publish", "staging", "state", "sidecars"]
Look = Callable[[Path], os.statvfs_result]


@dataclass(frozen=True)
class Disk:
    """A folder that is written to, and how many bytes shall stay free on its file system (``"1 %"``, ``"500 MB"``)."""

    kind: Kind
    path: Path
    min_free: str

    @property
    def setting(self) -> str:
        """Which setting says ``min_free``."""
        return "space.publish" if self.kind == "sidecars" else f"space.{self.kind}"


@dataclass(frozen=True)
class Room:
    """What one look at a disk found.

    Attributes:
        disk: Which.
        free: Bytes that this user may still write.
        wanted: Bytes that shall stay free.
        trouble: Why nothing is begun that needs this disk; ``None`` where all is well.
    """

    disk: Disk
    free: int
    wanted: int
    trouble: Transient | None

    def document(self) -> dict[str, Any]:
        """For ``status``."""
        return {
            "kind": self.disk.kind,
            "path": str(self.disk.path),
            "free_bytes": self.free,
            "min_free_bytes": self.wanted,
            "ok": self.trouble is None,
            "trouble": None if self.trouble is None else self.trouble.what,
            "remedy": None if self.trouble is None else self.trouble.remedy,
        }


def needed_bytes(size: int) -> int:
    """How much room a source of ``size`` bytes is reckoned to need, with its sidecar."""
    return GROWTH * size + OVERHEAD


def look_at(disk: Disk, needed: int = 0, look: Look = os.statvfs) -> Room:
    """Whether ``needed`` bytes may be written there now; a folder that cannot be asked is not called full.

    Without a minimum nothing is called full: the check is switched off, and the write itself will tell.
    """
    try:
        found = look(disk.path)
    except OSError:
        return Room(disk, 0, 0, None)  # what is missing was told before, and the write itself tells the rest
    free = found.f_bavail * found.f_frsize
    wanted = bytes_of_share(disk.min_free, found.f_blocks * found.f_frsize)
    return Room(disk, free, wanted, _trouble(disk, found, free, wanted + needed if wanted else 0))


def _trouble(disk: Disk, found: os.statvfs_result, free: int, least: int) -> Transient | None:
    where = f"of the {disk.kind} folder"
    if found.f_flag & os.ST_RDONLY:
        return Transient(
            f"the file system {where} is read-only", path=disk.path, remedy="Mount it writable; it goes on by itself"
        )
    if not os.access(disk.path, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        return Transient(
            f"the {disk.kind} folder may not be written",
            path=disk.path,
            remedy="Give your user access to it; it goes on by itself",
        )
    if least and (free < least or (found.f_files and not found.f_favail)):
        return Transient(
            f"the disk {where} is full: {_spoken(free)} are free, {_spoken(least)} are needed",
            path=disk.path,
            remedy=f"Free some space, or lower {disk.setting}; it goes on by itself",
        )
    return None


def _spoken(size: int) -> str:
    """A number of bytes for people."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"


class Disks:
    """Watches the disks of one configuration.

    Args:
        settings: The folders and the minimums.
        clock: A look is good for ``LOOK_SECONDS`` of it.
        memory_of: Remembers what a folder for pictures or sidecars was mounted on, so that the mount point of a disk
            that is away is not taken for it.
        look: The system call; tests put another in.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        memory_of: Callable[[Literal["publish", "sidecars"], Path], Memory] = lambda _kind, _path: ShortMemory(),
        look: Look = os.statvfs,
    ) -> None:
        self._clock = clock
        self._look = look
        publish_folders = {folder.publish for folder in settings.folder}
        self._roots = {path: Root(path, memory_of("publish", path), marks=False) for path in publish_folders}
        self._sidecars = None
        if (sidecars := settings.publishing.sidecars) is not None:
            self._roots[sidecars] = Root(sidecars, memory_of("sidecars", sidecars), marks=False)
            self._sidecars = Disk("sidecars", sidecars, settings.space.publish)
        self._staging = Disk("staging", settings.staging_home or settings.staging_dir, settings.space.staging)
        self._state = Disk("state", settings.state_dir, settings.space.state)
        self._publish = {f.outbox: Disk("publish", f.publish, settings.space.publish) for f in settings.folder}
        self._rooms: tuple[Room, ...] = ()
        self._good_until = float("-inf")

    @property
    def rooms(self) -> Sequence[Room]:
        """Every disk as it was a moment ago."""
        if self._clock.monotonic() >= self._good_until:
            disks = dict.fromkeys((self._state, self._staging, self._sidecars, *self._publish.values()))
            self._rooms = tuple(self._look_at(disk) for disk in disks if disk is not None)
            self._good_until = self._clock.monotonic() + LOOK_SECONDS
        return self._rooms

    def _look_at(self, disk: Disk, needed: int = 0) -> Room:
        """Whether the folder is there, and has room for so many bytes."""
        if disk.path in self._roots:
            verdict, _ = self._roots[disk.path].look()
            if not verdict.there:
                away = Transient(
                    f"the {disk.kind} folder is missing: {verdict.why}", path=disk.path, remedy="It goes on by itself"
                )
                return Room(disk, 0, 0, away)
        return look_at(disk, needed, self._look)

    def blocked(self) -> dict[Path, str]:
        """The outboxes whose pictures are not begun now because a disk has no room or is away, and which."""
        against = {room.disk: room.trouble.what for room in self.rooms if room.trouble is not None}
        for_all = next((against[disk] for disk in (self._state, self._staging, self._sidecars) if disk in against), "")
        found = {}
        for outbox, disk in self._publish.items():
            why = for_all or against.get(disk)
            if why:
                found[outbox] = why
        return found

    def refuse_if_full(self, outbox: Path, size: int) -> None:
        """Before a picture of ``size`` bytes is begun.

        Raises:
            Transient: Staging or publish folder have no room for it, or the folder for sidecars none for its sidecar.
        """
        needed = needed_bytes(size)
        publish = self._publish.get(outbox)
        together = publish is not None and _same_device(publish.path, self._staging.path)
        staging = self._staging, 2 * needed if together else needed
        for disk, bytes_needed in (staging, (publish, needed), (self._sidecars, _SIDECAR)):
            if disk is not None:
                _raise(self._look_at(disk, bytes_needed))

    def refuse_if_unpublishable(self, outbox: Path, size: int) -> None:
        """Before a finished picture of ``size`` bytes is moved into its publish folder.

        Raises:
            Transient: There is no room for it.
        """
        publish = self._publish.get(outbox)
        for disk, bytes_needed in ((publish, size + _SIDECAR), (self._sidecars, _SIDECAR)):
            if disk is not None:
                _raise(self._look_at(disk, bytes_needed))


def _raise(room: Room) -> None:
    if room.trouble is not None:
        raise room.trouble


def _same_device(one: Path, other: Path) -> bool:
    try:
        return one.stat().st_dev == other.stat().st_dev
    except OSError:
        return False
