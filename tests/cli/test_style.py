import io

import pytest

from retrieval.cli.output.style import PIPED_WIDTH, Style
from retrieval.service.printable import columns, safe


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "TERM", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


def test_colours_on_a_terminal_only() -> None:
    assert Style.of(Terminal()).dress("mark", "word") == "\x1b[1;33mword\x1b[0m"
    assert Style.of(io.StringIO()).dress("mark", "word") == "word"


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colours_can_be_turned_off(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert Style.of(Terminal()).dress("mark", "word") == "word"


def test_width_is_the_terminals_within_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    for given, used in (("64", 64), ("400", 120), ("5", 20)):
        monkeypatch.setenv("COLUMNS", given)
        assert Style.of(Terminal()).width == used
    assert Style.of(io.StringIO()).width == PIPED_WIDTH


def test_safe_leaves_text_alone() -> None:
    text = "naïve café, 検索, עברית, 🙂"
    assert safe(text) == text


@pytest.mark.parametrize(
    "character", ["\x1b", "\x00", "\x7f", "\x9b", "\u2028", "\u202e", "\ud800"]
)
def test_safe_replaces_what_steers_a_terminal(character: str) -> None:
    assert safe(f"a{character}b") == "a\ufffdb"


def test_columns() -> None:
    assert [columns(text) for text in ("abc", "検索", "e\u0301", "a\u200db")] == [3, 4, 1, 2]
