"""The public surface: what it names, and what it costs to import."""

from __future__ import annotations

import ast
import inspect
import json
import re
import subprocess
import sys
import typing
from pathlib import Path
from types import ModuleType

import pytest

import retrieval
import retrieval.documents
from retrieval import errors

ROOT = Path(retrieval.__file__).parent
HEAVY = ("torch", "transformers", "faiss", "onnxruntime", "tantivy", "sentence_transformers")


def test_exported_names() -> None:
    assert sorted(retrieval.__all__) == [
        "Document",
        "Embeddings",
        "Filter",
        "Hit",
        "Hits",
        "Hybrid",
        "Index",
        "LateOptions",
        "Passage",
        "RetrievalError",
        "TokenMatch",
        "__version__",
    ]
    for name in retrieval.__all__:
        assert getattr(retrieval, name) is not None
    assert dir(retrieval) == retrieval.__all__


@pytest.mark.parametrize("package", [retrieval, retrieval.documents])
def test_a_type_checker_knows_every_name_and_no_other(package: ModuleType) -> None:
    """A `__getattr__` that it sees gives any name, misspelt ones too, the type Any."""
    seen: set[str] = set()
    for node in ast.parse(Path(str(package.__file__)).read_text()).body:
        hidden = isinstance(node, ast.If) and ast.unparse(node.test) == "not TYPE_CHECKING"
        for one in () if hidden else ast.walk(node):
            assert getattr(one, "name", "") != "__getattr__"
            if isinstance(one, ast.ImportFrom):
                seen |= {alias.asname or alias.name for alias in one.names}
    assert {*package.__all__} <= {*seen, "__version__"}


def test_index_is_the_index() -> None:
    from retrieval.index import Index
    from retrieval.indexes import Filter

    assert retrieval.Index is Index
    assert retrieval.Filter is Filter


def test_types_of_the_index_are_there_for_whoever_asks_at_run_time() -> None:
    """As frameworks do that make a tool or a form of a function."""
    for name, method in inspect.getmembers(retrieval.Index, inspect.isfunction):
        if not name.startswith("_") and name != "writing":  # which loads what writes
            assert "return" in typing.get_type_hints(method), name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = retrieval.nothing  # type: ignore[attr-defined]


def loaded_by(statement: str, after: str = "pass") -> set[str]:
    """Top-level modules that a fresh interpreter loads at the statement, after another one.

    Without another, all that it has: what it starts with counts.
    """
    had = "[]" if after == "pass" else "{name.partition('.')[0] for name in sys.modules}"
    script = (
        f"import json, sys\n{after}\nhad = {had}\n{statement}\n"
        "print(json.dumps([one for one in sys.modules if one.partition('.')[0] not in had]))"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in json.loads(out.stdout)}


def test_importing_the_package_is_cheap() -> None:
    assert not loaded_by("import retrieval") & {*HEAVY, "numpy", "sqlite3", "typer", "rich"}


def test_a_command_loads_no_framework_for_its_options(tmp_path: Path) -> None:
    script = (
        "from retrieval.cli.entry import run\n"
        f"assert run(['list', '--index', {str(tmp_path)!r}]) == 1  # there is no index"
    )
    loaded = loaded_by(script)
    assert "typer" in loaded
    assert not loaded & {*HEAVY, "pydantic", "rich"}


def test_an_index_and_a_sync_load_nothing_heavy_before_they_run() -> None:
    assert not loaded_by("import retrieval.sync; retrieval.Index").intersection(HEAVY)


def module_names() -> list[str]:
    files = (path.relative_to(ROOT.parent).with_suffix("") for path in ROOT.rglob("*.py"))
    names = (".".join(file.parts).removesuffix(".__init__") for file in files)
    return sorted(name for name in names if not name.endswith("__main__"))


def test_a_heavy_module_would_be_seen() -> None:
    assert "faiss" in loaded_by("import faiss")


def test_no_module_outside_torch_country_loads_anything_heavy() -> None:
    """The networks and the training are torch modules, imported on use; nothing else may be.

    What stands behind another library's interface is looked at where that library is installed.
    """
    country = (
        "retrieval.train",
        "retrieval.encoders.",
        "retrieval.indexes.gpu.",
        "retrieval.integrations.",
    )
    light = [name for name in module_names() if not name.startswith(country)]
    assert len(light) > 20
    assert not loaded_by("import " + ", ".join(light)).intersection(HEAVY)


def test_the_tree_of_errors_names_every_class() -> None:
    """In the order of their bases, each below its own."""
    named: list[type] = []
    above: list[tuple[int, type]] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"    ([│├└─ ]*)(\w+)(  |$)", line)
        if found is None:
            continue
        own: type = getattr(errors, found[2])
        above = [(depth, one) for depth, one in above if depth < len(found[1])]
        assert own.__base__ is Exception or above[-1][1] in own.__bases__
        above.append((len(found[1]), own))
        named.append(own)
    every = [one for one in vars(errors).values() if isinstance(one, type)]
    assert sorted(map(str, named)) == sorted(map(str, every))
