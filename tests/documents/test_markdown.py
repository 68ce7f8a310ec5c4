"""Markdown: title, front matter, headings, tables, lists and code."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from retrieval.documents.formats import markdown

from .outlines_for_tests import (
    FILL,
    blocks,
    check,
    headings,
    headings_at,
    lines_at,
    parsed,
    passages_of,
    stretch,
)


def test_every_passage_of_a_long_section_has_the_headings_above_it() -> None:
    long = f"{FILL * 3}\n\n" * 3
    made = parsed("a.md", f"# Guide\n\n## North\n\n{long}### Doors\n\n{long}word1 {FILL}\n\n"
                  f"South\n-----\n\n{long}word2 {FILL}\n")  # fmt: skip
    assert headings_at(made, "word1") == ("Guide", "North", "Doors")
    assert headings_at(made, "word2") == ("Guide", "South")


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("# A\n\n# B", "A"),
        ("## A\n\n### B", "A"),
        ("## A\n\n## B", ""),
        ("## A\n\n# B", ""),
        ("intro\n\n## A", "A"),
        ('<h1 align="center">\n  <img src="x" alt="Logo"> The <b>Mill</b>\n</h1>\n\n## A',
         "Logo The Mill"),
        ('<p align="center"><h1>Mill</h1></p>\n\n# B', "Mill"),
    ],
)  # fmt: skip
def test_the_title_is_the_heading_that_the_text_stands_under(text: str, title: str) -> None:
    assert parsed("a.md", text).title == title


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("---\ntitle: T\nYear: 2024\ndraft: true\nv: 1.5\ns: '7'\nid: 007\n---\n",
         {"year": 2024, "draft": True, "v": 1.5, "s": "7", "id": "007"}),
        ("---\ntags: [a, 'b c', 3]\nkinds:\n  - x\n  - y # why\nempty:\n---\n",
         {"tags": ["a", "b c", 3], "kinds": ["x", "y"]}),
        ("+++\ntitle = \"T\"\ndate = 2024-05-01\ntags = [\"a\", \"b\"]\n[extra]\nno = 1\n+++\n",
         {"date": "2024-05-01", "tags": ["a", "b"]}),
        ("---\nnested:\n  deep: x\n---\n", {}),
        ("no front matter\n---\na: b\n---\n", {}),
    ],
)  # fmt: skip
def test_front_matter_is_metadata(text: str, expected: dict[str, Any]) -> None:
    assert parsed("a.md", text + "\ntext\n").metadata == expected


BARS = "".join(f"| pump {n} | {n * 7} | {FILL}|\n" for n in range(12))
NO_BARS = "".join(f"pump {n} | {n * 7} | {FILL}\n" for n in range(12))


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        ("| name | flow | **remark** |\n|---|--:|:-:|\n", BARS),
        ("name | flow | remark\n--- | ---: | :---\n", NO_BARS),
        ("  | name | flow | remark |\n  | - | - | - |\n", BARS),
    ],
)
@pytest.mark.parametrize(
    ("before", "lead"),
    [
        ("Text.\n\n", ""),
        ("Text. Pumps of the *mill*:\n\n", "Pumps of the mill:\n"),
        ("Table 2. Pumps of the mill\n\n", "Table 2. Pumps of the mill\n"),
        ("Pumps:\n", "Pumps:\n"),
    ],
)
def test_rows_of_a_table_are_read_with_what_introduces_it_and_its_header(
    table: str, rows: str, before: str, lead: str
) -> None:
    made = parsed("a.md", f"# P\n\n{FILL}\n\n{before}{table}{rows}\nAfter.\n")
    assert blocks(made) == [("table", f"{lead}name | flow | remark", "")]
    found = passages_of(made)
    for n in range(12):
        text, passage = next((t, p) for t, p in found if f"pump {n} |" in t)
        assert f"pump {n} | {n * 7} | {FILL}".strip() in text
        assert passage.context.lead.endswith("name | flow | remark") or "flow" in text


@pytest.mark.parametrize(
    "text",
    [
        "| a\n| b\n",
        "a | b\n:- | - | -\n",
        "a\n---\n",
        "a | b\n",
        "| a | b |\ntext\n",
        "a \\| b\n---\n",
    ],
)
def test_bars_alone_make_no_table(text: str) -> None:
    assert blocks(parsed("a.md", text)) == []


def test_a_bar_that_is_escaped_is_no_end_of_a_cell() -> None:
    made = parsed("a.md", "| a \\| b | c |\n|---|---|\n| 1 | 2 |\n")
    assert made.outline.blocks[0].lead == "a | b | c"


def test_lists_within_lists_are_read_with_all_that_introduces_them() -> None:
    inner = "".join(f"  - pear {n}, {FILL}\n" for n in range(8))
    made = parsed("a.md", f"{FILL} You need:\n\n- Fruits:\n{inner}- bread\n\nEnd.\n")
    assert blocks(made) == [("list", "You need:", ""), ("list", "Fruits:", "")]
    found = passages_of(made)
    passage = next(p for t, p in found if "pear 5," in t)
    assert passage.context.lead == "You need:\nFruits:"
    passage = next(p for t, p in found if "bread" in t)
    assert passage.context.lead in ("You need:\nFruits:", "You need:")


def test_a_list_that_goes_on_after_code_is_still_read_with_what_introduces_it() -> None:
    text = f"Steps:\n\n1. one\n\n   ```sh\n   ls\n   ```\n\n2. two {FILL * 4}\n3. three {FILL}\n"
    made = parsed("a.md", text)
    assert blocks(made) == [("list", "Steps:", ""), ("code", "", "bash")]
    assert [p.context.lead for t, p in passages_of(made) if "three" in t] == ["Steps:"]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("```python\nx\n```\n", "python"),
        ("~~~ {.js .numbered}\nx\n~~~\n", "javascript"),
        ("- a\n\n  ```go\n  x\n  ```\n", "go"),
        ("    indented\n", ""),
    ],
)
def test_code_has_its_language(text: str, language: str) -> None:
    assert [(kind, lang) for kind, _, lang in blocks(parsed("a.md", text)) if kind == "code"] == [
        ("code", language)
    ]


def test_alerts_and_quotes_are_cut_between_their_paragraphs() -> None:
    made = parsed(
        "a.md",
        "> [!NOTE]\n> One.\n>\n> Two:\n>\n> - a\n> - b\n>\n> | a | b |\n> |---|---|\n> | 1 | 2 |\n",
    )
    assert blocks(made) == [("list", "Two:", ""), ("table", "a | b", "")]
    assert lines_at(made, made.outline.breaks[0]) == ["> [!NOTE]"]
    assert stretch(made, 1).startswith("> | a | b |")


def test_headings_without_words_are_none() -> None:
    assert headings(parsed("a.md", "#\n\n# A\n\n<h2></h2>\n")) == [(1, "A")]


@pytest.mark.parametrize(
    ("heading", "words"),
    [
        ("## Rent a boat {#rent .wide}", "Rent a boat"),
        ("## Rent a boat ## {#rent}", "Rent a boat"),
        ("Rent a boat {: .no_toc }\n---", "Rent a boat"),
        ("## Rent a boat {-}", "Rent a boat"),
        ("## Rent {props.name}", "Rent {props.name}"),
    ],
)
def test_attributes_are_no_words_of_a_heading(heading: str, words: str) -> None:
    assert headings(parsed("a.md", f"{heading}\n\ntext\n")) == [(2, words)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#1 Priority\n===========\n", [(1, "#1 Priority")]),
        ("##two\nlines #\n---\n", [(2, "##two lines #")]),
        ("  #a  \r\n  --- \r\n# #b #\r\n", [(2, "#a"), (1, "#b")]),
        ("A\r===\rx\r", [(1, "A")]),
        ("[a]: http://x\n---\n# B", [(1, "B")]),
        ("[a]: http://x\n===\n# B", [(1, "B")]),
        ("[a]:\n  <http://x y>\n  'title (of\n  it)'\n---\n# B", [(1, "B")]),
        ('[a b]: /x "t"\n[c\\]]: /y\n  (t)\n[d]: z\n---\n# B', [(1, "B")]),
        ("[a]: http://x\nTitle\n---\n", [(2, "Title")]),
        ("[a]: http://x and more\n---\n", [(2, "[a]: http://x and more")]),
        ("[a](x): b\n---\n[]: b\n---\n", [(2, "a: b"), (2, "[]: b")]),
        ("[c]:\n===\n# B", [(1, "B")]),
        ("[c]:\n---\n# B", [(2, "[c]:"), (1, "B")]),
        ("# [a]: b\n", [(1, "[a]: b")]),
    ],
)
def test_headings_are_those_of_commonmark(text: str, expected: list[tuple[int, str]]) -> None:
    assert headings(parsed("a.md", text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<!--\n<h1>No</h1>\n-->\n\n## B", ["B"]),
        ("<!-- <h1>No</h1> --> <h2>B</h2>\n", ["B"]),
        ("<div>\n<!-- <h1>No</h1>\n--><h2><!-- > no -->B</h2>\n</div>\n", ["B"]),
        ("<div>\n<!--\n\n# No\n\n<h2>No</h2>\n-->\n</div>\n\n# B", ["B"]),
        ("<div>\n<!--\n\n# A\n\n# B", ["A", "B"]),
        ("<div>\n<!--\n\n# A\n\n<!-- x -->\n\n# B", ["A", "B"]),
        ("<div><!--></div><h1>A</h1>\n\n# B", ["A", "B"]),
        (
            "<script>\nx = '<h1>No</h1>'\n</script>\n\n<style>\n<h1>No</h1>\n\n</STYLE><h2>B</h2>",
            ["B"],
        ),
    ],
)
def test_what_is_hidden_in_html_is_no_heading(text: str, expected: list[str]) -> None:
    assert [words for _, words in headings(parsed("a.md", text))] == expected


SOURCES = st.sampled_from(
    [
        *("", "# A", "## B #", "#c", "===", "---", "-----", "text", "    code", "```", "> quote"),
        *("[a]: http://x", '[b]: <y> "t"', "[c]:", "  'd'", "[e] f", "[g]: h i", "- item", "1. x"),
        *("  ===", "\\# d", "***", "#", "(k)", "<!-- x", "-->", "<div>", "</div>"),
    ]
)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.lists(SOURCES, max_size=15))
def test_headings_are_those_of_the_whole_parser(lines: list[str]) -> None:
    text = "\n".join(["begin", "", *lines])
    tokens = MarkdownIt("commonmark").parse(text)
    expected = [
        (int(token.tag[1:]), markdown._plain(tokens[at + 1].content))
        for at, token in enumerate(tokens)
        if token.type == "heading_open" and token.level == 0
    ]
    # But for lines of `=` or `-` alone that are themselves underlined, behind a link's definition.
    found = headings(parsed("a.md", text))
    assert [one for one in found if one[1].strip("=-")] == [
        one for one in expected if one[1].strip("=-")
    ]


PIECES = st.sampled_from(
    [
        *("", "# A", "## B", "===", "---", "text", "text:", "    code", "```", "```py", "- item"),
        *("  nested:", "  - deeper", "1. one", "> quote", "| a | b |", "|---|---|", "a | b", "-|-"),
        *("<h1>x</h1>", "<div>", "</div>", "<!--", "-->", "* * *", "\ttab", "> - a", "> |---|"),
    ]
)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=40), st.sampled_from(["\n", "\r\n", "\r"]))
def test_an_outline_lies_within_its_text(lines: list[str], newline: str) -> None:
    text = newline.join(lines)
    found = markdown.outline(text)
    check(text, found)
    for block in found.blocks:
        if block.kind == "table":
            assert "|" in text[block.start : block.end]


@pytest.mark.slow
@pytest.mark.parametrize(
    "unit",
    [
        "[a]: b\n",
        "<h1><!--",
        "<script>",
        "# ",
        "<h1>",
        "<h1 ",
        "|",
        "| a\n",
        "- ",
        "> ",
        "# a\n",
        "[",
        "*a",
        "`a",
        "|-",
    ],
)
def test_twenty_thousand_of_anything_are_no_trouble(unit: str) -> None:
    markdown.outline(unit * 20_000)


@pytest.mark.slow
def test_many_links_above_a_rule_take_time_by_their_lines() -> None:
    text = "[a]: http://example.org/a\n" * 30_000
    assert headings(parsed("a.md", f"{text}---\n\n# A\n")) == [(1, "A")]
    assert headings(parsed("a.md", f"{text}A\n---\n")) == [(2, "A")]
