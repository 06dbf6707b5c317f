"""What tells one state of a file from another without reading it."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FileStat:
    """The part of a file's ``stat`` that changes when its content does.

    Attributes:
        size: Bytes.
        mtime_ns: Time of the last modification, nanoseconds since 1970.
        inode: The file's number on its device; another number means that the file was replaced.
        device: The device's number. It may differ after the next mount, so nothing that outlives the process
            compares it.
        ctime_ns: Time of the last change of content or status, nanoseconds since 1970: the one time that no program
            sets, so that an edit in place is seen although it restored the modification time.
    """

    size: int
    mtime_ns: int
    inode: int
    device: int = 0
    ctime_ns: int = 0

    @classmethod
    def of(cls, result: os.stat_result) -> FileStat:
        """Take what matters from the operating system's answer."""
        return cls(result.st_size, result.st_mtime_ns, result.st_ino, result.st_dev, result.st_ctime_ns)
