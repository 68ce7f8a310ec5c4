"""Files of test collections in the tests: written and loaded."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from retrieval.eval.datasets import Collection, load, recognise


def write(path: Path, content: str | Iterable[Mapping[str, Any]]) -> Path:
    """A text, or rows as JSON lines; zipped where the name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not isinstance(content, str):
        content = "".join(json.dumps(row) + "\n" for row in content)
    data = content.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Rows as parquet; the test is skipped without pyarrow."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def only(source: Path, split: str | None = None) -> Collection:
    (found,) = load(str(source), split)
    return found


def texts(collection: Collection) -> dict[str, str]:
    return {document.id: document.text for document in collection.documents}


def format_of(folder: Path) -> str:
    found = recognise(folder)
    assert found is not None
    return found.name
