"""What to say of a folder that no format fits: what it holds, and what is missing."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from retrieval.errors import RetrievalError
from retrieval.eval.datasets.format import Format
from retrieval.eval.datasets.splits import entries

_DEPTH, _MOST, _SHOWN = 3, 500, 6
_ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2")


def explain(folder: Path, formats: Sequence[Format]) -> str:
    """One line: what the folder holds, in which format a folder deeper in it is, what is missing.

    Args:
        formats: those that were tried, in order.
    """
    names = [path.name + ("/" if path.is_dir() else "") for path in entries(folder)]
    shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    said = f"{folder} is in no format that is known; it holds {shown or 'nothing'}"
    deeper = _deeper(folder, formats)
    if deeper is not None:
        return f"{said}; {deeper[0]} in it is {deeper[1]}: give that folder"
    expected = f"expected one of: {', '.join(one.name for one in formats)}"
    hints = (one.lacking(folder) for one in formats)
    return f"{said}; {next(filter(None, hints), None) or _archives(folder) or expected}"


def _deeper(folder: Path, formats: Sequence[Format]) -> tuple[Path, str] | None:
    """The first folder below that is a collection, the nearest first."""
    level, seen = [folder], 0
    for _ in range(_DEPTH):
        level = [path for over in level for path in entries(over) if path.is_dir()]
        for path in level[: _MOST - seen]:
            for one in formats:
                with contextlib.suppress(RetrievalError, OSError):
                    if one.recognises(path):
                        return path.relative_to(folder), one.name
        seen += len(level)
        if seen >= _MOST:
            break
    return None


def _archives(folder: Path) -> str | None:
    packed = any(path.name.endswith(_ARCHIVES) for path in entries(folder))
    return "unpack the archives first" if packed else None
