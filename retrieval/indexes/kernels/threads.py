"""Threads over the parts of one call: compiled code releases the interpreter's lock."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

from retrieval.threads import usable

_PARTS_A_THREAD = 4  # so that one slow core does not hold up all

_lock = threading.Lock()
_pools: dict[tuple[int, str, int], ThreadPoolExecutor] = {}
"""By process id (which a fork changes), purpose and size."""


def count() -> int:
    """How many threads a call may use: RETRIEVAL_THREADS, or this process's share of the cores.

    Raises:
        InputError: the variable is not a whole number of at least 1.
    """
    return usable()


def cut(size: int, weight: int, threads: int) -> list[int]:
    """Bounds of parts of `size` items, which cost about `weight` multiplications in all."""
    if threads == 1 or weight < 1 << 23 or size < 2:  # 40 us: waking threads costs more
        return [0, size]
    parts = min(size, threads * _PARTS_A_THREAD)
    return [size * part // parts for part in range(parts + 1)]


def spread(
    work: Callable[[int, int], object],
    bounds: Sequence[int],
    threads: int,
    purpose: str = "kernel",
) -> None:
    """Call `work(first, last)` for each part, several at a time, in the caller's thread too.

    Args:
        work: processes a part.
        bounds: of consecutive parts.
        threads: how many run at a time.
        purpose: names the pool; nested calls need pools of different purposes.
    """
    parts = list(itertools.pairwise(bounds))
    helpers = min(threads, len(parts)) - 1
    if helpers < 1:
        for first, last in parts:
            work(first, last)
        return
    turn = itertools.count()

    def claim() -> None:
        # next() on a count is atomic under the interpreter's lock, so no part is taken twice.
        while (place := next(turn)) < len(parts):
            work(*parts[place])

    waiting = [_pool(purpose, helpers).submit(claim) for _ in range(helpers)]
    try:
        claim()
    finally:
        # A helper that has not begun, because all threads were busy, has nothing left to do.
        begun = [future for future in waiting if not future.cancel()]
        wait(begun)
    for future in begun:
        future.result()


def _pool(purpose: str, helpers: int) -> ThreadPoolExecutor:
    key = (os.getpid(), purpose, helpers)
    with _lock:
        if key not in _pools:
            _pools[key] = ThreadPoolExecutor(helpers, thread_name_prefix=f"retrieval-{purpose}")
        return _pools[key]
