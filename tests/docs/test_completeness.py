"""The pages say all there is, and nothing that is not."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer.main

from retrieval import Hit, LateOptions, TokenMatch, errors
from retrieval.cli.commands import program_for
from retrieval.index import CompactReport, IndexStatus, MeasureReport
from retrieval.index.reading.search import HYBRID
from retrieval.types import RETRIEVERS
from tests.docs.pages import PAGES, ROOT, name

CLI = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")


def every_command(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Name and command of each command that does something."""
    if hasattr(command, "commands"):
        for part, below in command.commands.items():
            yield from every_command(below, f"{path} {part}")
    else:
        yield path, command


COMMANDS = dict(every_command(typer.main.get_command(program_for()), "retrieval"))


def section(command: str) -> str:
    """The part of the page that is about a command."""
    start = re.search(rf"^## {re.escape(command)}\b.*$", CLI, re.MULTILINE)
    assert start is not None, f"docs/cli.md has no section `## {command}`"
    end = CLI.find("\n## ", start.end())
    return CLI[start.start() : end if end >= 0 else len(CLI)]


def test_the_commands_are_found() -> None:
    assert {"retrieval index", "retrieval search", "retrieval model export"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_option_is_documented(command: str) -> None:
    text = section(command)
    for parameter in COMMANDS[command].params:
        if parameter.param_type_name == "option" and "--help" not in parameter.opts:
            for option in parameter.opts:
                assert re.search(rf"`{option}\b", text), f"{command} {option} is not documented"


@pytest.mark.parametrize("command", COMMANDS)
def test_no_option_is_documented_that_is_not_there(command: str) -> None:
    known = {option for parameter in COMMANDS[command].params for option in parameter.opts}
    documented = set(re.findall(r"^\| `(-{1,2}[a-z-]+)", section(command), re.MULTILINE))
    assert documented <= known


def test_options_of_the_program_itself_are_documented() -> None:
    for option in ("--help", "-h", "--version", "--install-completion", "--show-completion"):
        assert f"`{option}`" in CLI or f"{option}`" in CLI


def test_every_error_is_documented() -> None:
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    classes = [item for item in vars(errors).values() if isinstance(item, type)]
    assert len(classes) > 10
    for error in classes:
        assert f"| `{error.__name__}` |" in text


@pytest.mark.parametrize(
    ("page", "fields"),
    [
        ("python-api.md", Hit.__slots__),
        ("cli.md", Hit.__slots__),
        ("cli.md", CompactReport.__slots__),
        ("cli.md", [name for name in MeasureReport.__slots__ if name != "found"]),
        ("late-interaction.md", LateOptions.__slots__),
        ("late-interaction.md", TokenMatch.__slots__),
    ],
)
def test_every_field_is_documented(page: str, fields: Sequence[str]) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    for field in fields:
        assert f"`{field}`" in text


def test_status_fields_are_what_the_page_promises() -> None:
    assert {"documents", "passages", "segments", "bytes", "encoder"} <= set(IndexStatus.__slots__)


@pytest.mark.parametrize("retriever", RETRIEVERS)
def test_every_retriever_is_explained(retriever: str) -> None:
    text = (ROOT / "docs" / "retrievers.md").read_text(encoding="utf-8")
    assert f"| `{retriever}` |" in text


def test_hybrid_works_as_the_page_says() -> None:
    text = (ROOT / "docs" / "retrievers.md").read_text(encoding="utf-8")
    assert f"their {HYBRID.candidates} best passages each" in text
    assert f"(`{HYBRID.fusion}`) and added" in text
    assert HYBRID.weights == {"lexical": 0.5, "dense": 1.0, "late": 1.0}
    assert "lexical with half the weight of the others" in text


LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    text = FENCED.sub("", page.read_text(encoding="utf-8"))  # output may quote another page
    for target in LINK.findall(text):
        if target.startswith("http"):
            continue
        file, _, anchor = target.partition("#")
        path = (page.parent / file) if file else page
        assert path.exists(), f"{name(page)} links to {target}"
        if anchor:
            assert anchor in anchors(path), f"{name(page)} links to {target}"


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as they are made on the web."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_in_the_list_of_pages() -> None:
    listed = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    decisions = (ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in listed
    for page in (ROOT / "docs" / "decisions").glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in decisions
