"""Timing a call."""

from __future__ import annotations

import time
from collections.abc import Callable


def time_call(work: Callable[[], object]) -> float:
    """Wall seconds of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
