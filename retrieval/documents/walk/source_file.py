"""A file to read, and what is remembered of one that was read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

Stamp = tuple[int, int, *tuple[Any, ...]]
"""The size of a file in bytes and its times, as `SourceFile.times`, and whatever else is known of
it. A file that has the same two as when it was read is taken to be as it was."""

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
    def stamp(self) -> tuple[int, int]:
        """By which it is known again."""
        return self.size, self.times

    @property
    def times(self) -> int:
        """Both times of change as one number."""
        return _times(self.mtime_ns, self.ctime_ns)


class JudgedFile(NamedTuple):
    """What is remembered of a file whose content was not worth reading, so as not to open it again.

    Attributes:
        size: bytes.
        times: as `SourceFile.times`.
        reason: why, a value of `Reason`.
    """

    size: int
    times: int
    reason: str


def times_of(status: os.stat_result) -> int:
    """As `SourceFile.times`."""
    return _times(status.st_mtime_ns, status.st_ctime_ns)


def _times(mtime_ns: int, ctime_ns: int) -> int:
    # A program that writes may set the first as it likes.
    return (31 * mtime_ns + ctime_ns) & TIMES_MASK
