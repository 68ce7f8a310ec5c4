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


class ThreadPool:
    """A pool of threads in each process: one that was forked has none of its parent's."""

    def __init__(self, threads: int, name: str) -> None:
        self._threads, self._name = threads, name
        self._owned: tuple[int, ThreadPoolExecutor] | None = None

    def here(self) -> ThreadPoolExecutor:
        """The pool of this process, made when it is first asked for."""
        owned = self._owned
        if owned is None or owned[0] != os.getpid():
            owned = os.getpid(), ThreadPoolExecutor(self._threads, thread_name_prefix=self._name)
            self._owned = owned
        return owned[1]
