"""Reading text from standard input."""

from __future__ import annotations

import sys
from collections.abc import Callable

from retrieval.errors import InputError


def all_text() -> str:
    """All that is left of it; raises as `next_line` does."""
    return _text(sys.stdin.read)


def next_line() -> str:
    """The next line with its end, "" at the end of the input.

    Raises:
        InputError: it is not text in the encoding that the environment says.
    """
    return _text(sys.stdin.readline)


def _text(read: Callable[[], str]) -> str:
    try:
        return read()
    except UnicodeDecodeError as error:
        raise InputError(
            f"standard input is not text in {error.encoding.upper()} ({error.reason}); convert it, "
            "as by iconv"
        ) from None
