"""CSV and its kin: dialects, headers, rows and their places, rows as documents."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.documents import chunk
from retrieval.documents.formats import Parsed, Source, format_of
from retrieval.documents.formats.delimited import read
from retrieval.documents.formats.rows import RowMarks
from retrieval.documents.outline import Mark
from retrieval.errors import DocumentError
from retrieval.types import Document

from .outlines_for_tests import FILL, check, parsed, passages_of
from .tokenizers_for_tests import WORDS


def rows_of(text: str, kind: str = "csv") -> list[list[str]]:
    return [row.cells for row in read(text, kind)[1]]


def test_passages_are_whole_rows_that_know_their_columns_and_their_place() -> None:
    lines = [f'pump {n},{n * 7},"{FILL}\n{FILL}"' for n in range(25)]
    made = parsed("pumps.csv", "name,flow,remark\n" + "\n".join(lines) + "\n")
    found = passages_of(made, 60)
    assert len(found) > 10
    for text, passage in found[1:]:
        assert passage.context.lead == "name | flow | remark"
        assert text.startswith(f"pump {passage.place.row - 1},") and text.endswith('"')
    assert found[0][0].startswith("name,flow,remark\npump 0,")


@pytest.mark.parametrize(
    ("text", "header", "rows"),
    [
        ("name,city\nAnn,Berlin\nBo,Rome\n", ["name", "city"], [["Ann", "Berlin"], ["Bo", "Rome"]]),
        ("name;price\nx;1,5\ny;2,5\n", ["name", "price"], [["x", "1,5"], ["y", "2,5"]]),
        ("a\tb\n1\t2, 3\n4\t5, 6", ["a", "b"], [["1", "2, 3"], ["4", "5, 6"]]),
        ("a|b\n1|2\n", ["a", "b"], [["1", "2"]]),
        ("1,2\n3,4\n", [], [["1", "2"], ["3", "4"]]),
        ("No,city\n1,Rome\n", ["No", "city"], [["1", "Rome"]]),
        ("red,north\ngreen,south\nred,west\n", [],
         [["red", "north"], ["green", "south"], ["red", "west"]]),
        ("country,2019,2020\nA,1,2\n", ["country", "2019", "2020"], [["A", "1", "2"]]),
        ("sep=;\na;b\n1;2\n", ["a", "b"], [["1", "2"]]),
        ("# made by a program\n#name,city\nAnna,Berlin\n", ["name", "city"], [["Anna", "Berlin"]]),
        ("Report\n\nname;value\n\"a;b\nc\";1,5\nx;2,5\n", ["name", "value"],
         [["a;b\nc", "1,5"], ["x", "2,5"]]),
        ("'name','city'\n'Anna','Berlin, Mitte'\n", ["name", "city"], [["Anna", "Berlin, Mitte"]]),
        ('a,b,c\n"x,1,2\ny,3,4\n', ["a", "b", "c"], [['"x', "1", "2"], ["y", "3", "4"]]),
        ('a,b\nx,5" pipe\ny,"6"" pipe"\n', ["a", "b"], [["x", '5" pipe'], ["y", '6" pipe']]),
        ("a,b\r\n1,2\r\n\r\n,\r\n3,4\r\n", ["a", "b"], [["1", "2"], ["3", "4"]]),
        ("a,b\r1,2\r3,4", ["a", "b"], [["1", "2"], ["3", "4"]]),
        ("word\none\ntwo\n", ["word"], [["one"], ["two"]]),
        ("", [], []),
        ("\n \n", [], []),
    ],
)  # fmt: skip
def test_the_dialect_and_the_header_are_found(
    text: str, header: list[str], rows: list[list[str]]
) -> None:
    assert read(text)[0].header == header
    assert rows_of(text) == rows


def test_what_stands_above_a_table_is_read_with_its_rows() -> None:
    made = parsed("a.csv", "Sales of the north\nall figures in kg\n\nmonth,apples\nMay,3\nJune,4\n")
    assert made.outline.blocks[0].lead == "Sales of the north all figures in kg\nmonth | apples"


@pytest.mark.parametrize(("name", "delimiter"), [("a.csv", ","), ("a.tsv", "\t"), ("a.psv", "|")])
def test_suffixes_say_the_delimiter(name: str, delimiter: str) -> None:
    made = parsed(name, f"a{delimiter}b\n1{delimiter}2; 3\n")
    assert made.outline.blocks[0].lead == "a | b"


CELLS = st.text(st.sampled_from('ab1 ,;"\n\té'), max_size=8)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.lists(CELLS, min_size=2, max_size=4), max_size=12),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_rows_that_a_writer_wrote_start_where_they_are_found(
    table: list[list[str]], delimiter: str, newline: str
) -> None:
    table = [["first", "second", "third"], *(row[:3] + [""] * (3 - len(row)) for row in table)]
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter, lineterminator=newline).writerows(table)
    text = file.getvalue()
    sheet, rows = read(text)
    found = list(rows)
    check(text, sheet.outline(text))
    assert [row.cells for row in found] == [row for row in table[1:] if "".join(row).strip()]
    assert list(sheet.starts) == [row.start for row in found]
    for row in found:
        written = io.StringIO(text[row.start : row.end], newline="")
        assert list(csv.reader(written, delimiter=delimiter)) == [row.cells]


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("ab1,;\"'\n\r\t|# "), max_size=120), st.integers(1, 12))
def test_any_text_is_cut_without_loss(text: str, max_tokens: int) -> None:
    made = parsed("a.csv", text)
    cut = chunk(Document("d", text), WORDS, outline=made.outline, max_tokens=max_tokens)
    kept = "".join(text[p.start : p.end] for p in cut)
    assert "".join(kept.split()) == "".join(text.split())


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=2, max_size=20))
def test_a_row_that_fits_is_never_cut(sizes: list[int]) -> None:
    rows = [",".join(["x", "word. " * size]) for size in sizes]
    text = "name,text\n" + "\n".join(rows) + "\n"
    made = parsed("a.csv", text)
    starts = {0, *made.outline.breaks[-1]}
    for _, passage in passages_of(made, 64):
        assert passage.start in starts


def test_a_row_longer_than_a_passage_is_cut_within() -> None:
    made = parsed("a.csv", f"name,text\nx,short\ny,{FILL * 20}\nz,short\n")
    found = passages_of(made, 60)
    assert all(p.context.lead == "name | text" for _, p in found[1:])
    assert [p.place.row for _, p in found[1:-1]] == [2] * (len(found) - 2)


def documents(text: str, name: str = "a.csv") -> list[Parsed]:
    data = text.encode()
    made = format_of(name, data).parse(data, Source(name, rows=True))
    assert not isinstance(made, Parsed)
    return list(made)


def test_each_row_is_a_document_with_its_columns_as_metadata() -> None:
    text = "name,year,zip,path,price,,name\nAda,1815,01234,/x,1.5,z,A\nBo,,99999,,2,,B\n"
    first, second = documents(text, "d/people.csv")
    assert first.id == "d/people.csv#R1"
    assert first.title == "Ada"
    assert first.text == (
        "name: Ada\nyear: 1815\nzip: 01234\npath: /x\nprice: 1.5\ncolumn 6: z\nname 7: A"
    )
    assert first.metadata == {
        "name": "Ada",
        "year": 1815,
        "zip": "01234",
        "price": 1.5,
        "column 6": "z",
        "name 7": "A",
        "original": {"path": "/x"},
    }
    assert second.metadata == {"name": "Bo", "zip": "99999", "price": 2.0, "name 7": "B"}
    assert list(second.outline.marks) == [Mark(0, "row", 2)]


def test_columns_without_a_header_are_numbered() -> None:
    assert [made.text for made in documents("1,2\n3,4\n")] == [
        "column 1: 1\ncolumn 2: 2",
        "column 1: 3\ncolumn 2: 4",
    ]


def test_a_table_without_rows_gives_no_documents() -> None:
    with pytest.raises(DocumentError, match="holds no rows"):
        documents("\n")


def test_marks_are_made_when_they_are_asked_for() -> None:
    marks = RowMarks([0, 5, 9])
    assert list(marks) == [Mark(0, "row", 1), Mark(5, "row", 2), Mark(9, "row", 3)]
    assert (marks[-1], marks[1:]) == (Mark(9, "row", 3), list(marks)[1:])
    with pytest.raises(IndexError):
        marks[3]


@pytest.mark.parametrize("unit", ['"', '"a,b\n', "a,b\n", ",", '"x","y,1\n', "\r\n", "'", '","\r'])
def test_twenty_thousand_of_anything_are_no_trouble(unit: str) -> None:
    text = unit * 20_000
    check(text, read(text)[0].outline(text))
