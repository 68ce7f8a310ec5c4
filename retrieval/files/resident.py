"""How much of mapped files a process holds in memory."""

from __future__ import annotations

import mmap
from contextlib import suppress

_SHARED = 2  # place of the pages that are resident and of files, in proc_pid_statm(5)


def resident_of_files() -> int | None:
    """Bytes of mapped files that are in this process's memory; None where the system says nothing.

    Linux says it in some ten microseconds, and exactly to some pages for each core.
    """
    with suppress(OSError, ValueError, IndexError), open("/proc/self/statm", "rb") as file:  # noqa: PTH123 -- thrice as fast
        return int(file.read().split()[_SHARED]) * mmap.PAGESIZE
    return None
