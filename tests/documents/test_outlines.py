"""Titles and outlines of Markdown, reStructuredText and code."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from retrieval.documents.formats import first_heading, format_of, markdown, rst
from retrieval.documents.formats.code import by_layout
from retrieval.documents.formats.languages import CODE, language_of
from retrieval.documents.outline import Outline


def starts(text: str, outline: Outline) -> list[tuple[str, int]]:
    """The first line of every part, and its level."""
    return [(text[part.start :].split("\n")[0].strip(), part.level) for part in outline.parts]


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("", ""),
        ("no heading", ""),
        ("text\n\n## *Two* `words` [link](x)\n", "Two words link"),
        ("Set\next\n===\n", "Set ext"),
        ("```\n# no\n```\n# yes #\n", "yes"),
        ("#\n# yes\n", "yes"),
        ("> # quoted\n\n# own", "own"),
        ("---\ntitle: 'From: above'\n---\n# Heading\n", "From: above"),
        ('---\r\nx: 1\r\nTitle: "T"\r\n---\r\n# Heading\r\n', "T"),
        ("---\ntitle: T # remark\n...\n", "T"),
        ('+++\ntitle = "T"\n+++\n# Heading\n', "T"),
        ("---\nx: 1\n---\n# Heading\n", "Heading"),
        ("---\ntitle: >\n  folded\n---\n# Heading\n", "Heading"),
        ("---\ntitle: never closed\n\n# Heading\n", "Heading"),
        ("---\n\ntitle: x\n\n---\n# Heading\n", "Heading"),
        ("# ![alt](x.png) T", "alt T"),
    ],
)
def test_the_title_of_markdown(text: str, title: str) -> None:
    assert markdown.title(text) == title


def test_markdown_has_sections_at_its_headings() -> None:
    text = "pre\n\n# A\n\na\n\nB\n---\n\nb\n\n```\n# no\n```\n\n> # no\n\n- # no\n\n### C\nc\n"
    assert starts(text, markdown.outline(text)) == [("pre", 0), ("# A", 1), ("B", 2), ("### C", 3)]


def test_front_matter_is_no_heading() -> None:
    text = "---\ntitle: x\n---\n# A\na\n"
    assert starts(text, markdown.outline(text)) == [("---", 0), ("# A", 1)]


def test_a_heading_that_a_deeper_one_follows_begins_its_section() -> None:
    text = "# A\n\n## B\n\n### C\nc\n## D\nd\n# E\n# F\nf"
    assert starts(text, markdown.outline(text)) == [("# A", 1), ("## D", 2), ("# E", 1), ("# F", 1)]


LINES = st.sampled_from(
    [
        *("", "# A", "## B", "===", "---", "text", "    code", "```", "~~~", "```py", "- item"),
        *("  nested", "  - deeper", "1. one", "> quote", ">> more", "| a | b |", "|---|---|"),
        *("<div>", "</div>", "<!--", "-->", "* * *", "[a]: b", "\ttab", "a | b", "-|-"),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(LINES, max_size=40), st.sampled_from(["\n", "\r\n", "\r"]), st.integers(1, 60))
def test_markdown_parsed_in_pieces_has_the_outline_of_the_whole(
    lines: list[str], newline: str, piece: int
) -> None:
    text = newline.join(lines)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(markdown, "_PIECE_CHARS", piece)
        in_pieces = markdown.outline(text)
    assert in_pieces == markdown.outline(text)


LIST_LINES = st.sampled_from(
    [
        *("- item", "* star", "1. one", "2) two", "  nested", "  - deeper", "    - x", "", "text"),
        *("> q", " - ind", "    code", "-", "- ```", "- > q", "- - -", "- # h", "10. ten", "---"),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(LIST_LINES, max_size=30), st.integers(1, 60))
def test_a_list_parsed_in_pieces_has_the_outline_of_the_whole(lines: list[str], piece: int) -> None:
    text = "\n".join(lines)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(markdown, "_PIECE_CHARS", piece)
        in_pieces = markdown.outline(text)
    assert in_pieces == markdown.outline(text)


@pytest.mark.parametrize("item", ["- item", "1. item", "- a\n  - nested\n\n  more"])
def test_of_a_long_list_a_piece_is_parsed_at_a_time(
    item: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parser's tokens take a hundred times the memory of what it parses."""
    parsed: list[int] = []
    whole = markdown._parser()

    class Counting:
        def parse(self, text: str) -> list[Token]:
            parsed.append(len(text))
            return whole.parse(text)

    monkeypatch.setattr(markdown, "_parser", Counting)
    monkeypatch.setattr(markdown, "_PIECE_CHARS", 2000)
    text = f"Items:\n\n{(item + chr(10)) * 2000}\nend\n"
    found = markdown.outline(text)
    assert max(parsed) < 2000 + 20
    assert sum(parsed) < 2 * len(text)
    outer = [block for block in found.blocks if block.kind == "list" and block.lead]
    assert [(block.start, block.lead) for block in outer] == [(8, "Items:")]
    assert text[outer[0].end :].strip() == "end"


