"""The folder of a run: claiming it, resuming in it, and writing its files."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from retrieval.errors import InputError
from retrieval.files.whole import write_whole

TRAINING = ".training"


@contextlib.contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Turn errors into an InputError that says that the folder is not writable."""
    try:
        yield
    except OSError as wrong:
        raise InputError(
            f"{folder} cannot be written ({wrong.strerror or wrong}); name a folder that can be"
        ) from None


def begin(out: Path, work: Path, identity: dict[str, Any]) -> None:
    """Claim the folder for this run, or resume it if it is this run's already."""
    path = work / "run.json"
    if path.exists():
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            known = {}
        if known != identity:
            raise InputError(
                f"{out} holds an unfinished run with {_difference(known, identity)}; "
                f"give the same command to continue, remove {work}, or name another folder"
            )
        return
    if out.exists() and any(entry.name != TRAINING for entry in out.iterdir()):
        raise InputError(f"{out} is not empty; name a new or an empty folder")
    work.mkdir(parents=True, exist_ok=True)
    write_json(path, identity)


def _difference(known: dict[str, Any], now: dict[str, Any]) -> str:
    """A description of how an unfinished run differs from this one."""
    if known.get("task") != now["task"]:
        return "other data"
    if known.get("start") != now["start"]:
        return "another starting model"
    before, wanted = known.get("options", {}), now["options"]
    changed = [name for name in wanted if before.get(name) != wanted[name]]
    return ", ".join(f"{name} {before.get(name)}, not {wanted[name]}" for name in changed)


def write_json(path: Path, value: Any) -> None:
    """Write a value, whole or not at all."""
    write_whole(path, json.dumps(value, indent=2) + "\n")
