"""Processor time, memory and percentiles, as every benchmark measures them."""

from __future__ import annotations

import re
import resource
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

_MEMORY = re.compile(r"^(VmRSS|VmHWM|RssAnon):\s*(\d+) kB", re.MULTILINE)


def percentile(samples: Sequence[float], percent: float) -> float:
    """The percentile of some samples in their own unit, linear between the two nearest ranks."""
    return float(np.percentile(samples, percent))


def cpu_seconds(who: int = resource.RUSAGE_SELF) -> float:
    """User and system time of this process, or of the children that it waited for."""
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def memory_mib(pid: int | str = "self") -> dict[str, int]:
    """A process's memory in MiB; empty where there is no such process, or no Linux.

    `VmRSS` is resident now, mapped files included, `VmHWM` the peak of it, and `RssAnon` resident
    now without mapped files.
    """
    with suppress(OSError):
        status = Path(f"/proc/{pid}/status").read_text()
        return {name: int(kib) // 1024 for name, kib in _MEMORY.findall(status)}
    return {}
