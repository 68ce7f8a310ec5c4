"""Manual pages: their text on the lines of the source, headings, options, tables and examples."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.documents.formats import Parsed, Source, format_of, formats

from .outlines_for_tests import FILL, blocks, check, headings, headings_at, parsed, passages_of

MAN = r""".\" A licence.
.de Vb
.ft CW
..
.TH PUMP 8 "May 2024" "The mill" "Manual"
.SH NAME
pump \- move water up\-hill
.SH "EXIT STATUS"
.PP
Use \fB\-\-flow\fR=\fIlitres\fP or
.BR pipe (1),
.I slowly
and \(lqwell\(rq \(em caf\['e].\" remark
.SS Details
.TP
.BI \-v " level"
Say more.
.IP "\fB\-q\fP" 4
.nf
  x = 1
.fi
.RS 4
.INDENT 0.0
"""

MDOC = r""".Dd May 1, 2024
.Dt PUMP 8
.Os
.Sh NAME
.Nm pump
.Nd move water uphill
.Sh SYNOPSIS
.Nm
.Op Fl v Ar level
.Ar file ...
.Sh SEE ALSO
.Xr pipe 1 ,
.Xr valve 3
.Bl -tag
.It Fl q , -quiet
Nothing is said by
.Nm .
.El
"""


def page(text: str) -> Parsed:
    return parsed("pump.8", text)


def test_a_page_is_its_text_on_the_lines_of_the_source() -> None:
    made = page(MAN)
    assert made.title == "pump(8) - move water up-hill"
    assert [line.rstrip() for line in made.text.split("\n")] == [
        *("", "", "", "", "PUMP 8", "NAME", "pump - move water up-hill", "EXIT STATUS", ""),
        *("Use --flow=litres or", "pipe(1),", "slowly", "and “well” — café.", "Details", ""),
        *("-v level", "Say more.", "-q", "", "  x = 1", "", "", "", ""),
    ]
    assert headings(made) == [(1, "NAME"), (1, "EXIT STATUS"), (2, "Details")]
    assert blocks(made) == [("code", "", "")]


def test_the_requests_of_bsd_are_read_too() -> None:
    made = page(MDOC)
    assert made.title == "pump(8) - move water uphill"
    assert [line.rstrip() for line in made.text.split("\n")] == [
        *("", "PUMP 8", "", "NAME", "pump", "- move water uphill", "SYNOPSIS", "pump"),
        *("[-v level]", "file ...", "SEE ALSO", "pipe(1),", "valve(3)", "", "-q, -quiet"),
        *("Nothing is said by", "pump.", "", ""),
    ]


def test_every_passage_of_a_long_section_has_the_headings_above_it() -> None:
    long = f".PP\n{FILL * 3}\n" * 3
    made = page(f".TH A 1\n.SH OPTIONS\n{long}.SS Files\n{long}.PP\nword1 {FILL}\n.SH BUGS\n{long}"
                f".PP\nword2 {FILL}\n")  # fmt: skip
    assert headings_at(made, "word1") == ("OPTIONS", "Files")
    assert headings_at(made, "word2") == ("BUGS",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('.SH\nNAME\na \\- b\n.SH\n"EXIT STATUS"\nc\n.SS\nA part\n',
         [(1, "NAME"), (1, "EXIT STATUS"), (2, "A part")]),
        ('.SH "DESCRIPTION OF"\n.SH "A ""B"" C" D\n', [(1, "DESCRIPTION OF"), (1, 'A "B" C D')]),
        (".SH\n.B NAME\nx\n.SS\n.\\\" remark\n.ft B\n\\fBPart\\fR\n", [(1, "NAME"), (2, "Part")]),
        (".SH\n\n.SH A\n.SH\n.PP\nx\n.SS", [(1, "A")]),
        ('.SH NAME \\" remark\n.SH "B" \\# remark\n.SH C\\\\D\n',
         [(1, "NAME"), (1, "B"), (1, "C\\D")]),
        (".SH \\*(lqA\\*(rq B\\*R \\*[Tm]\n", [(1, "“A” B® ™")]),
        (".SH \"\"\nNAME\n", [(1, "NAME")]),
    ],
)  # fmt: skip
def test_the_words_of_a_heading(text: str, expected: list[tuple[int, str]]) -> None:
    made = page(f".TH A 1\n{text}")
    assert headings(made) == expected
    assert made.text.count("\n") == text.count("\n") + 1


def test_a_name_below_its_heading_is_in_the_title() -> None:
    assert page(".TH A 1\n.SH\nNAME\na \\- does b\n").title == "a(1) - does b"


def test_pages_are_cut_between_options_and_a_long_one_is_read_with_its_name() -> None:
    options = "".join(f".TP\n.B \\-\\-opt{n}\n{FILL * 2}\n" for n in range(6))
    made = page(
        f'.TH A 1\n.SH OPTIONS\n{options}.TP\n.BI \\-\\-last " x"\n{FILL * 9}\n.SH END\nend\n'
    )
    assert blocks(made) == [("list", "--last x", "")]
    found = passages_of(made, 48)
    starts = [text.split()[0] for text, _ in found]
    assert [start for start in starts if start.startswith("--opt")] == [
        "--opt1",
        "--opt2",
        "--opt3",
        "--opt4",
        "--opt5",
    ]
    assert "--last x" in {p.context.lead for _, p in found}


def test_tables_are_read_with_their_header() -> None:
    made = page(
        ".TH A 1\n.SH T\n.TS\ntab(\t);\nlB lB\nl l.\nname\tflow\nnorth\t7\nsouth\t14\n.TE\nend\n"
    )
    assert blocks(made) == [("table", "name | flow", "")]


def test_a_table_says_what_stands_between_its_cells() -> None:
    made = page(
        ".TH A 1\n.SH T\n.TS\nallbox tab(;);\nl l\nl l.\nname;flow\nnorth;7\nsouth;14\n.TE\n"
    )
    assert blocks(made) == [("table", "name | flow", "")]


def test_a_table_of_one_row_ends_with_it() -> None:
    made = page(".TH A 1\n.SH T\n.TS\nl l.\nname\tflow\n.TE\n.SH END\nlast\n")
    assert "END" not in blocks(made)[0][1]


@pytest.mark.parametrize(
    ("name", "head", "format"),
    [
        ("ls.1", b'.\\" x\n.TH LS 1\n', "man"),
        ("openssl.3pm", b"'\\\" t\n.de Sp\n.if t .sp\n..\n.TH X 3\n", "man"),
        ("a.7", b".Dd May 1\n.Dt A 7\n", "man"),
        ("a.8", b".SH\nNAME\nx\n", "man"),
        ("noname", b".SH NAME\nx\n", "man"),
        ("log.1", b"2024-01-01 it began\n.TH", "text"),
        ("a.1", b"1. First\n", "text"),
        ("a.txt", b".TH LS 1\n", "text"),
        ("a.mdoc", b"", "man"),
    ],
)
def test_a_page_is_known_by_how_it_begins(name: str, head: bytes, format: str) -> None:
    assert format_of(name, head).name == format


# With NULs a few bytes may be taken for UTF-16, which is not what is tested here.
WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6)
PIECES = st.sampled_from(
    [
        *(
            ".SH",
            ".SS",
            ".SH A",
            ".SS b c",
            ".TP",
            ".IP x 4",
            ".PP",
            ".nf",
            ".fi",
            ".TS",
            "l l.",
            ".TE",
            ".de X",
        ),
        *(
            "..",
            ".B bold",
            ".BR a (1)",
            ".Op Fl v",
            ".Nm",
            ".Nm x",
            ".It Fl a",
            ".Xr",
            ".Bd -literal",
        ),
        *(
            "text",
            "a\tb",
            "",
            ".",
            "'",
            "\\fBx\\fP",
            "\\",
            "\\(",
            "\\[",
            "\\*",
            ".TH A 1",
            '."',
            ".Fl",
        ),
    ]
)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES | WORDS, max_size=40), st.sampled_from(["\n", "\r\n"]))
def test_lines_stay_and_an_outline_lies_within_its_text(lines: list[str], newline: str) -> None:
    source = newline.join(lines)
    made = formats()["man"].parse(source.encode(), Source("a.1"))
    assert isinstance(made, Parsed)
    assert made.text.count("\n") == source.count("\n")
    check(made.text, made.outline)


@pytest.mark.parametrize(
    "unit", ["\\", "\\f[", ".TP\n", ".nf\n", ".TS\n", '."', ".Op ", '"', ".de\n", "\n"]
)
def test_twenty_thousand_of_anything_are_no_trouble(unit: str) -> None:
    formats()["man"].parse((".SH A\n" + unit * 20_000).encode(), Source("a.1"))


def test_rows_are_those_of_their_table() -> None:
    """Each table is noted with its own rows, however many tables there are."""
    table = ".TS\nl l.\nname\tmeaning\n{0}a\tone\n{0}b\ttwo\n.TE\n.PP\nwords\n"
    made = formats()["man"].parse(
        (".SH A\n" + "".join(table.format(n) for n in range(3))).encode(), Source("a.1")
    )
    assert isinstance(made, Parsed)
    rows = [block for block in made.outline.blocks if block.kind == "table"]
    assert [made.text[one.start : one.end].split() for one in rows] == [
        ["name", "meaning", f"{n}a", "one", f"{n}b", "two"] for n in range(3)
    ]
