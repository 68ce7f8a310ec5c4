"""Seconds and bytes on a device."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from gpu_steps.reporting import Run

_MOST = 200


def seconds(run: Run, work: Callable[[], object], *, warm: int = 1) -> dict[str, Any]:
    """How long `work` takes from its start until the device has done it: best and median."""
    for _ in range(warm):
        work()
    _wait(run)
    taken: list[float] = []
    began = time.perf_counter()
    while len(taken) < 2 or (
        time.perf_counter() - began < run.sizes.seconds and len(taken) < _MOST
    ):
        start = time.perf_counter()
        work()
        _wait(run)
        taken.append(time.perf_counter() - start)
        if run.dry:
            break
    return {"best_s": _round(min(taken)), "median_s": _round(statistics.median(taken))}


def peak(run: Run, work: Callable[[], object]) -> dict[str, Any]:
    """Megabytes on the GPU: before, and the most while `work` runs; nothing where there is none."""
    if not run.on_gpu:
        work()
        return {"before_mb": None, "peak_mb": None}
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    work()
    _wait(run)
    most = torch.cuda.max_memory_allocated()
    return {"before_mb": round(before / 1e6, 1), "peak_mb": round(most / 1e6, 1)}


def _wait(run: Run) -> None:
    if run.on_gpu:
        torch.cuda.synchronize()


def _round(value: float) -> float:
    return float(f"{value:.4g}")
