"""Memory that the C library hands out, and what it keeps of what it was given back."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache

ARENAS = 2

_M_ARENA_MAX = -8  # of malloc.h


def bound_arenas() -> bool:
    """Have glibc's `malloc` keep to so few arenas; returns whether it does.

    By itself it makes up to eight for each core, one for each thread that finds the others taken.
    Requests are worked on by whichever thread is free, so what one frees in its arena is of no use
    to the next in another, and a server grows for as long as it is written to
    (docs/decisions/serving.md). To be called before threads are started. Whoever set arenas by the
    environment knows better; other C libraries are left as they are.
    """
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    if "MALLOC_ARENA_MAX" in os.environ or "glibc.malloc.arena_max" in tunables:
        return False
    library = _glibc()
    return library is not None and bool(library.mallopt(_M_ARENA_MAX, ARENAS))


def trim() -> None:
    """Have glibc give the system what it keeps of memory that was given back.

    What is as large as the largest array that was ever freed, up to 32 MiB, it takes from its heap
    and not from the system, and keeps there what lies between what is still in use. Takes some
    milliseconds for some hundreds of megabytes.
    """
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


@cache
def _glibc() -> ctypes.CDLL | None:
    """The C library of this process, if it is GNU's."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        library = ctypes.CDLL(None)
    except OSError:
        return None
    return library if hasattr(library, "gnu_get_libc_version") else None
