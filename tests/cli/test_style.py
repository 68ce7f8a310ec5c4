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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("pass\u200bword", "pass<U+200B>word"),
        ("\ufeffstart", "<U+FEFF>start"),
        ("hi\U000e0049\U000e007f", "hi<U+E0049><U+E007F>"),
        ("a\u2062b\u3164", "a<U+2062>b<U+3164>"),
        ("a\u200d\ufe01b", "a<U+200D><U+FE01>b"),
        ("\u0645\ufe0f\ufe0f\u200c\ufe0f", "\u0645\ufe0f<U+FE0F><U+200C><U+FE0F>"),
        ("12\u00ad34", "12<U+00AD>34"),
    ],
)
def test_what_cannot_be_seen_is_shown_by_its_code_point(text: str, shown: str) -> None:
    assert safe(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian
        "\u0915\u094d\u200d\u0937",  # Hindi
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",  # a family
        "\u2764\ufe0f\u200d\U0001f525",  # a heart on fire
        "1\ufe0f\u20e3",  # a key
        "Donau\u00addampf",
    ],
)
def test_what_spelling_needs_stays(text: str) -> None:
    assert safe(text) == text
