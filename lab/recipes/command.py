"""Runs a recipe as a command: exit codes, one-line errors, and a log."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from retrieval.errors import RetrievalError


def run_recipe(work: Callable[[], None]) -> int:
    """Call `work`; the exit code, with an error printed as one line."""
    try:
        work()
    except (RetrievalError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from the last checkpoint", file=sys.stderr)
        return 130
    return 0


@contextmanager
def open_log(path: Path) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A function that writes figures as a line of JSON to the file and to standard output."""
    with path.open("a", buffering=1) as file:

        def write(figures: dict[str, Any]) -> None:
            line = json.dumps(figures)
            file.write(line + "\n")
            print(line, flush=True)

        yield write
