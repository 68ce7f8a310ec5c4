"""A benchmark as a command: what is wrong with its input is said in a line."""

from __future__ import annotations

import sys
from collections.abc import Callable

from retrieval.errors import RetrievalError


def as_command(main: Callable[[], object]) -> None:
    """Do it; a wrong input ends the process with one line and exit code 1."""
    try:
        main()
    except (OSError, RetrievalError) as wrong:
        sys.exit(f"error: {wrong}")
