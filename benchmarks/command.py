"""Runs a benchmark as a command: bad input is reported in one line."""

from __future__ import annotations

import sys
from collections.abc import Callable

from retrieval.errors import RetrievalError


def run_main(main: Callable[[], object]) -> None:
    """Call `main`; on bad input, exit with code 1 and a one-line message."""
    try:
        main()
    except (OSError, RetrievalError) as error:
        sys.exit(f"error: {error}")
