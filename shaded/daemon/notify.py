"""Telling systemd how the daemon is: the ``sd_notify`` protocol, one datagram per message.

The protocol is documented in sd_notify(3): lines ``KEY=VALUE`` sent to the Unix datagram socket that the environment
variable ``NOTIFY_SOCKET`` names; a leading ``@`` stands for the zero byte of an abstract socket. ``WATCHDOG_USEC`` and
``WATCHDOG_PID`` ask for signs of life (sd_watchdog_enabled(3)).
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress

from shaded.errors import printable

#: Signs of life are given so many times in each watchdog period.
BEATS = 3.0
#: A service manager that does not read what it is told may not keep the daemon from its work for longer.
SEND_SECONDS = 1.0


def beat_seconds(environment: Mapping[str, str]) -> float | None:
    """How often the service manager wants a sign of life; ``None``: it wants none from this process."""
    try:
        period = int(environment.get("WATCHDOG_USEC", "0")) / 1e6
        meant = int(environment.get("WATCHDOG_PID") or os.getpid())
    except ValueError:
        return None
    return period / BEATS if period > 0 and meant == os.getpid() else None


class Notifier:
    """Sends messages to the service manager, if there is one; never fails.

    Args:
        environment: Where ``NOTIFY_SOCKET`` is looked up.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._told_status = ""
        self.beat_seconds = beat_seconds(environment) if address else None

    def ready(self) -> None:
        """The first scan is done and pictures are taken from now on."""
        self._send("READY=1")

    def reloading(self) -> None:
        """The settings are read anew; :meth:`ready` says that it is done."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def alive(self) -> None:
        """All parts are alive."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """The daemon finishes what is under way and ends."""
        self._send("STOPPING=1")

    def status(self, sentence: str) -> None:
        """One line for ``systemctl status``; the same line again is not sent."""
        if sentence != self._told_status:
            self._told_status = sentence
            self._send("STATUS=" + printable(sentence))  # a line end in a file name would begin another message

    def _send(self, message: str) -> None:
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(SEND_SECONDS)
            sender.sendto(message.encode("utf-8", "replace"), self._address)
