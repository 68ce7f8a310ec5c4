"""Limits on the memory that the C library keeps for itself after it was freed."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache

ARENAS = 2

_M_ARENA_MAX = -8  # of malloc.h


def bound_arenas() -> bool:
    """Have glibc's `malloc` keep to `ARENAS` arenas; returns whether it does.

    By default it makes up to eight per core, one for each thread that finds the others in use. Any
    free thread takes a request, and memory that it frees in its arena cannot be reused by the next
    request in another arena, so a server that is written to keeps growing
    (docs/decisions/serving.md). To be called before threads are started. Arenas that are set by an
    environment variable are left as they are, and so are other C libraries.
    """
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    if "MALLOC_ARENA_MAX" in os.environ or "glibc.malloc.arena_max" in tunables:
        return False
    library = _glibc()
    return library is not None and bool(library.mallopt(_M_ARENA_MAX, ARENAS))


def trim() -> None:
    """Have glibc return freed memory to the operating system.

    Blocks no larger than the largest block ever freed (up to 32 MiB) come from the heap, not from
    the system, and heap memory that lies between blocks in use is kept. Takes some milliseconds for
    some hundreds of megabytes.
    """
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


@cache
def _glibc() -> ctypes.CDLL | None:
    """The C library of this process, if it is glibc."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        library = ctypes.CDLL(None)
    except OSError:
        return None
    return library if hasattr(library, "gnu_get_libc_version") else None
