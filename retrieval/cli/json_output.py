"""Results as one JSON document on standard output."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any


def print_json(value: Any) -> None:
    """Write a value as one JSON document: dataclasses as objects, paths as strings."""
    # A stream that cannot hold every character gets them escaped; JSON reads the same.
    plain = (sys.stdout.encoding or "").replace("-", "").lower() != "utf8"
    sys.stdout.write(json.dumps(plain_value(value), ensure_ascii=plain, indent=2) + "\n")


def plain_value(value: Any) -> Any:
    """The value in what JSON knows; NaN and infinities, which it does not, as null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain_value(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_value(item) for item in value]
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, str | bool | int | None):
        return value
    number = float(value)
    return number if abs(number) < float("inf") else None
