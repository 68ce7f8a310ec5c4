"""Threads: how many a process may use for what is compiled, and pools that outlive a fork."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from retrieval.errors import InputError

VARIABLE = "RETRIEVAL_THREADS"

_share: int | None = None


def share_cores(processes: int) -> None:
    """From now on, use but the share of the cores that one of so many processes has."""
    global _share
    _share = max(1, logical_cores() // max(1, processes))


def asked_for() -> int | None:
    """What RETRIEVAL_THREADS says, or else this process's share; None if all cores are its own.

    Raises:
        InputError: the variable is no whole number of at least 1.
    """
    given = os.environ.get(VARIABLE)
    if given is None:
        return _share
    if not given.isdecimal() or int(given) < 1:
        raise InputError(f"{VARIABLE}={given!r} is no number of threads; set a whole number from 1")
    return int(given)


def logical_cores() -> int:
    """Cores that this process may run on, hardware threads counted each."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # not on macOS


def usable() -> int:
    """How many threads to work with: as many as were asked for, or else one for each core.

    Raises:
        InputError: see `asked_for`.
    """
    return asked_for() or logical_cores()


class ThreadPool:
    """A pool of threads in each process: one that was forked has none of its parent's."""

    def __init__(self, name: str, threads: int | None = None) -> None:
        """Nothing is made yet.

        Args:
            name: of its threads.
            threads: how many there are at most; None is `usable`, when the pool is first asked for.
        """
        self._name, self._threads = name, threads
        self._pools: dict[int, ThreadPoolExecutor] = {}  # by process

    def here(self) -> ThreadPoolExecutor:
        """The pool of this process, made when it is first asked for.

        Raises:
            InputError: see `asked_for`.
        """
        process = os.getpid()
        pool = self._pools.get(process)
        if pool is None:
            made = ThreadPoolExecutor(self._threads or usable(), thread_name_prefix=self._name)
            # Of several made at once the first is everybody's. A lock might be held in a fork.
            pool = self._pools.setdefault(process, made)
        return pool
