"""Results as JSON files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON in UTF-8, replacing the file if there is one."""
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
