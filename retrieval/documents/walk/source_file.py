"""A file to read, and what is remembered of one that was read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

TIMES_MASK = 2**63 - 1
"""The bits that are kept of both times of change as one number."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to read.

    Attributes:
        path: where it is.
        id: its posix path relative to the base folder, with `..` where it lies outside.
        size: bytes.
        mtime_ns: time of its last change, nanoseconds since 1970.
        ctime_ns: the same of its inode, where the system keeps one: a time that no program can set.
    """

    path: Path
    id: str
    size: int
    mtime_ns: int
    ctime_ns: int = 0

    @property
    def times(self) -> int:
        """Both times of change as one number."""
        return _times(self.mtime_ns, self.ctime_ns)


class KnownFile(NamedTuple):
    """What is remembered of a file, so that it need not be opened while that is so.

    Attributes:
        size: bytes.
        times: as `SourceFile.times`.
        reason: why its content was not worth reading; "" for a file that was read.
    """

    size: int
    times: int
    reason: str = ""


def times_of(status: os.stat_result) -> int:
    """As `SourceFile.times`."""
    return _times(status.st_mtime_ns, status.st_ctime_ns)


def _times(mtime_ns: int, ctime_ns: int) -> int:
    # A program that writes may set the first as it likes.
    return (31 * mtime_ns + ctime_ns) & TIMES_MASK
