"""Memory that the C library hands out: few arenas, so that what is given back is used again."""

from __future__ import annotations

import ctypes
import os
import sys

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
    if not sys.platform.startswith("linux"):
        return False
    try:
        library = ctypes.CDLL(None)
        if not hasattr(library, "gnu_get_libc_version"):
            return False
        return bool(library.mallopt(_M_ARENA_MAX, ARENAS))
    except (OSError, AttributeError):
        return False
