"""Where a benchmark ran: the provenance that every committed result carries."""

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
    """Machine, package versions, git commit and UTC time, as a JSON object."""
    return {
        "machine": asdict(machine()),
        "versions": versions(packages),
        "commit": _git("rev-parse", "HEAD"),
        "uncommitted_changes": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _git(*arguments: str) -> str:
    folder = Path(__file__).parent
    completed = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True)
    return completed.stdout.strip()


def subprocess_environment() -> dict[str, str]:
    """Environment variables of a child process that is to cache bytecode, as installed packages do.

    Only the first child compiles the package's modules then, even where it runs from its sources.
    """
    return {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
