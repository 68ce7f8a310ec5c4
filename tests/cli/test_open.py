"""`retrieval open`: a hit printed, and opened in an editor or a viewer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Retrieval

PDF = Path(__file__).parents[1] / "documents" / "pdf" / "files" / "tex.pdf"


@pytest.fixture
def indexed(retrieval_command: Retrieval, folder: Path) -> Retrieval:
    (folder / "docs" / "mill.pdf").write_bytes(PDF.read_bytes())
    assert retrieval_command("index", "docs").code == 0
    return retrieval_command


@pytest.fixture
def program(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Makes programs that are found by name and write what they were called with to a file."""
    programs = folder / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    for name in ("VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)

    def make(name: str, code: int = 0) -> Path:
        called = folder / f"{name}.called"
        path = programs / name
        path.write_text(f'#!/bin/sh\nfor a; do echo "$a" >> "{called}"; done\nexit {code}\n')
        path.chmod(0o755)
        return called

    return make


def test_what_a_search_prints_can_be_opened(indexed: Retrieval) -> None:
    place = indexed("search", "second", "refused", "-k", 1).out.split()[1]
    opened = indexed("open", place)
    assert (opened.code, opened.err) == (0, "")
    head, *lines = opened.out.splitlines()
    assert head == f"{place}  Locks > Waiting"
    assert lines[:3] == ["   7  ## Waiting", "   8", ">  9  Who comes second is refused."]


def test_as_json_it_has_the_place_and_the_lines(indexed: Retrieval) -> None:
    found = json.loads(indexed("open", "docs/locks.md:9", "-C", 1, "--json").out)
    assert found["lines"] == ["", "Who comes second is refused.", ""]
    assert (found["line"], found["first_line"], found["total_lines"]) == (9, 8, 11)
    assert found["file"] == found["path"] == found["id"] == "docs/locks.md"
    assert (found["title"], found["heading"]) == ("Locks", "Locks > Waiting")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vi", ["+9", "{file}"]),
        ("code", ["--wait", "--goto", "{file}:9"]),
        ("hx", ["{file}:9"]),
        ("kate", ["--line", "9", "{file}"]),
    ],
)
def test_an_editor_is_told_the_line(
    indexed: Retrieval,
    program: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    name: str,
    expected: list[str],
) -> None:
    called = program(name)
    monkeypatch.setenv("EDITOR", "code --wait" if name == "code" else name)
    opened = indexed("open", "docs/locks.md:9", "--editor")
    assert (opened.code, opened.out, opened.err) == (0, "", "")
    file = str(folder.resolve() / "docs" / "locks.md")
    assert called.read_text().split("\n")[:-1] == [one.format(file=file) for one in expected]


def test_a_pdf_is_opened_on_its_page(
    indexed: Retrieval, program: Callable[..., Path], folder: Path
) -> None:
    file = str(folder.resolve() / "docs" / "mill.pdf")
    desktop = program("xdg-open")
    assert indexed("open", "docs/mill.pdf:37", "--editor").code == 0
    assert desktop.read_text().split("\n") == [file, ""]
    viewer = program("evince")
    assert indexed("open", "docs/mill.pdf:37", "--editor").code == 0
    assert viewer.read_text().split("\n") == ["--page-index=2", file, ""]


def test_an_editor_that_fails_or_is_not_there_is_one_line(
    indexed: Retrieval, program: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    none = indexed("open", "docs/locks.md:9", "--editor")
    assert none.code == 1
    assert "there is no editor; name one in $EDITOR" in none.err
    program("vi", code=3)
    failed = indexed("open", "docs/locks.md:9", "--editor")
    assert (failed.code, "vi ended with exit code 3" in failed.err) == (1, True)
    monkeypatch.setenv("EDITOR", "no-such-editor")
    assert "cannot be started" in indexed("open", "docs/locks.md:9", "--editor").err
    monkeypatch.setenv("VISUAL", "'unbalanced")
    assert "$VISUAL cannot be read" in indexed("open", "docs/locks.md:9", "--editor").err
    monkeypatch.setenv("VISUAL", " ")  # names none, as if it were not set
    assert "no-such-editor cannot" in indexed("open", "docs/locks.md:9", "--editor").err
    assert "no program was found to open" in indexed("open", "docs/mill.pdf", "--editor").err


def test_a_place_that_is_not_there_is_one_line(indexed: Retrieval) -> None:
    gone = indexed("open", "docs/locks.md:900", "--json")
    assert gone.code == 2
    assert json.loads(gone.out)["error"]["type"] == "InputError"
