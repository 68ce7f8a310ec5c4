"""Clients that ask at once, and rounds that take turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from service_steps.processes import Server


def by_clients(
    server: Server, items: Sequence[Any], clients: int, work: Callable[[Any], object]
) -> Any:
    """Seconds of each item and of all, and those that the server took of the processor."""

    def timed(item: Any) -> float:
        began = time.perf_counter()
        work(item)
        return time.perf_counter() - began

    began, processor = time.perf_counter(), server.processor()
    with ThreadPoolExecutor(clients) as pool:
        seconds = list(pool.map(timed, items))
    return {
        "seconds": seconds,
        "whole": time.perf_counter() - began,
        "processor": server.processor() - processor,
    }


def in_turns(rounds: int, first: Callable[[int], Any], second: Callable[[int], Any]) -> list[Any]:
    """The pairs of rounds, of which each begins with the other one; the first does not count."""
    pairs = []
    for number in range(rounds + 1):
        if number % 2:
            b, a = second(number), first(number)
        else:
            a, b = first(number), second(number)
        pairs.append((a, b))
    return pairs[1:]


def medians(pairs: Sequence[Sequence[float]]) -> list[float]:
    """Of the first of the pairs, and of the second."""
    return [statistics.median(one) for one in zip(*pairs, strict=True)]


def ratio(pairs: Sequence[Sequence[float]]) -> float:
    """The first's median over the second's."""
    first, second = medians(pairs)
    return round(first / second, 3)


def growth(memory: Sequence[float]) -> float:
    """The last fifth's median over the first fifth's, less one."""
    part = max(1, len(memory) // 5)
    return round(statistics.median(memory[-part:]) / statistics.median(memory[:part]) - 1, 3)
