"""Thread counts for compiled code, and thread pools that survive a fork."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from retrieval.errors import InputError

VARIABLE = "RETRIEVAL_THREADS"

_share: int | None = None


def share_cores(processes: int) -> None:
    """From now on, use only one process's share of the cores, split among so many processes."""
    global _share
    _share = max(1, logical_cores() // max(1, processes))


def asked_for() -> int | None:
    """RETRIEVAL_THREADS, or else this process's share; None if it may use all cores.

    Raises:
        InputError: the variable is not a whole number of at least 1.
    """
    given = os.environ.get(VARIABLE)
    if given is None:
        return _share
    if not given.isdecimal() or int(given) < 1:
        raise InputError(f"{VARIABLE}={given!r} is not a whole number of at least 1")
    return int(given)


def logical_cores() -> int:
    """Logical cores (hardware threads) that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # not on macOS


class ThreadPool:
    """A thread pool per process, as threads do not survive a fork."""

    def __init__(self, threads: int, name: str) -> None:
        self._threads, self._name = threads, name
        self._owned: tuple[int, ThreadPoolExecutor] | None = None

    def here(self) -> ThreadPoolExecutor:
        """The pool of this process, made on first use."""
        owned = self._owned
        if owned is None or owned[0] != os.getpid():
            owned = os.getpid(), ThreadPoolExecutor(self._threads, thread_name_prefix=self._name)
            self._owned = owned
        return owned[1]
