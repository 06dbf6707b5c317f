"""Telling systemd how the daemon is: the ``sd_notify`` protocol, one datagram per message.

The protocol is documented in sd_notify(3): lines ``KEY=VALUE`` sent to the Unix datagram socket that the environment
variable ``NOTIFY_SOCKET`` names; a leading ``@`` stands for the zero byte of an abstract socket.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress

from shaded.errors import printable


class Notifier:
    """Sends messages to the service manager, if there is one; never fails.

    Args:
        environment: Where ``NOTIFY_SOCKET`` is looked up.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._told_status = ""

    def ready(self) -> None:
        """The first scan is done and pictures are taken from now on."""
        self._send("READY=1")

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
            sender.sendto(message.encode("utf-8", "replace"), self._address)
