"""Textile: headings, tables, lists and code."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.documents.formats import textile

from .outlines_for_tests import (
    FILL,
    blocks,
    check,
    headings,
    headings_at,
    parsed,
    passages_of,
    stretch,
)


def test_every_passage_of_a_long_section_has_the_headings_above_it() -> None:
    long = f"{FILL * 3}\n\n" * 3
    text = (
        f"h1. The *Guide*\n\nh2(#n). North\n\n{long}h3. Doors\n\n{long}word1 {FILL}\n\n"
        f"h2. South\n\n{long}word2 {FILL}\n"
    )
    made = parsed("a.textile", text)
    assert made.title == "The Guide"
    assert headings_at(made, "word1") == ("The Guide", "North", "Doors")
    assert headings_at(made, "word2") == ("The Guide", "South")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('h1. A "site":https://x.org, @code@ !x.png(alt)! _b_', [(1, "A site code alt b")]),
        ("h2{color:red}. A\n\nh3[de]>. B", [(2, "A"), (3, "B")]),
        ("bc. h1. no\n\nh1. A", [(1, "A")]),
        ("bc.. x\n\ny\n\nh1. A", [(1, "A")]),
        ("<pre>\nh1. no\n</pre>\nh1. A", [(1, "A")]),
        ("h1.no\n\nh7. no", []),
    ],
)
def test_headings(text: str, expected: list[tuple[int, str]]) -> None:
    assert headings(parsed("a.textile", text)) == expected


ROWS = "".join(f"| pump {n} |/2. {7 * n} | {FILL}|\n" for n in range(9))


@pytest.mark.parametrize(
    "head",
    [
        "table(c). Pumps of the mill\n|_. name |_. flow |_. remark |\n",
        "Pumps of the mill:\n|_(x). name |_. flow |_. remark |\n",
        "Pumps of the mill:\n| name | flow | remark |\n",
    ],
)
def test_rows_of_a_table_are_read_with_its_caption_and_header(head: str) -> None:
    made = parsed("a.textile", f"{FILL}\n\n{head}{ROWS}\nAfter.\n")
    ((kind, lead, _),) = blocks(made)
    assert (kind, lead.replace(":", "")) == ("table", "Pumps of the mill\nname | flow | remark")
    assert len(made.outline.breaks[2]) == 9
    for n in range(9):
        text, passage = next((t, p) for t, p in passages_of(made) if f"| pump {n} |" in t)
        assert FILL.strip() in text[text.index(f"pump {n} ") :]
        assert passage.context.lead or "flow" in text


def test_lists_are_read_with_what_introduces_them() -> None:
    made = parsed("a.textile", f"{FILL} You need:\n\n* one\ngoes on\n** two\n# three\n\nEnd.\n")
    assert blocks(made) == [("list", "You need:", "")]
    assert stretch(made) == "* one\ngoes on\n** two\n# three"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("bc(ruby). x = 1\ny\n\nafter", "ruby"),
        ("bc[python].. x\n\ny\n\np. after", "python"),
        ("pre. x\n\nafter", ""),
        ('<pre><code class="ruby">\nx\n</code></pre>\nafter', "ruby"),
    ],
)
def test_code_has_its_language(text: str, language: str) -> None:
    made = parsed("a.textile", text)
    assert blocks(made) == [("code", "", language)]
    assert "after" not in stretch(made)


LINES = st.sampled_from(
    [
        *(
            "",
            "h1. A",
            "h2. B",
            "text:",
            "* a",
            "** b",
            "# c",
            "|_. a |_. b |",
            "| a | b |",
            "bc. x",
        ),
        *("bc.. y", "p. z", "table. t", "<pre>", "</pre>", "- a := b", "bq. q"),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(LINES, max_size=40), st.sampled_from(["\n", "\r\n"]))
def test_an_outline_lies_within_its_text(lines: list[str], newline: str) -> None:
    text = newline.join(lines)
    check(text, textile.outline(text))


@pytest.mark.parametrize(
    "unit", ["h1(", "|", "|_. a", "<pre>\n", '"a', "*a", "bc. a\n", "h1(((", "* a\n"]
)
def test_twenty_thousand_of_anything_are_no_trouble(unit: str) -> None:
    textile.outline(unit * 20_000)
    textile.plain(unit * 200)
