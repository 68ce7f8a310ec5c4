"""JSON of files that somebody else may have made: all that is wrong with it is a ValueError."""

from __future__ import annotations

import json
from typing import Any

_MOST = 1 << 53
"""Whole numbers of ours are far below: greater ones overflow somewhere."""


def parsed(text: object) -> Any:
    """The value that JSON stands for.

    Raises:
        ValueError: it is no text or bytes, no JSON, or nested deeper than can be read.
    """
    if not isinstance(text, str | bytes):
        raise ValueError(f"{type(text).__name__} in the place of JSON")
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("JSON that is nested too deep") from None


def whole(value: object, least: int = 0) -> int:
    """The value, if it is a whole number from `least` on.

    Raises:
        ValueError: it is another number or none, such as 1e999, which JSON can hold.
    """
    if type(value) is not int or not least <= value <= _MOST:
        raise ValueError(f"{value!r:.40} in the place of a whole number from {least} on")
    return value
