"""Concurrent clients, and alternating rounds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from service_steps.processes import Server


def call_from_clients(
    server: Server, items: Sequence[Any], clients: int, work: Callable[[Any], object]
) -> Any:
    """Call `work` on each item, from so many threads at once.

    Returns the seconds of each call and of all together, and the CPU seconds of the server.
    """

    def timed(item: Any) -> float:
        started = time.perf_counter()
        work(item)
        return time.perf_counter() - started

    started, cpu_before = time.perf_counter(), server.cpu_seconds()
    with ThreadPoolExecutor(clients) as pool:
        seconds = list(pool.map(timed, items))
    return {
        "seconds": seconds,
        "whole": time.perf_counter() - started,
        "processor": server.cpu_seconds() - cpu_before,
    }


def alternate(rounds: int, first: Callable[[int], Any], second: Callable[[int], Any]) -> list[Any]:
    """The results of both functions in each round. They swap order from round to round.

    Each gets the number of the round; the first round is a warmup and is left out.
    """
    pairs = []
    for number in range(rounds + 1):
        if number % 2:
            b, a = second(number), first(number)
        else:
            a, b = first(number), second(number)
        pairs.append((a, b))
    return pairs[1:]


def medians(pairs: Sequence[Sequence[float]]) -> list[float]:
    """The median of the first numbers of the pairs, and that of the second."""
    return [statistics.median(values) for values in zip(*pairs, strict=True)]


def ratio(pairs: Sequence[Sequence[float]]) -> float:
    """The median of the first numbers divided by that of the second."""
    first, second = medians(pairs)
    return round(first / second, 3)


def growth(memory: Sequence[float]) -> float:
    """Relative growth from the first fifth's median to the last fifth's."""
    part = max(1, len(memory) // 5)
    return round(statistics.median(memory[-part:]) / statistics.median(memory[:part]) - 1, 3)
