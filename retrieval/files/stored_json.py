"""Reading JSON from untrusted files: anything wrong with it raises ValueError."""

from __future__ import annotations

import json
from typing import Any

_MOST = 1 << 53
"""Our own whole numbers are far smaller; larger ones would overflow somewhere."""


def parsed(text: object) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is not text or bytes, not JSON, or nested too deeply to be read.
    """
    if not isinstance(text, str | bytes):
        raise ValueError(f"{type(text).__name__} in the place of JSON")
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("JSON that is nested too deep") from None


def whole(value: object, least: int = 0) -> int:
    """The value, if it is a whole number from `least` to 2**53.

    Raises:
        ValueError: it is anything else, such as 1e999, which JSON allows.
    """
    if type(value) is not int or not least <= value <= _MOST:
        raise ValueError(f"{value!r:.40} in the place of a whole number from {least} on")
    return value
