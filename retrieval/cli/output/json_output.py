"""Results as one JSON document on standard output."""

from __future__ import annotations

import json
import sys
from typing import Any

from retrieval.service.json_shape import plain_value


def print_json(value: Any, *, whole: bool = True) -> None:
    """Write a value as one JSON document: dataclasses as objects, paths as strings.

    Args:
        value: what `plain_value` knows.
        whole: whether it is all that is printed, and is laid out to be read; else it is a line.
    """
    # A stream that cannot hold every character gets them escaped; JSON reads the same.
    plain = (sys.stdout.encoding or "").replace("-", "").lower() != "utf8"
    text = json.dumps(plain_value(value), ensure_ascii=plain, indent=2 if whole else None)
    sys.stdout.write(f"{text}\n")
