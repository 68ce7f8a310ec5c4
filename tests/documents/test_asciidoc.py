"""AsciiDoc: headings, title, attributes, tables, lists and code."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.documents.formats import asciidoc

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
    made = parsed("a.adoc", f"= Guide\n\n== North\n\n{long}=== Doors\n\n{long}word1 {FILL}\n\n"
                  f"== South\n\n{long}word2 {FILL}\n")  # fmt: skip
    assert made.title == "Guide"
    assert headings_at(made, "word1") == ("Guide", "North", "Doors")
    assert headings_at(made, "word2") == ("Guide", "South")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("= A\n\n== B ==\n\n====== C", [(1, "A"), (2, "B"), (6, "C")]),
        ("# A\n\n## B", [(1, "A"), (2, "B")]),
        ("A title\n=======\n\nB\n-\n\nSection\n-------\n\nx\n\nDeeper\n~~~~~~\n",
         [(1, "A title"), (2, "Section"), (3, "Deeper")]),
        ("----\n== no\n----\n\n== B", [(2, "B")]),
        ("....\n== no\n....\n////\n== no\n////\n```\n== no\n```\n\n== B", [(2, "B")]),
        ("// == no\n//== no\n\n== B", [(2, "B")]),
        ("text\n== no\n\n== B", [(2, "B")]),
        ("----\nnever closed\n\n== B", [(2, "B")]),
        (":x: Rails\n\n== *Big* `{x}` link:u[words] <<a,there>> {y}",
         [(2, "Big Rails words there {y}")]),
        ("[[anchor]]\n[.role]\n== B\n\nb", [(2, "B")]),
        ("== https://example.org/a_b[The site] & _more_", [(2, "The site & more")]),
        ("====\nexample\n====\n\n== B", [(2, "B")]),
        ("==\n\n== \n\n==x", []),
        ("ifdef::x[]\n== A\nendif::[]\n== B\n\nimage::a.png[A]\n== C\n\n'''\n== D",
         [(2, "A"), (2, "B"), (2, "C"), (2, "D")]),
        ("日本語\n------", [(2, "日本語")]),
    ],
)  # fmt: skip
def test_headings(text: str, expected: list[tuple[int, str]]) -> None:
    assert headings(parsed("a.adoc", text)) == expected


@pytest.mark.parametrize(
    "mark", ["====", "=====", "****", "____", "--", "----", "....", "++++", "```", "////"]
)
@pytest.mark.parametrize(
    "inside",
    ["Done", "One paragraph.\n\nDone.", "* a\n* b\n\nAt last", "== no\nx", "No\n~~~", "x\n\n[a]",
     ".Then", "  code", "|===\n|a\n|==="],
)  # fmt: skip
def test_there_are_no_sections_in_a_block(mark: str, inside: str) -> None:
    made = parsed("a.adoc", f"= Guide\n\n.Look\n{mark}\n{inside}\n{mark}\n\n== Next\n\ntext")
    assert made.title == "Guide"
    assert headings(made) == [(1, "Guide"), (2, "Next")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("====\n--\nEnd\n--\n****\n== no\n****\nFin\n====\n== B", ["B"]),
        ("====\n=====\nDone.\n=====\nAll\n====\n\n== B", ["B"]),
        ("====\n----\n== no\n----\nEnd\n====\n== B", ["B"]),
        ("====\n----\nnever closed\n====\n== B\n----", ["B"]),
        ("====\nx\n\n== A\n\n----\ny\n----\n\n== B", ["A", "B"]),
        ("* a\n+\n====\nOne\n\nDone\n====\n* b\n\n== B", ["B"]),
        ("====\n* a\n+\n----\n== no\n----\nEnd\n====\n\n== B", ["B"]),
        ("Two lines\nof text\n======\nlast\n======\n\nSix\n---", ["Six"]),
    ],
)
def test_blocks_within_blocks_end_where_they_say(text: str, expected: list[str]) -> None:
    assert [words for _, words in headings(parsed("a.adoc", text))] == expected


def test_what_stands_in_a_block_is_read_as_elsewhere() -> None:
    text = "[NOTE]\n====\nThese:\n\n* a\n* b\n\n[source,go]\n----\nx\n----\n\nDone\n====\n\n== B\n"
    made = parsed("a.adoc", text)
    assert blocks(made) == [("list", "These:", ""), ("code", "", "go")]
    assert stretch(made) == "* a\n* b"


def test_a_section_begins_at_the_attributes_of_its_title() -> None:
    made = parsed("a.adoc", "before\n\n[[anchor]]\n[.role]\n== B\n\nb")
    assert lines_at(made, [section.start for section in made.outline.sections]) == [
        "before",
        "[[anchor]]",
    ]


def test_the_header_of_a_document_gives_its_author_and_attributes() -> None:
    text = (
        "// licence\n:keywords: pumps, mills\n= Title of {product}\n"
        "Ada Smith <ada@example.org>; Bo Li\n"
        "v1.2, 2024-05-01\n:product: Mill\n:description: About mills.\n\nText.\n"
    )
    made = parsed("a.adoc", text)
    assert made.title == "Title of Mill"
    assert made.metadata == {
        "author": "Ada Smith; Bo Li",
        "description": "About mills.",
        "keywords": "pumps, mills",
    }


ROWS = "".join(f"|pump {n} |{7 * n} |{FILL}\n" for n in range(10))


@pytest.mark.parametrize(
    "table",
    [
        f"|===\n|name |flow |remark\n\n{ROWS}|===\n",
        f'[options="header"]\n|===\n|name |flow |remark\n{ROWS}|===\n',
        f"[%header%footer,cols=3*]\n|===\n|name\n|flow\n|remark\n{ROWS}|===\n",
        "[cols=\"1,2,^.>3a\", options='header']\n|===\n|name |flow |remark\n\n"
        + "".join(f"|pump {n}\n|{7 * n}\n\n|{FILL}\n" for n in range(10)) + "|===\n",
        "[%header,format=csv]\n|===\nname,flow,remark\n"
        + "".join(f"pump {n},{7 * n},{FILL}\n" for n in range(10)) + "|===\n",
        ",===\nname,flow,remark\n\n"
        + "".join(f"pump {n},{7 * n},{FILL}\n" for n in range(10)) + ",===\n",
    ],
)  # fmt: skip
def test_rows_of_a_table_are_read_with_its_caption_and_header(table: str) -> None:
    made = parsed("a.adoc", f"== Pumps\n\n{FILL}\n\n.Pumps of the *mill*\n{table}\nAfter.\n")
    assert blocks(made) == [("table", "Pumps of the mill\nname | flow | remark", "")]
    found = passages_of(made)
    for n in range(10):
        text, passage = next((t, p) for t, p in found if f"pump {n}" in t)
        row = text[text.index(f"pump {n}") :]
        assert str(7 * n) in row and FILL.strip() in " ".join(row.split())
        assert passage.context.lead or "name" in text
    assert sum("name" in text for text, _ in found) == 1


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("2+|wide |1\n|x |y |z\n", ["2+|wide |1", "|x |y |z"]),
        (".2+|tall |1 |2\n|3 |4\n|x |y |z\n", [".2+|tall |1 |2", "|3 |4", "|x |y |z"]),
        ("|1 |2 |3 |x |y |z\n", ["|1 |2 |3 |x |y |z", "|x |y |z"]),
        ("3*|x\n|1\n|2 a\\|b\n|3\n", ["3*|x", "|1"]),
    ],
)
def test_cells_that_reach_further_do_not_shift_the_rows(rows: str, expected: list[str]) -> None:
    made = parsed("a.adoc", f"|===\n|a |b |c\n\n{rows}|===\n")
    assert lines_at(made, made.outline.breaks[2]) == expected


def test_a_bar_that_is_escaped_is_one_in_the_header() -> None:
    made = parsed("a.adoc", "|===\n|a \\| b |c\n\n|1 |2\n|===\n")
    assert made.outline.blocks[0].lead == "a | b | c"


def test_lists_are_read_with_what_introduces_them_and_keep_what_is_joined_to_an_item() -> None:
    text = (
        f"{FILL} You need:\n\n* one\n  goes on\n** two\n\n* three\n+\n[source,go]\n"
        "----\nx := 1\n\ny\n----\n\n* four\n\nEnd.\n\nterm:: what it is\nother term::\n  more\n"
    )
    made = parsed("a.adoc", text)
    assert blocks(made) == [("list", "You need:", ""), ("code", "", "go"), ("list", "", "")]
    assert stretch(made).startswith("* one") and stretch(made).endswith("* four")
    assert stretch(made, 1) == "[source,go]\n----\nx := 1\n\ny\n----"
    assert "* three" in lines_at(made, made.outline.breaks[1])


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("[source,python]\n----\nx = 1\n----\n", "python"),
        ("[source%linenums,python,indent=0]\n----\nx = 1\n----\n", "python"),
        ("[,rust]\n----\nx\n----\n", "rust"),
        (".Title\n[source,console]\n....\n$ x\n....\n", "bash"),
        ("```go\nx\n```\n", "go"),
        ("[source,c]\nint x;\n", "c"),
        ("[source,c]\n--\nint x;\n--\n", "c"),
        (":source-language: java\n\n[source]\n----\nx\n----\n", "java"),
        ("----\nx\n----\n", ""),
        ("text\n\n  literal\n  lines\n", ""),
    ],
)
def test_code_has_its_language(text: str, language: str) -> None:
    made = parsed("a.adoc", text)
    assert [(kind, found) for kind, _, found in blocks(made)] == [("code", language)]


LINES = st.sampled_from(
    [
        *("", "= A", "== B", "=== C", "Title", "=====", "-----", "----", "....", "++++", "////"),
        *(
            "====",
            "****",
            "--",
            "|===",
            "|a |b",
            "2+|c",
            "a|d",
            "* item",
            "** deeper",
            ". one",
            "+",
        ),
        *("term:: x", "[source,go]", "[[x]]", ".Caption", ":a: b", "  indented", "text:", "```"),
        *("// c", ",===", "a,b", "[%header]", "-", "<1> x"),
    ]
)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(st.lists(LINES, max_size=40), st.sampled_from(["\n", "\r\n"]))
def test_an_outline_lies_within_its_text(lines: list[str], newline: str) -> None:
    text = newline.join(lines)
    check(text, asciidoc.outline(text))


@pytest.mark.parametrize(
    "unit", ["[a]\n", "* a\n+\n", "|===\n", "----\nx\n", ".a\n", "a::\n", "=", "|",
             "====\nx\n\n", "====\n--\n", "====\nx\n====\n"]
)  # fmt: skip
def test_twenty_thousand_of_anything_are_no_trouble(unit: str) -> None:
    asciidoc.outline(unit * 20_000)


def test_a_cell_of_many_lines_takes_time_by_its_lines() -> None:
    made = asciidoc.outline("|===\n|" + f"{FILL}\n" * 60_000 + "|===\n")  # 5 MB in one cell
    assert len(made.blocks) == 1
