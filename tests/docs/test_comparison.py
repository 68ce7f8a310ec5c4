"""The comparison with other libraries: what is said of this package is tested where it says so."""

from __future__ import annotations

import ast
import json
import re

import pytest

from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "comparison.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("|") and line.count("|") == 9
]
FEATURES = [row for row in ROWS if row[0] and set(row[0]) != {"-"}]
NAMED = re.compile(r"^yes(?:, [\w ]+)?: `(tests/[\w/]+\.py)::(\w+)`$")
OTHERS = ["LanceDB", "Qdrant", "Chroma", "txtai", "PyLate", "sentence-transformers"]


def test_every_table_has_the_same_columns() -> None:
    heads = [row for row in ROWS if not row[0]]
    assert len(heads) >= 5 and all(row == ["", "here", *OTHERS] for row in heads)
    assert len(FEATURES) > 40 and all(all(row) for row in FEATURES)


@pytest.mark.parametrize("row", FEATURES, ids=[row[0] for row in FEATURES])
def test_each_yes_of_ours_names_a_test_that_is_there(row: list[str]) -> None:
    ours = row[1]
    if not ours.startswith("yes"):
        assert "`" not in ours
        return
    named = NAMED.match(ours)
    assert named is not None, ours
    path = ROOT / named[1]
    assert path.is_file(), f"{named[1]} is not there"
    found = {
        node.name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    assert named[2] in found and named[2].lower().startswith("test"), (
        f"{named[1]} has no {named[2]}"
    )


@pytest.mark.parametrize("row", FEATURES, ids=[row[0] for row in FEATURES])
def test_each_cell_of_others_says_where_it_was_seen(row: list[str]) -> None:
    for name, cell in zip(OTHERS, row[2:], strict=True):
        called = cell.startswith("*") and cell.endswith("*")
        assert called or "`" in cell or "](https://" in cell or cell.startswith("none"), (
            f"{name}: {cell} was not seen anywhere"
        )


def test_what_was_not_found_was_looked_for() -> None:
    result = json.loads((ROOT / "benchmarks" / "results" / "peers.json").read_text())
    assert result["names_not_defined"] == []
    without = [row[0] for row in FEATURES if any(cell == "none found" for cell in row[2:])]
    assert set(without) <= set(result["words"])
