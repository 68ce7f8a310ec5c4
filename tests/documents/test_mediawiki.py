"""MediaWiki: headings, title, tables, lists and code."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.documents.formats import mediawiki

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
        f"{{{{DISPLAYTITLE:The ''Guide''}}}}\n== North ==\n{long}=== Doors ===\n"
        f"{long}word1 {FILL}\n\n==South==\n{long}word2 {FILL}\n"
        "[[Category:Pumps|x]][[category: Mills]]\n"
    )
    made = parsed("a.wiki", text)
    assert made.title == "The Guide"
    assert made.metadata == {"categories": ["Pumps", "Mills"]}
    assert headings_at(made, "word1") == ("North", "Doors")
    assert headings_at(made, "word2") == ("South",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("= A =\n== B ==\n====== C ======", [(1, "A"), (2, "B"), (6, "C")]),
        ("== '''Big''' [[Pump|pumps]] [https://x.org site]<ref>no</ref> {{note}} &amp; <b>c</b> ==",
         [(2, "Big pumps site & c")]),
        ("== A == <!-- x -->", [(2, "A")]),
        ("<!--\n== no ==\n-->\n== A ==", [(2, "A")]),
        ("<pre>\n== no ==\n</pre>\n<nowiki>\n== no ==\n</nowiki>\n== A ==", [(2, "A")]),
        ("<pre>\nnever closed\n== A ==", [(2, "A")]),
        ("== no\n==\n= =", []),
    ],
)  # fmt: skip
def test_headings(text: str, expected: list[tuple[int, str]]) -> None:
    assert headings(parsed("a.mediawiki", text)) == expected


ROWS = "".join(f'|-\n| pump {n} || style="x" | {7 * n}\n| {FILL}\n' for n in range(9))


@pytest.mark.parametrize(
    "head",
    [
        '{| class="wikitable"\n|+ Pumps of the [[mill]]\n! name !! flow !! remark\n',
        '{|\n|+ style="x" | Pumps of the mill\n|-\n! scope="col" | name\n! flow\n! remark\n',
        "{|\n|+ Pumps of the mill\n|-\n| name || flow || remark\n",
    ],
)
def test_rows_of_a_table_are_read_with_its_caption_and_header(head: str) -> None:
    made = parsed("a.wiki", f"{FILL}\n\n{head}{ROWS}|}}\nAfter.\n")
    assert blocks(made) == [("table", "Pumps of the mill\nname | flow | remark", "")]
    assert len(made.outline.breaks[2]) == 9
    for n in range(9):
        text, passage = next((t, p) for t, p in passages_of(made) if f"| pump {n} |" in t)
        assert FILL.strip() in text[text.index(f"pump {n} ") :]
        assert passage.context.lead or "flow" in text


def test_a_table_in_a_table_is_part_of_its_row() -> None:
    made = parsed("a.wiki", "{|\n! a !! b\n|-\n|\n{|\n| x\n|-\n| y\n|}\n| 2\n|-\n| 3 || 4\n|}\n")
    assert [lead for _, lead, _ in blocks(made)] == ["a | b"]
    assert len(made.outline.breaks[2]) == 2


def test_lists_are_read_with_what_introduces_them() -> None:
    made = parsed(
        "a.wiki", f"{FILL} You need:\n* one\n** two\n# three\nEnd.\n; term : what it is\n"
    )
    assert blocks(made) == [("list", "You need:", ""), ("list", "", "")]
    assert stretch(made) == "* one\n** two\n# three"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ('<syntaxhighlight lang="python" line>\nx = 1\n\ny\n</syntaxhighlight>', "python"),
        ("<source lang=c++>\nx\n</source>", "cpp"),
        ("<pre>\nx\n</pre>", ""),
        (" x = 1\n y = 2\n", ""),
    ],
)
def test_code_has_its_language(text: str, language: str) -> None:
    assert blocks(parsed("a.wiki", text)) == [("code", "", language)]


LINES = st.sampled_from(
    [
        *(
            "",
            "== A ==",
            "=== B ===",
            "text:",
            "* a",
            "** b",
            "; c : d",
            "{|",
            "|}",
            "|-",
            "! a !! b",
        ),
        *(
            "| a || b",
            "|+ c",
            "<pre>",
            "</pre>",
            "<!--",
            "-->",
            " code",
            "<source lang=c>",
            "</source>",
        ),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(LINES, max_size=40), st.sampled_from(["\n", "\r\n"]))
def test_an_outline_lies_within_its_text(lines: list[str], newline: str) -> None:
    text = newline.join(lines)
    check(text, mediawiki.outline(text))


@pytest.mark.parametrize(
    "unit", ["<pre>", "<pre>\n", "{|\n", "[[", "{{", "<ref>", "== a", "* a\n", "<!--\n"]
)
def test_twenty_thousand_of_anything_are_no_trouble(unit: str) -> None:
    mediawiki.outline(unit * 20_000)
    mediawiki.plain(f"{unit * 200}")
