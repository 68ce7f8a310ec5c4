"""Limits on the memory that the C library keeps for itself after it was freed."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache

ARENAS = 2

MAPPED = 1 << 20
"""Bytes of a block from which on it is a mapping of its own, if a program asks for that."""

_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8  # of malloc.h


def bound_arenas() -> bool:
    """Have glibc's `malloc` keep to `ARENAS` arenas; returns whether it does.

    By default it makes up to eight per core, one for each thread that finds the others in use. Any
    free thread takes a request, and memory that it frees in its arena cannot be reused by the next
    request in another arena, so a server that is written to keeps growing
    (docs/decisions/serving.md). To be called before threads are started. Arenas that are set by an
    environment variable are left as they are, and so are other C libraries.
    """
    return _set(_M_ARENA_MAX, ARENAS, "MALLOC_ARENA_MAX", "arena_max")


def map_large_blocks() -> bool:
    """Have glibc return each block of `MAPPED` bytes or more as soon as it is freed.

    Returns whether it does. Otherwise only blocks larger than the largest ever freed, up to 32 MiB,
    are mapped, and the others leave holes in the heap: some 300 MB of them while a large folder is
    indexed (docs/decisions/many-files.md). Mapped blocks have to be zeroed each time, so this is
    for programs that write, not for those that search. A threshold that is set by an environment
    variable is left as it is, and so are other C libraries.
    """
    return _set(_M_MMAP_THRESHOLD, MAPPED, "MALLOC_MMAP_THRESHOLD_", "mmap_threshold")


def _set(option: int, value: int, variable: str, tunable: str) -> bool:
    if variable in os.environ or f"glibc.malloc.{tunable}" in os.environ.get("GLIBC_TUNABLES", ""):
        return False
    library = _glibc()
    return library is not None and bool(library.mallopt(option, value))


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
