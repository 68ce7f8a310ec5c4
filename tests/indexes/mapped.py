"""How much of files this process has mapped and read, as Linux counts it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def mapped_megabytes() -> float:
    """Resident pages of files."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    # Those of a file system in memory are told apart.
    held = (status.split(kind)[1].split()[0] for kind in ("RssFile:", "RssShmem:"))
    return sum(map(int, held)) / 1024


def watched(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> list[float]:
    """What is mapped now, and then after each call of a method."""
    found = [mapped_megabytes()]
    method: Callable[..., Any] = getattr(owner, name)

    def called(*arguments: Any) -> Any:
        answer = method(*arguments)
        found.append(mapped_megabytes())
        return answer

    monkeypatch.setattr(owner, name, called)
    return found


def resident(path: Path) -> int:
    """Bytes of one file that this process has mapped and read."""
    found, counted = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split(" ")[0]:
            counted = line.endswith(f" {path}")
        elif counted and line.startswith("Rss:"):
            found += int(line.split()[1]) * 1024
    return found
