"""reStructuredText: headings, tables, lists, code and directives."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.documents.formats import rst, rst_tables
from retrieval.documents.formats.builder import HEADING_CHARACTERS, MAX_LEAD_CELLS

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
    text = (
        f"Guide\n=====\n\n:Author: Ada *S*\n:Date: 2024\n\nNorth\n-----\n\n{long}Doors\n~~~~~\n\n"
        f"{long}word1 {FILL}\n\nSouth\n-----\n\n{long}word2 {FILL}\n"
    )
    made = parsed("a.rst", text)
    assert made.title == "Guide"
    assert made.metadata == {"author": "Ada S", "date": "2024"}
    assert headings_at(made, "word1") == ("Guide", "North", "Doors")
    assert headings_at(made, "word2") == ("Guide", "South")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A\n=\n\nB\n=\n", [(1, "A"), (1, "B")]),
        ("``f()`` of :class:`~a.B` and |x| *here* `site <u>`_\n====\n",
         [(1, "f() of a.B and x here site")]),
        (".. code::\n\n   No\n   ==\n\nA\n=\n", [(1, "A")]),
    ],
)  # fmt: skip
def test_headings(text: str, expected: list[tuple[int, str]]) -> None:
    assert headings(parsed("a.rst", text)) == expected


@pytest.mark.parametrize(
    "above",
    [".. _start:", ".. note:: y", ".. comment", "..", ".. |s| image:: x", ".. [1] note\n   more",
     "__ http://x", ".. image:: x\n   :alt: y", "* a\n\n  b", "- - nested", ":a b: c", "| line",
     "-x  option", "--long=X\n   what it is", "+---+\n| a |\n+---+", "  quote", "a\n  b",
     "Code::\n\n   x", ".. _a:\n.. _b:", ".. code::\n\n   T\n   ="],
)  # fmt: skip
@pytest.mark.parametrize("title", ["Title\n=====", "=====\nTitle\n====="])
def test_a_title_may_stand_right_below_what_is_no_paragraph(above: str, title: str) -> None:
    made = parsed("a.rst", f"Guide\n#####\n\n{above}\n{title}\n\ntext\n")
    assert headings(made) == [(1, "Guide"), (2, "Title")]


@pytest.mark.parametrize(
    "above",
    ["text", "one\ntwo", "text\n.. _a:", "text\n- a", "1. x", "``lit`` x", "|sub| text",
     ":role:`x` y", "-x foo bar", "**bold**", "A. Einstein\nwas"],
)  # fmt: skip
def test_a_line_right_below_a_paragraph_is_no_title(above: str) -> None:
    assert headings(parsed("a.rst", f"Guide\n#####\n\n{above}\nTitle\n=====\n")) == [(1, "Guide")]


@pytest.mark.parametrize(
    ("line", "titled"),
    [("1. Aims", True), ("--force", True), (":mod:`x` --- y", True), ("/etc", True),
     (".. note:: y", False), ("- item", False), (":field: y", False), ("-x  option", False)],
)  # fmt: skip
def test_a_line_above_dashes_is_a_title_where_it_may_be_text(line: str, titled: bool) -> None:
    assert bool(headings(parsed("a.rst", f"{line}\n--------------\n\ntext\n"))) == titled


def test_a_section_begins_at_the_targets_before_its_title() -> None:
    made = parsed("a.rst", "before\n\n.. _a-b:\n.. index:: x\n\nTitle\n=====\n\nafter\n")
    assert lines_at(made, [s.start for s in made.outline.sections]) == ["before", ".. _a-b:"]


GRID = "+---------+------+-----------+\n"
TABLES = [
    f"{GRID}| name    | flow | **re-     |\n|         |      | mark**    |\n"
    + GRID.replace("-", "=")
    + "".join(f"| pump {n:<2} | {7 * n:<4} | {FILL}|\n{GRID}" for n in range(9)),
    "=======  ====  ======\nname     flow  re-\n               mark\n=======  ====  ======\n"
    + "".join(f"pump {n}   {7 * n:<4}  {FILL}\n               more\n" for n in range(9))
    + "=======  ====  ======\n",
]  # fmt: skip
LISTED = [
    ".. list-table:: Pumps of the *mill*\n   :header-rows: 1\n   :widths: 1 2 3\n\n"
    "   * - name\n     - flow\n     - re-\n       mark\n"
    + "".join(f"   * - pump {n}\n     - {7 * n}\n     - {FILL}\n" for n in range(9)),
    ".. csv-table:: Pumps of the mill\n   :header: name, flow, \"re- mark\"\n\n"
    + "".join(f'   pump {n}, {7 * n}, "{FILL}\n   more"\n' for n in range(9)),
    ".. csv-table:: Pumps of the mill\n   :header-rows: 1\n\n   name, flow, re- mark\n"
    + "".join(f"   pump {n}, {7 * n}, {FILL}\n" for n in range(9)),
]  # fmt: skip


@pytest.mark.parametrize(
    "table",
    [
        *(f"Pumps of the mill:\n\n{table}" for table in TABLES),
        *(".. table:: Pumps of the mill:\n\n" + "".join(f"   {line}\n" for line in t.splitlines())
          for t in TABLES),
        *LISTED,
    ],
)  # fmt: skip
def test_rows_of_a_table_are_read_with_what_introduces_it_and_its_header(table: str) -> None:
    made = parsed("a.rst", f"P\n=\n\n{FILL}\n\n{table}\nAfter.\n")
    ((kind, lead, _),) = blocks(made)
    assert kind == "table"
    assert lead.replace("mill:", "mill") == "Pumps of the mill\nname | flow | re- mark"
    assert len(made.outline.breaks[2]) == 9
    found = passages_of(made)
    for n in range(9):
        text, passage = next((t, p) for t, p in found if f"pump {n}" in t)
        assert FILL.strip() in text[text.index(f"pump {n}") :]
        assert passage.context.lead.endswith(lead) or "flow" in text


SPANNED = [
    ("=====  =====  ======\n   Inputs     Output\n------------  ------\n  A      B    A or B\n"
     "=====  =====  ======\nFalse  False  False\nTrue   False  True\n=====  =====  ======\n",
     "Inputs A | Inputs B | Output A or B", ["False  False  False", "True   False  True"]),
    ("====  ====  ====\nIn          Out\n----------  ----\na     b     c\n      d\n"
     "====  ====  ====\n1     2     3\n----------  ----\n4           5\n====  ====  ====\n",
     "In a | In b d | Out c", ["1     2     3", "4           5"]),
    ("====  ====\nAll of it\n----------\na     b\n====  ====\n1     2\n====  ====\n",
     "All of it a | b", ["1     2"]),
    ("+------+----------------+\n|      | Flow           |\n|      +-------+--------+\n"
     "| Name | Min   | Max    |\n+======+=======+========+\n| a    | 1     | 2      |\n"
     "+------+-------+--------+\n",
     "Name | Flow Min | Flow Max", ["| a    | 1     | 2      |"]),
    ("+-----------+-----+\n| Of C++ in | Out |\n+-----+-----+ x   |\n| a   | b   |     |\n"
     "+=====+=====+=====+\n| 1   | 2   | 3   |\n+-----+-----+-----+\n",
     "Of C++ in a | Of C++ in b | Out x", ["| 1   | 2   | 3   |"]),
    ("+----+----+----+\n| all of them  |\n+----+----+----+\n| a  | b  | c  |\n+====+====+====+\n"
     "| 1  | 2  | 3  |\n+----+----+----+\n",
     "all of them a | b | c", ["| 1  | 2  | 3  |"]),
    ("+------+----+\n| 日本 | b  |\n+======+====+\n| 1    | 2  |\n+------+----+\n",
     "日本 | b", ["| 1    | 2  |"]),
    ("====  ==\n日本  b\n====  ==\n1     2\n====  ==\n", "日本 | b", ["1     2"]),
]  # fmt: skip


def test_what_a_header_takes_is_bounded_by_what_is_shown() -> None:
    border = "+" + "-+" * 2000
    line = "|" + "a" * (len(border) - 5) + "|x|"
    words = rst_tables.grid_header([border, *[line] * 200])
    assert len(words) == MAX_LEAD_CELLS
    assert sum(map(len, words)) <= MAX_LEAD_CELLS * HEADING_CHARACTERS


@pytest.mark.parametrize(("table", "header", "rows"), SPANNED)
@pytest.mark.parametrize("indent", ["", "   "])
def test_a_header_may_reach_over_columns_and_rows(
    table: str, header: str, rows: list[str], indent: str
) -> None:
    before = ".. table::\n\n" if indent else ""
    lines = "".join(f"{indent}{line}\n" for line in table.splitlines())
    made = parsed("a.rst", f"{before}{lines}\nafter\n")
    assert blocks(made) == [("table", header, "")]
    assert lines_at(made, made.outline.breaks[2]) == rows


def test_a_simple_table_may_have_no_header() -> None:
    made = parsed("a.rst", "=====  =====\na      b\nc      d\n=====  =====\n\nafter\n")
    assert blocks(made) == [("table", "", "")]
    assert lines_at(made, made.outline.breaks[2]) == ["a      b", "c      d"]


def test_lists_are_read_with_what_introduces_them_and_keep_their_code() -> None:
    text = (
        f"{FILL} You need:\n\n* one\n  more\n\n  * two\n\n  .. code-block:: sh\n\n     ls\n\n"
        "     pwd\n\n* three\n\nEnd.\n\n1. x\n#. y\n(c) z\n\nEnd.\n\nA. Einstein was here,\n"
        "and there.\n"
    )
    made = parsed("a.rst", text)
    assert blocks(made) == [("list", "You need:", ""), ("code", "", "bash"), ("list", "", "")]
    assert stretch(made).endswith("* three")
    assert stretch(made, 2) == "1. x\n#. y\n(c) z"


@pytest.mark.parametrize(
    ("text", "language", "lead"),
    [
        (".. code-block:: python\n   :caption: The *sum*\n\n   x = 1\n\n   y = 2\n\nafter",
         "python", "The sum"),
        (".. code:: js\n\n   x\n", "javascript", ""),
        (".. highlight:: rust\n\nSee::\n\n  x\n\n  y\n", "rust", ""),
        ("See\n\n::\n\n    x\n", "", ""),
        (">>> 1 + 1\n2\n\nafter", "python", ""),
        (".. doctest::\n\n   >>> 1\n", "python", ""),
        (".. testcode:: group\n\n   1\n", "python", ""),
    ],
)  # fmt: skip
def test_code_has_its_language(text: str, language: str, lead: str) -> None:
    made = parsed("a.rst", text)
    assert blocks(made) == [("code", lead, language)]
    assert "after" not in stretch(made)


def test_what_stands_in_other_directives_is_read_as_text() -> None:
    made = parsed("a.rst", ".. note:: Look:\n\n   - a\n   - b\n\n.. comment\n   - c\n\nend\n")
    assert [kind for kind, _, _ in blocks(made)] == ["list"]
    assert stretch(made) == "   - a\n   - b"


LINES = st.sampled_from(
    [
        *(
            "",
            "A",
            "=",
            "====",
            "----",
            "Title",
            "text::",
            "text:",
            "  indented",
            "   deeper",
            "- a",
        ),
        *(
            "  - b",
            "1. x",
            ".. code-block:: c",
            ".. note::",
            ".. table:: t",
            "+---+---+",
            "| a | b |",
        ),
        *("+===+===+", "===  ===", "a    b", ".. list-table:: x", "   :header-rows: 1", "   * - a"),
        *("     - b", ".. csv-table::", '   a, "b', ">>> 1", ".. _t:", ".. comment", ":author: x"),
    ]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(LINES, max_size=40), st.sampled_from(["\n", "\r\n"]))
def test_an_outline_lies_within_its_text(lines: list[str], newline: str) -> None:
    text = newline.join(lines)
    check(text, rst.outline(text))


@pytest.mark.parametrize(
    "unit",
    ["a::\n\n  b\n\n", "+-+-+\n", "== ==\n", "- a\n\n", ".. a::\n", ".. a::\n\n   b\n", ">>> a\n\n",
     "`", "*a", "a\n=\n", ".. _a:\n"],
)  # fmt: skip
def test_twenty_thousand_of_anything_are_no_trouble(unit: str) -> None:
    rst.outline(unit * 20_000)


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        f"{'+-' * 20_000}+\n" + "|\n" * 20_000 + f"{'+=' * 20_000}+\n",
        "+--+\n" + "| a\n" * 40_000 + "+==+\n",
        f"{'= ' * 20_000}=\n" + "a\n" * 4_000 + f"{'= ' * 20_000}=\na\n{'= ' * 20_000}=\n",
        "== ==\n" + "a\n-----\n" * 20_000 + "== ==\na\n== ==\n",
    ],
    ids=range(4),
)
def test_a_large_header_takes_time_by_its_size(text: str) -> None:
    assert len(rst.outline(text).blocks) == 1
