"""A command is one module: what lies in the folder of commands is a command."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

import retrieval.cli.commands
import retrieval.cli.program
from retrieval import Document, Index, __version__
from retrieval.cli.commands import program_for
from retrieval.cli.program import app, import_commands
from tests.cli.conftest import Retrieval

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
    shown = CliRunner().invoke(program_for(), ["--help"]).output
    listed = [line.split()[0] for line in shown.split("Commands:\n")[1].splitlines() if line]
    folder = Path(retrieval.cli.program.__file__).parent / "commands"
    modules = {path.stem for path in folder.iterdir() if not path.stem.startswith("__")}
    assert set(listed) == modules
    assert listed[:2] == ["index", "search"]
    assert listed[-3:] == sorted(listed[-3:])


def test_a_command_imports_no_other() -> None:
    """A module of another name than its command's would not be found so."""
    code = (
        "import sys; from retrieval.cli.commands import program_for; from typer.main import"
        " get_command; names = list(get_command(program_for(sys.argv[1:])).commands);"
        " print(*names)"
    )
    every = [module.name for module in pkgutil.iter_modules(retrieval.cli.commands.__path__)]
    assert {"search", "eval"} <= set(every)
    for name in ("search", "eval"):
        run = [sys.executable, "-c", code, name, "--help"]
        assert subprocess.run(run, capture_output=True, text=True).stdout.split() == [name]
    assert set(every) == set(get_command(program_for()).commands)  # type: ignore[attr-defined]


def test_a_search_imports_nothing_that_only_writing_needs(tmp_path: Path) -> None:
    with Index.create(tmp_path / "i") as index:
        index.add([Document("a", "zebras graze")])
    code = (
        "import sys; from retrieval.cli.entry import run;"
        " code = run(['search', 'zebras', '--index', sys.argv[1]]);"
        " print(code, *[n for n in sys.modules if n.startswith(('retrieval.documents',"
        " 'retrieval.sync', 'retrieval.sharded', 'faiss', 'asyncio', 'onnxruntime',"
        " 'retrieval.index.writing.writer'))], file=sys.stderr)"
    )
    run = [sys.executable, "-c", code, str(tmp_path / "i")]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert "zebras graze" in done.stdout
    assert done.stderr == "0\n"


def test_version_and_help(retrieval_command: Retrieval) -> None:
    assert retrieval_command("--version").out == f"retrieval {__version__}\n"
    for arguments in [(), ("--help",), ("-h",)]:
        shown = retrieval_command(*arguments)
        assert shown.code == 0
        assert "Usage: retrieval" in shown.out


@pytest.mark.parametrize(
    ("command", "usage"),
    [
        (("search",), "search [OPTIONS] QUERY..."),
        (("open",), "open [OPTIONS] HIT"),
        (("eval", "run"), "eval run [OPTIONS] DATASET..."),
        (("index",), "index [OPTIONS] [PATH]..."),
        (("eval", "compare"), "eval compare [OPTIONS] A B"),
    ],
)
def test_usage_lines_are_those_of_the_documentation(
    retrieval_command: Retrieval, command: tuple[str, ...], usage: str
) -> None:
    shown = retrieval_command(*command, "--help").out
    assert f"Usage: retrieval {usage}\n" in shown


def test_help_names_what_an_option_takes_in_words() -> None:
    program = get_command(program_for())
    for command in program.commands.values():  # type: ignore[attr-defined]
        for option in getattr(command, "params", ()):
            assert option.metavar or option.is_flag or option.type.name == "choice", option.name


def test_help_of_search_says_that_words_need_no_quotes(retrieval_command: Retrieval) -> None:
    shown = " ".join(retrieval_command("search", "--help").out.split())
    assert "several words need no quotes" in shown
