"""Results as one JSON document on standard output."""

from __future__ import annotations

import json
import sys
from typing import Any

from retrieval.service.json_shape import plain_value


def print_json(value: Any, *, whole: bool = True) -> None:
    """Write a value as one JSON document: dataclasses as objects, paths as strings.

    Args:
        value: anything that `plain_value` can convert.
        whole: whether it is the whole output, which is indented; otherwise it is one line.
    """
    # A stream that cannot represent every character gets escapes, which mean the same in JSON.
    plain = (sys.stdout.encoding or "").replace("-", "").lower() != "utf8"
    text = json.dumps(plain_value(value), ensure_ascii=plain, indent=2 if whole else None)
    sys.stdout.write(f"{text}\n")
