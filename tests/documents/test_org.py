"""Org: headings, title, tables, lists and code."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.documents.formats import org

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
    made = parsed("a.org", f"#+TITLE: Guide\n\n* North\n{long}** Doors\n{long}word1 {FILL}\n\n"
                  f"* South\n{long}word2 {FILL}\n")  # fmt: skip
    assert made.title == "Guide"
    assert headings_at(made, "word1") == ("North", "Doors")
    assert headings_at(made, "word2") == ("South",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("* A\n** B\n*** C", [(1, "A"), (2, "B"), (3, "C")]),
        ("* TODO [#A] Buy pumps :work:home:\n** DONE B\n** COMMENT C",
         [(1, "Buy pumps"), (2, "B"), (2, "C")]),
        ("#+TODO: OPEN(o) WAIT | SHUT\n* WAIT A\n* NEXT B", [(1, "A"), (1, "NEXT B")]),
        ("* *Big* /news/ of [[https://x.org][the site]], =code= [[file:a.org]][fn:1]",
         [(1, "Big news of the site, code file:a.org")]),
        ("#+begin_src org\n,* no\n#+end_src\n* B", [(1, "B")]),
        ("#+begin_src org\n* A\n#+end_src", [(1, "A")]),
        (":PROPERTIES:\n:ID: 1\n:END:\n* A\n:PROPERTIES:\n:ID: 2\n:END:\n", [(1, "A")]),
        ("*bold* text\n *  item\n* \n*A", []),
        ("A :tag: in the middle\n* A:b:c: d", [(1, "A:b:c: d")]),
    ],
)  # fmt: skip
def test_headings(text: str, expected: list[tuple[int, str]]) -> None:
    assert headings(parsed("a.org", text)) == expected


def test_keywords_give_title_and_metadata() -> None:
    made = parsed(
        "a.org", "#+title: One\n#+TITLE: /two/\n#+Author: Ada\n#+FILETAGS: :a:b:\n\n* H\n"
    )
    assert made.title == "One two"
    assert made.metadata == {"author": "Ada", "tags": ["a", "b"]}
    assert parsed("a.org", "* First\n").title == "First"


@pytest.mark.parametrize("indent", ["", "  "])
def test_rows_of_a_table_are_read_with_its_caption_and_header(indent: str) -> None:
    rows = "".join(f"{indent}| pump {n} | {7 * n} | {FILL} |\n" for n in range(10))
    table = f"{indent}| name | flow | remark |\n{indent}|------+------+--------|\n{rows}"
    made = parsed(
        "a.org", f"* Pumps\n{FILL}\n\n#+NAME: t\n#+CAPTION: Pumps of the mill\n{table}\nx"
    )
    assert blocks(made) == [("table", "Pumps of the mill\nname | flow | remark", "")]
    assert stretch(made).startswith("#+NAME: t")
    found = passages_of(made)
    for n in range(10):
        text, passage = next((t, p) for t, p in found if f"| pump {n} |" in t)
        assert f"| pump {n} | {7 * n} | {FILL} |" in text
        assert passage.context.lead or "name" in text


def test_a_table_without_a_rule_has_no_header() -> None:
    made = parsed("a.org", "These:\n| a | b |\n| c | d |\n|---+---|\n")
    assert blocks(made) == [("table", "These:", "")]
    assert lines_at(made, made.outline.breaks[2]) == ["| a | b |", "| c | d |"]


def test_lists_are_read_with_what_introduces_them_and_keep_their_code() -> None:
    text = (
        f"{FILL} You need:\n- one\n  more\n  + two\n\n  #+begin_src sh\n  ls\n\n  pwd\n"
        "  #+end_src\n- three\n\nEnd.\n\n1) x\n2) y :: z\nEnd.\n"
    )
    made = parsed("a.org", text)
    assert blocks(made) == [("list", "You need:", ""), ("code", "", "bash"), ("list", "", "")]
    assert stretch(made).endswith("- three")
    assert stretch(made, 2) == "1) x\n2) y :: z"


@pytest.mark.parametrize(
    ("text", "language", "lead"),
    [
        ("#+BEGIN_SRC python :results output\nx = 1\n#+END_SRC\n", "python", ""),
        ("#+caption: Sums\n#+begin_src C++\nx\n#+end_src\n", "cpp", "Sums"),
        ("#+begin_src emacs-lisp\n(x)\n#+end_src\n", "lisp", ""),
        ("#+begin_example\nx\n#+end_example\n", "", ""),
        ("text\n\n: x\n: y\n", "", ""),
    ],
)
def test_code_has_its_language(text: str, language: str, lead: str) -> None:
    assert blocks(parsed("a.org", text)) == [("code", lead, language)]


LINES = st.sampled_from(
    [
        *(
            "",
            "* A",
            "** TODO B :c:",
            "text:",
            "- a",
            "  - b",
            "  * c",
            "1. d",
            "  more",
            "| a | b |",
        ),
        *("|---+---|", "#+begin_src go", "#+end_src", "#+CAPTION: x", "#+begin_quote", ": fixed"),
        *("#+end_quote", ":PROPERTIES:", ":END:", "# comment", "#+title: t", "#+begin_comment"),
    ]
)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.lists(LINES, max_size=40), st.sampled_from(["\n", "\r\n"]))
def test_an_outline_lies_within_its_text(lines: list[str], newline: str) -> None:
    text = newline.join(lines)
    check(text, org.outline(text))


@pytest.mark.parametrize(
    "unit", ["#+begin_src\n", ":a:\n\n", "|\n", "- a\n\n", "#+caption: a\n", "*", "[["]
)
def test_twenty_thousand_of_anything_are_no_trouble(unit: str) -> None:
    org.outline(unit * 20_000)


@pytest.mark.parametrize(("unit", "rows"), [("|-\n", 0), ("| a | b |\n|---+---|\n", 1)])
def test_a_table_with_many_rules_takes_time_by_its_lines(unit: str, rows: int) -> None:
    times = 30_000  # by the square of which it takes more than a minute
    assert len(org.outline(unit * times).breaks[2]) == max(rows * times - 1, 0)
