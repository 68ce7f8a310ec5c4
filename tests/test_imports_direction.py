"""Imports run downwards only, and documents, encoders, indexes and store stay apart.

`lab`, which is not installed, stands above `retrieval.train`; nothing in the package imports it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import retrieval

PACKAGE = "retrieval"
OUTSIDE = {"lab", "tests", "benchmarks", "examples"}
"""What stands beside the package in a checkout, and is not installed with it."""

LEVELS = (
    {"errors", "encoder", "cancellation", "gpu", "malloc", "numeric", "tracing"},
    {"types"},
    {"files", "ragged", "hits", "threads"},
    {"documents", "encoders", "indexes", "store"},
    {"index"},
    {"sync"},
    {"sharded"},
    {"service", "eval"},
    {"train"},
    {"mcp", "server", "integrations"},
    {"cli"},
    {"__main__"},
)
"""Lowest first. A unit imports itself and what stands on lower levels, nothing beside it."""

LEVEL: Mapping[str, int] = {unit: at for at, units in enumerate(LEVELS) for unit in units}


def imported(tree: ast.AST, module: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every import in the tree, relative ones resolved, guarded ones too.

    Args:
        tree: a module's syntax tree.
        module: the package that relative imports start from, as parts.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            start = module[: len(module) - node.level + 1] if node.level else ()
            base = ".".join([*start, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"


def violations(root: Path) -> list[str]:
    """`file:line: unit imports unit` for every import of the package at `root` that may not be."""
    found = []
    for file in sorted(root.rglob("*.py")):
        parts = file.relative_to(root).with_suffix("").parts
        if parts == ("__init__",):  # the public surface names what lies below it
            continue
        unit = parts[0]
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for line, name in imported(tree, (PACKAGE, *parts[:-1])):
            if name.partition(".")[0] in OUTSIDE:
                found.append(f"{file.name}:{line}: {unit} imports {name}, which is not installed")
            if name.partition(".")[0] != PACKAGE or name == f"{PACKAGE}.__version__":
                continue
            target = name.split(".")[1] if "." in name else "__init__"
            if unit not in LEVEL:
                found.append(f"{file.name}:{line}: {unit} has no level")
            elif target not in LEVEL:
                found.append(f"{file.name}:{line}: {unit} imports {target}, which has no level")
            elif target != unit and LEVEL[target] >= LEVEL[unit]:
                found.append(f"{file.name}:{line}: {unit} imports {target}")
    return found


def lab_violations(root: Path) -> list[str]:
    """The same for the lab at `root`: of the package, it imports `train` and what is below."""
    found = []
    for file in sorted(root.rglob("*.py")):
        parts = ("lab", *file.relative_to(root).with_suffix("").parts)
        for line, name in imported(ast.parse(file.read_text(encoding="utf-8")), parts[:-1]):
            top, _, rest = name.partition(".")
            if top in OUTSIDE - {"lab"} or (
                top == PACKAGE and LEVEL.get(rest.split(".")[0], len(LEVELS)) > LEVEL["train"]
            ):
                found.append(f"{file.name}:{line}: lab imports {name}")
    return found


def test_imports_run_downwards() -> None:
    package = Path(retrieval.__file__).parent
    assert violations(package) == []
    assert lab_violations(package.parent / "lab") == []


@pytest.mark.parametrize(
    ("file", "source", "expected"),
    [
        ("store/a.py", "from retrieval.index import Index", "store imports index"),
        ("types.py", "import retrieval.documents.passages", "types imports documents"),
        ("documents/a.py", "from retrieval.encoders import load_encoder", "documents imports enc"),
        ("encoders/a.py", "import retrieval.indexes.dense as d", "encoders imports indexes"),
        ("indexes/a.py", "from retrieval import documents", "indexes imports documents"),
        ("indexes/a.py", "from ..store import Store", "indexes imports store"),
        ("indexes/__init__.py", "from ..store.schema import Settings", "indexes imports store"),
        ("index/a.py", "def f():\n    from retrieval.sync import sync", "index imports sync"),
        ("index/a.py", "if TYPE_CHECKING:\n    import retrieval.cli.commands", "index imports cli"),
        ("eval/a.py", "from retrieval.train import distill", "eval imports train"),
        ("index/a.py", "from retrieval import Index", "index imports Index, which has no level"),
        ("mcp/a.py", "from retrieval.server import app", "mcp imports server"),
        ("server/a.py", "from retrieval.cli.output import hits", "server imports cli"),
        ("integrations/a.py", "from retrieval.server import app", "integrations imports server"),
        ("index/a.py", "import retrieval", "index imports __init__, which has no level"),
        ("train/a.py", "from lab.text import corpus", "lab.text.corpus, which is not installed"),
        ("helpers.py", "from retrieval.types import Hit", "helpers has no level"),
    ],
)
def test_the_walk_sees_a_violation(tmp_path: Path, file: str, source: str, expected: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(source)
    found = violations(tmp_path)
    assert len(found) == 1
    assert expected in found[0]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from retrieval.cli import main", "lab imports retrieval.cli.main"),
        ("import benchmarks.chart", "lab imports benchmarks.chart"),
        ("from retrieval.train import ranking\nfrom ..text import corpus", None),
    ],
)
def test_the_lab_stands_on_training(tmp_path: Path, source: str, expected: str | None) -> None:
    (tmp_path / "distillation").mkdir()
    (tmp_path / "distillation" / "a.py").write_text(source)
    found = lab_violations(tmp_path)
    assert found == ([] if expected is None else [f"a.py:1: {expected}"])


def test_the_walk_lets_the_direction_pass(tmp_path: Path) -> None:
    (tmp_path / "index").mkdir()
    (tmp_path / "__init__.py").write_text("from retrieval.index import Index")
    (tmp_path / "index" / "a.py").write_text(
        "import numpy\n"
        "from retrieval import __version__, documents\n"
        "from retrieval.files.lock import WriterLock\n"
        "from . import b\n"
        "from .b import c\n"
        "from ..types import Hit\n"
    )
    assert violations(tmp_path) == []
