"""Files that were found incomplete soon after their last change are looked at once more before anything is decided.

A copy over a network, or onto a slow disk, can pause for longer than the quiet period. Where its space was reserved
beforehand, the file has its full size meanwhile, and zeros where nothing was written yet. Nothing here touches a disk.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

from shaded.clock import Clock
from shaded.filestat import FileStat
from shaded.outbox.looking import Arrival

#: The second quiet period is so many times as long as the first.
TIMES = 10


class SecondLook:
    """Arrivals that wait for their second look.

    Args:
        clock: Its date is compared with the files' times, its monotonic time says what is due.
        quiet_seconds: The first quiet period.
    """

    def __init__(self, clock: Clock, quiet_seconds: float) -> None:
        self._clock = clock
        self.seconds = TIMES * quiet_seconds
        self._held: OrderedDict[Path, tuple[Arrival, float]] = OrderedDict()
        self._waited: dict[Path, FileStat] = {}

    def __len__(self) -> int:
        return len(self._held)

    def hold(self, arrival: Arrival) -> bool:
        """Keep an incomplete file for a second look; ``False`` where its last change is long ago.

        A date in the future, as clocks of file servers have it, counts as now.
        """
        changed = max(arrival.stat.mtime_ns, arrival.stat.ctime_ns) / 1e9
        if self._clock.time() - changed >= self.seconds:
            return False
        self._held.pop(arrival.path, None)
        self._held[arrival.path] = (arrival, self._clock.monotonic() + self.seconds)
        return True

    def holds(self, path: Path, stat: FileStat) -> bool:
        """Whether this very file waits here; another state of it takes its place."""
        held = self._held.get(path)
        return held is not None and held[0].stat == stat

    def take_due(self) -> list[Arrival]:
        """Hand over what is to be looked at now."""
        now, due = self._clock.monotonic(), []
        while self._held and next(iter(self._held.values()))[1] <= now:
            arrival = self._held.popitem(last=False)[1][0]
            self._waited[arrival.path] = arrival.stat
            due.append(arrival)
        return due

    def has_waited(self, arrival: Arrival) -> bool:
        """Whether this file, as it looks now, was handed over by :meth:`take_due`; asked once."""
        return self._waited.pop(arrival.path, None) == arrival.stat

    @property
    def next_deadline(self) -> float | None:
        """When something is due (monotonic seconds)."""
        return next((due for _, due in self._held.values()), None)
