"""Where a benchmark ran: what every committed result says of itself."""

from __future__ import annotations

import datetime
import os
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from retrieval.eval.machine import machine, versions


def environment(packages: Sequence[str]) -> dict[str, Any]:
    """Machine, versions, commit and time, as a JSON object."""
    return {
        "machine": asdict(machine()),
        "versions": versions(packages),
        "commit": _git("rev-parse", "HEAD"),
        "uncommitted_changes": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _git(*arguments: str) -> str:
    here = Path(__file__).parent
    done = subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True)
    return done.stdout.strip()


def as_installed() -> dict[str, str]:
    """The environment of a process that finds modules compiled, as those of an installed package.

    The first process compiles them where the package is read from its sources.
    """
    return {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
