"""Keeping an outbox's observer alive, where the outbox's file system has one to offer."""

from __future__ import annotations

import math

from shaded.clock import Clock
from shaded.logs import get_logger
from shaded.outbox.mounts import Mount, Way, way_of
from shaded.outbox.observer import Observer
from shaded.settings import Folder

#: How long the first pause before a failed observer is started again is, and the longest (seconds).
FIRST_BACK_OFF = 1.0
LONGEST_BACK_OFF = 60.0
#: How often an observer is asked whether it is healthy (seconds).
HEALTH_SECONDS = 5.0


class Hearing:
    """Whether and how changes are heard of.

    While they are not, the caller looks through the folder more often; a failed observer is tried again with growing
    pauses.

    Attributes:
        listening: Whether the observer runs.
        way: What was chosen for the folder, and why.
        trouble: Why the observer does not run although it should.
        check_at: When :meth:`check` has something to do (monotonic seconds).
    """

    def __init__(self, folder: Folder, clock: Clock, observer: Observer) -> None:
        self.listening = False
        self.way = Way(polling=False, why="")
        self.trouble = ""
        self.check_at = math.inf
        self._wanted = folder.events
        self._clock = clock
        self._observer = observer
        self._back_off = FIRST_BACK_OFF
        self._log = get_logger("outbox").bind(outbox=str(folder.outbox))

    @property
    def kind(self) -> str:
        """How changes are noticed now, for a person."""
        return self._observer.kind if self.listening else "polling"

    @property
    def why(self) -> str:
        """Why they are noticed so."""
        return self.trouble or self.way.why

    def begin(self, mount: Mount | None) -> None:
        """Choose by what the folder is on, and begin to listen or not."""
        self.stop()
        self.way = way_of(self._wanted, mount)
        self._log.info("watching", by="polling" if self.way.polling else "events", why=self.way.why)
        if not self.way.polling:
            self._start()

    def check(self) -> bool:
        """Look after the observer when that is due; whether a scan must find what was missed meanwhile."""
        if self._clock.monotonic() < self.check_at:
            return False
        if self._observer.healthy():
            self._back_off = FIRST_BACK_OFF
            self.check_at = self._clock.monotonic() + HEALTH_SECONDS
            return False
        before = self.listening
        if before:
            self._log.warning("the watcher stopped; starting it anew")
        self._start()
        return before or self.listening

    def stop(self) -> None:
        """Listen no more."""
        self._observer.stop()
        self.listening, self.trouble, self.check_at = False, "", math.inf
        self._back_off = FIRST_BACK_OFF

    def _start(self) -> None:
        try:
            self._observer.start()
        except OSError as error:
            why = error.strerror or str(error)
            if why != self.trouble:
                self._log.warning("events cannot be had; polling instead", why=why, again_in=self._back_off)
            self.listening, self.trouble = False, why
            self.check_at = self._clock.monotonic() + self._back_off
            self._back_off = min(self._back_off * 2, LONGEST_BACK_OFF)
        else:
            if self.trouble:
                self._log.info("events can be had again")
            self.listening, self.trouble = True, ""
            self.check_at = self._clock.monotonic() + HEALTH_SECONDS
