"""Rows of tables are lines of their own, with their cells apart; prose is none."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from retrieval.documents.formats import Parsed, Source, format_of
from retrieval.documents.formats.pdf.lines import Gap, Line
from retrieval.documents.formats.pdf.tables import row_of, tables_of

CORPUS = Path(__file__).parents[1] / "corpus" / "files"

Cell = tuple[str, float, float]
"""Words, and where they begin and end."""


def line(y: float, *cells: Cell, page: int = 1, mono: bool = False) -> Line:
    """A line of cells that stand apart, 10 points high."""
    text, gaps = cells[0][0], []
    for (_, _, before), (words, begin, _) in pairwise(cells):
        gaps.append(Gap(len(text) + 1, before, begin))
        text += f" {words}"
    right = cells[-1][2]
    return Line(text, page, cells[0][1], right, y, y, 10, False, mono, tuple(gaps))


def found(lines: Sequence[Line]) -> list[tuple[int, int]]:
    return list(tables_of(lines, lambda at: True))


PROSE = line(500, ("All that is written here is a paragraph.", 50, 300))
ROWS = [
    line(480, ("Store", 50, 80), ("Lowest", 120, 160), ("Goods", 200, 240)),
    line(466, ("North", 50, 80), ("-24", 120, 140), ("herring and cod", 200, 290)),
    line(452, ("South", 50, 80), ("-4", 120, 135), ("apples", 200, 230)),
]
NUMBERS = [
    line(480, ("Sum of the whole year", 50, 150), ("1,200", 250, 280)),
    line(466, ("Tolls", 50, 80), ("40", 268, 280)),
]


@pytest.mark.parametrize(
    ("lines", "tables"),
    [
        ([], []),
        ([PROSE], []),
        (ROWS, [(0, 3)]),
        ([PROSE, *ROWS, PROSE], [(1, 4)]),
        (ROWS[:1], []),
        (NUMBERS, [(0, 2)]),  # set flush right
        ([ROWS[0], line(300, ("far", 50, 80), ("below", 120, 160))], []),
        ([ROWS[0], line(480, ("on the", 50, 80), ("same line", 120, 160))], []),
        ([ROWS[0], line(466, ("on the", 50, 80), ("next page", 120, 160), page=2)], []),
        ([ROWS[0], line(466, ("elsewhere", 50, 90), ("aligned", 141, 193))], []),
        ([line(at, ("x = 1", 50, 80), ("# one", 120, 160), mono=True) for at in (90, 76)], []),
    ],
)
def test_lines_with_aligned_gaps_are_rows(lines: list[Line], tables: list[tuple[int, int]]) -> None:
    assert found(lines) == tables


def test_cells_are_parted() -> None:
    assert [row_of(one) for one in ROWS[:2]] == [
        "Store | Lowest | Goods",
        "North | -24 | herring and cod",
    ]


def test_the_mark_of_an_item_or_a_heading_is_no_cell() -> None:
    for mark in ("•", "1.", "(a)", "2.1", "-"):
        items = [line(at, (mark, 50, 58), ("open the door", 80, 150)) for at in (480, 466)]
        assert found(items) == []
        assert row_of(items[0]) == f"{mark} open the door"


def test_a_wider_gap_after_a_sentence_is_none() -> None:
    prose = [
        line(480, ("The lock is closed.", 50, 130), ("It opens at six.", 140, 210)),
        line(466, ("Nobody waits here.", 50, 130), ("All go home.", 140, 200)),
    ]
    assert found(prose) == []


def test_stretched_lines_are_no_rows() -> None:
    """Of many words that stand far apart some are aligned by chance."""
    words = [(f"w{at}", 50 + 40 * at, 78 + 40 * at) for at in range(12)]
    shifted = [(f"v{at}", 50 + 40 * at + 15 * (at % 3), 73 + 40 * at + 15 * (at % 3))
               for at in range(12)]  # fmt: skip
    assert found([line(480, *words), line(466, *shifted)]) == []


def test_a_row_of_a_page_is_a_line_of_the_text() -> None:
    made = format_of("a.pdf").parse((CORPUS / "guide-chromium.pdf").read_bytes(), Source("a.pdf"))
    assert isinstance(made, Parsed)
    rows = (
        "Store | Lowest | Highest | Goods\nNorth | -24 °C | -18 °C | herring and cod\n"
        "South | -4 °C | 2 °C | apples, pears\nQuay | 0 °C | 6 °C | cut flowers"
    )
    (table,) = (block for block in made.outline.blocks if block.kind == "table")
    assert made.text[table.start : table.end] == rows
    assert table.lead == ""
