"""Time and memory of calls on a device."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from gpu_steps.reporting import Run

_MAX_CALLS = 200


def time_calls(run: Run, work: Callable[[], object], *, warmup: int = 1) -> dict[str, Any]:
    """Best and median seconds of a call, from its start until the device has finished.

    Args:
        run: the run, which says for how long to measure.
        work: what is measured.
        warmup: calls before those that count.
    """
    for _ in range(warmup):
        work()
    _synchronise(run)
    samples: list[float] = []
    started = time.perf_counter()
    while len(samples) < 2 or (
        time.perf_counter() - started < run.sizes.seconds and len(samples) < _MAX_CALLS
    ):
        call_started = time.perf_counter()
        work()
        _synchronise(run)
        samples.append(time.perf_counter() - call_started)
        if run.dry:
            break
    return {
        "best_s": _four_digits(min(samples)),
        "median_s": _four_digits(statistics.median(samples)),
    }


def peak_memory(run: Run, work: Callable[[], object]) -> dict[str, Any]:
    """Megabytes on the GPU before a call, and their peak during it; None without a GPU."""
    if not run.on_gpu:
        work()
        return {"before_mb": None, "peak_mb": None}
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    work()
    _synchronise(run)
    peak = torch.cuda.max_memory_allocated()
    return {"before_mb": round(before / 1e6, 1), "peak_mb": round(peak / 1e6, 1)}


def _synchronise(run: Run) -> None:
    if run.on_gpu:
        torch.cuda.synchronize()


def _four_digits(value: float) -> float:
    return float(f"{value:.4g}")
