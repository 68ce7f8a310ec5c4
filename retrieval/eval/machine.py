"""Where an evaluation ran, and the memory that it took."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Machine:
    """What a figure of speed or memory was measured on; None where the system does not tell.

    Attributes:
        cpu: the processor's name.
        cpu_family: its family and model numbers (Linux): one name stands for several processors.
        cores: how many it has, hardware threads counted.
        memory_gb: in units of 10^9 bytes.
        system: the operating system and the instruction set.
    """

    cpu: str
    cpu_family: str | None
    cores: int | None
    memory_gb: float | None
    system: str

    def facts(self) -> dict[str, str]:
        """In words, as reports show it, without what is not known."""
        found = {"cpu": self.cpu, "cores": str(self.cores or ""), "system": self.system}
        if self.memory_gb is not None:
            found["memory"] = f"{self.memory_gb} GB"
        return {name: fact for name, fact in found.items() if fact}


def machine() -> Machine:
    """This machine."""
    cpu = _cpu_fields()
    numbers = (cpu.get("cpu family"), cpu.get("model"))
    memory = None
    with suppress(ValueError, OSError, AttributeError):
        memory = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    return Machine(
        cpu=cpu.get("model name") or platform.processor(),
        cpu_family="family {}, model {}".format(*numbers) if all(numbers) else None,
        cores=os.cpu_count(),
        memory_gb=memory,
        system=f"{platform.system()} {platform.machine()}",
    )


def versions(packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """Python's version, and each package's that is installed."""
    found = {"python": platform.python_version()}
    for package in packages:
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


def _cpu_fields() -> dict[str, str]:
    """What Linux says of its first processor."""
    fields: dict[str, str] = {}
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            fields.setdefault(key.strip(), value.strip())
    return fields
