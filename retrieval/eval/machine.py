"""Where an evaluation ran, and the memory that it took."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from contextlib import suppress
from pathlib import Path

PACKAGES = (
    "modernbert-retrieval",
    "bm25s",
    "faiss-cpu",
    "ir-measures",
    "numpy",
    "onnxruntime",
    "sentence-transformers",
    "tantivy",
    "torch",
)

_SELF = Path("/proc/self")


def machine() -> dict[str, str]:
    """Facts about this machine; those that cannot be told are left out."""
    facts = {
        "cpu": _cpu(),
        "cores": str(os.cpu_count() or ""),
        "system": f"{platform.system()} {platform.machine()}",
    }
    with suppress(ValueError, OSError, AttributeError):
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        facts["memory"] = f"{size / 1e9:.1f} GB"
    return {name: fact for name, fact in facts.items() if fact}


def versions() -> dict[str, str]:
    """Version by package, of those that are installed and matter."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def forget_peak() -> bool:
    """Start the measuring of peak memory over; whether the system can (Linux)."""
    try:
        (_SELF / "clear_refs").write_text("5")
    except OSError:
        return False
    return True


def peak_rss_mb() -> float | None:
    """Largest resident memory since `forget_peak`, in megabytes."""
    try:
        lines = (_SELF / "status").read_text().splitlines()
    except OSError:
        return None
    found = next((line.split()[1] for line in lines if line.startswith("VmHWM:")), None)
    return None if found is None else int(found) / 1024


def _cpu() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
