"""Every example runs: Python blocks, commands with their output, and the scripts in examples/."""

import json
import re
import runpy
import sys
from pathlib import Path

import pytest

from retrieval.cli.entry import run
from retrieval.encoders import sharing
from tests.cli.test_models import write_model
from tests.docs.pages import PAGES, ROOT, Command, blocks, commands, name

WITH_PYTHON = [page for page in PAGES if blocks(page, "python")]
WITH_COMMANDS = [page for page in PAGES if blocks(page, "console") and page.name != "README.md"]


@pytest.mark.parametrize("page", WITH_PYTHON, ids=name)
def test_python_examples_run(page: Path, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The blocks of a page run one after the other, as a reader would type them."""
    if page.name == "integrations.md":
        pytest.importorskip("langchain_core")
        pytest.importorskip("mteb")
        pytest.importorskip("haystack")
        pytest.importorskip("llama_index.core")
    namespace: dict[str, object] = {}
    for block in blocks(page, "python"):
        source = "\n" * (block.line - 1) + block.text
        exec(compile(source, str(page), "exec"), namespace)


def matches(shown: str, printed: str) -> bool:
    """Whether the output is what the page shows, where `...` stands for anything."""
    pattern = ".*".join(re.escape(part) for part in shown.strip().split("..."))
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


@pytest.fixture
def embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiny model in the place of the embedded one, and no others."""
    model = write_model(tmp_path / "tiny")
    monkeypatch.setattr("retrieval.encoders.embedded.available_models", lambda: {"tiny": model})
    monkeypatch.setattr("retrieval.encoders.sharing._shared", sharing._Shared())
    monkeypatch.setattr("huggingface_hub.utils._cache_manager.HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.mark.usefixtures("embedded")
@pytest.mark.parametrize("page", WITH_COMMANDS, ids=name)
def test_commands_run_and_print_what_is_shown(
    page: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["index", "docs"]) == 0
    capsys.readouterr()
    for block in blocks(page, "console"):
        for command in commands(block):
            code = run(command.arguments)
            printed = capsys.readouterr()
            failed = command.output.startswith("error: ")
            assert (code != 0) == failed, f"{command}: {printed.err}"
            if command.output:
                text = printed.err if failed else printed.out
                assert matches(command.output, text), f"{command} printed {text}"


@pytest.mark.parametrize("script", sorted((ROOT / "examples").glob("*.py")), ids=name)
def test_scripts_run(
    script: Path,
    project: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert run(["index", "docs"]) == 0
    monkeypatch.setattr(sys, "argv", [str(script)])
    capsys.readouterr()
    runpy.run_path(str(script), run_name="__main__")
    assert capsys.readouterr().out.count("\n") > 3


@pytest.mark.slow
@pytest.mark.parametrize("notebook", sorted((ROOT / "examples").glob("*.ipynb")), ids=name)
def test_notebooks_run(notebook: Path, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The code cells of a notebook run one after the other; it keeps no output."""
    pytest.importorskip("torch")
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    namespace: dict[str, object] = {}
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            assert not cell["outputs"]
            source = "".join(cell["source"])
            exec(compile(source, f"{notebook.name}[{number}]", "exec"), namespace)
    assert capsys.readouterr().out.count("\n") > 5


def test_the_pages_have_what_is_run_here() -> None:
    assert {page.name for page in WITH_PYTHON} >= {"python-api.md", "filters.md", "encoders.md"}
    assert {page.name for page in WITH_COMMANDS} >= {"cli.md", "errors.md", "quickstart.md"}
    (command, *_) = commands(blocks(ROOT / "docs" / "errors.md", "console")[0])
    assert command == Command(
        ["search", "--index", "nowhere", "locks"],
        "error: no index at nowhere; create one with `retrieval index PATH`\n",
    )
    assert not matches("a ... c", "a b d")
