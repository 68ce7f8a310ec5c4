"""Thread counts for compiled code, and thread pools that survive a fork."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from retrieval.errors import InputError

VARIABLE = "RETRIEVAL_THREADS"

_share: int | None = None


def share_cores(processes: int) -> None:
    """From now on, use only one process's share of the cores, split among this many processes."""
    global _share
    _share = max(1, logical_cores() // max(1, processes))


def asked_for() -> int | None:
    """RETRIEVAL_THREADS, otherwise this process's share; None if it may use all cores.

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


def usable() -> int:
    """The number of threads to use: what `asked_for` returns, or one per core.

    Raises:
        InputError: see `asked_for`.
    """
    return asked_for() or logical_cores()


class ThreadPool:
    """A thread pool per process, as threads do not survive a fork."""

    def __init__(self, name: str, threads: int | None = None) -> None:
        """Set the name and size; no threads are started yet.

        Args:
            name: prefix of the threads' names.
            threads: maximum number of threads; None is `usable` at the time of first use.
        """
        self._name, self._threads = name, threads
        self._pools: dict[int, ThreadPoolExecutor] = {}  # by process

    def here(self) -> ThreadPoolExecutor:
        """The pool of this process, made on first use.

        Raises:
            InputError: see `asked_for`.
        """
        process = os.getpid()
        pool = self._pools.get(process)
        if pool is None:
            made = ThreadPoolExecutor(self._threads or usable(), thread_name_prefix=self._name)
            # If several threads make one, all use the first. No lock: a fork might inherit it held.
            pool = self._pools.setdefault(process, made)
        return pool