@settings(max_examples=200, deadline=None)
@given(st.lists(LINES.filter(lambda line: line != "[a]: b"), max_size=30))
def test_markdown_has_the_headings_that_its_parser_sees(lines: list[str]) -> None:
    text = "a\n\n" + "\n".join(lines)
    offsets = [0]
    for line in text.split("\n"):
        offsets.append(offsets[-1] + len(line) + 1)
    headings = [
        offsets[token.map[0]]
        for token in MarkdownIt("commonmark").parse(text)
        if token.type == "heading_open" and token.level == 0 and token.map
    ]
    outline = markdown.outline(text)
    assert {part.start for part in outline.parts} <= {0, *headings}
    assert set(headings) <= set(outline.breaks[0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Title\n=====\n\na\n\nSub\n---\nb\n", [("Title", 1), ("Sub", 2)]),
        ("====\nTop\n====\n\na\n\nTop\n====\nb\n", [("====", 1), ("Top", 2)]),
        ("A\n=\na\n\nB\n-\nb\n\nC\n=\nc\n", [("A", 1), ("B", 2), ("C", 1)]),
        ("A\r\n===\r\na\r\n\r\nB\r\n===\r\nb", [("A", 1), ("B", 1)]),
        ("pre\n\nTitle\n-----\na", [("pre", 0), ("Title", 1)]),
        ("Title\n=====\nSub\n---\na", [("Title", 1)]),
        ("two lines\nof text\n-------\na", [("two lines", 0)]),
        ("a\n\n-----\n\nb", [("a", 0)]),
        ("=====  =====\na      b\n=====  =====\n", [("=====  =====", 0)]),
        ("  indented\n==========\n", [("indented", 0)]),
        ("Much too long a title\n---\na", [("Much too long a title", 0)]),
        ("Längere Überschrift\n-------------\na", [("Längere Überschrift", 1)]),
        ("a\n\n::\n\n    code\n    ----\n", [("a", 0)]),
    ],
)
def test_rst_has_sections_at_its_titles(text: str, expected: list[tuple[str, int]]) -> None:
    assert starts(text, rst.outline(text)) == expected


def test_the_title_of_rst_is_its_first_sections() -> None:
    assert title_of(".. _x:\n\n=====\n Top\n=====\n\nSub\n---\n") == "Top"
    assert title_of("no title\n\n----\n\nat all") == ""


def title_of(text: str) -> str:
    return first_heading(rst.outline(text))


def tops(text: str) -> list[str]:
    return [line for line, _ in starts(text, by_layout(text))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "import a\n\n\n@x\ndef f():\n    pass\nclass C:\n    y = 1\n",
            ["import a", "@x", "class C:"],
        ),
        ("def f(\n    a,\n):\n    pass\n\n# g\ndef g(): pass\n", ["def f(", "# g"]),
        ("if a:\n  b\nelif c:\n  d\nelse:\n  e\nf\n", ["if a:", "f"]),
        ("try:\n  a\nexcept E:\n  b\nfinally:\n  c\n", ["try:"]),
        ("int f()\n{\n\tx;\n}\nint g()\n{\n}\n", ["int f()", "int g()"]),
        ("func f() {\n\n\ta()\n}\n// g\nfunc g() {\n}\n", ["func f() {", "// g"]),
        ("def a\n  1\nend\ndef b\n  2\nend\n", ["def a", "def b"]),
        ("a\nb\nc\n", ["a"]),
        ("", [""]),
        ("elsewhere = {\n  1\n}\nendings()\n", ["elsewhere = {", "endings()"]),
    ],
)
def test_code_has_sections_at_its_top_level_blocks(text: str, expected: list[str]) -> None:
    assert tops(text) == expected


def test_code_is_broken_at_methods_before_statements() -> None:
    body = "    def f(self):\n        if x:\n            y\n\n        z\n"
    text = f"class A:\n{body}    def g(self): pass\n"
    methods, others = by_layout(text).breaks
    lines = [[text[at:].split("\n")[0].strip() for at in breaks] for breaks in (methods, others)]
    assert lines == [["def g(self): pass"], ["z"]]


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("a/b.PY", "python"),
        ("Makefile", "make"),
        ("x/Dockerfile", "docker"),
        ("a.md", "markdown"),
        ("a.rst", "rst"),
        ("a.htm", "html"),
        ("a.ndjson", "jsonl"),
        ("LICENSE", "text"),
        ("a.unheard-of", "text"),
        ("a.tar.h", "c"),
    ],
)
def test_a_name_tells_the_format_or_the_language(name: str, language: str) -> None:
    assert (language_of(name) or format_of(name).name) == language


def test_code_is_neither_prose_nor_marked_up() -> None:
    assert {"python", "json", "docker", "sql"} <= CODE
    assert not CODE & {"text", "markdown", "rst", "html", "jsonl", "latex"}
