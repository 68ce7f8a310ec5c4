"""A command is one module: what lies in the folder of commands is a command."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import retrieval.cli.program
from retrieval.cli.commands import app
from retrieval.cli.program import import_commands

MODULE = '''"""`retrieval greet`."""

import sys

from retrieval.cli.program import app


@app.command()
def greet(name: str) -> None:
    """Say hello."""
    sys.stdout.write(f"hello {name}\\n")
'''


@pytest.fixture
def _program_as_it_was() -> object:
    before = list(app.registered_commands)
    yield
    app.registered_commands[:] = before


@pytest.mark.usefixtures("_program_as_it_was")
def test_a_module_in_the_folder_of_commands_adds_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "extra").mkdir()
    (tmp_path / "extra" / "__init__.py").write_text("")
    (tmp_path / "extra" / "greet.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    import_commands("extra", [str(tmp_path / "extra")])
    done = CliRunner().invoke(app, ["greet", "reader"])
    assert (done.exit_code, done.output) == (0, "hello reader\n")
    for name in ("extra", "extra.greet"):
        sys.modules.pop(name, None)


def test_help_names_every_command_those_that_one_needs_first() -> None:
    shown = CliRunner().invoke(app, ["--help"]).output
    listed = [line.split()[0] for line in shown.split("Commands:\n")[1].splitlines() if line]
    folder = Path(retrieval.cli.program.__file__).parent / "commands"
    modules = {path.stem for path in folder.iterdir() if not path.stem.startswith("__")}
    assert set(listed) == modules
    assert listed[:2] == ["index", "search"]
    assert listed[-3:] == sorted(listed[-3:])
