"""Files to sync, and what a sync did with them."""

from __future__ import annotations

import json
import os
from pathlib import Path

from retrieval.sync import SyncReport

LONG_AGO = 1_600_000_000


def write(path: Path, text: str | bytes, *, age: int = 0) -> Path:
    """A file whose time of change is long past, so that it counts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    os.utime(path, (LONG_AGO - age, LONG_AGO - age))
    return path


def jsonl(path: Path, records: list[dict[str, object]], *, age: int = 0) -> Path:
    return write(path, "".join(f"{json.dumps(record)}\n" for record in records), age=age)


def counts(report: SyncReport) -> tuple[int, int, int, int]:
    return report.added, report.updated, report.unchanged, report.deleted
