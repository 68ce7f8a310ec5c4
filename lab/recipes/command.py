"""What every recipe does as a command: an exit code, a line for what cannot be done, a log."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from retrieval.errors import RetrievalError


def exit_code(work: Callable[[], None]) -> int:
    """Do it, and say in a line why if it cannot be done; the exit code."""
    try:
        work()
    except (RetrievalError, OSError) as wrong:
        print(f"error: {wrong}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0


@contextmanager
def logged(path: Path) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Writes figures as a line of JSON, to the file and to standard output."""
    with path.open("a", buffering=1) as file:

        def write(figures: dict[str, Any]) -> None:
            line = json.dumps(figures)
            file.write(line + "\n")
            print(line, flush=True)

        yield write
