"""PDF: text, headings, pages and what is said of files by real programs, and of single cases."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from retrieval.documents import SourceFile, read
from retrieval.documents.formats.format import Parsed
from retrieval.errors import DocumentError

from ..outlines_for_tests import blocks, headings, parsed, passages_of
from .building import CATALOG, PAGE, font, page_of, pages, pdf, stream

FILES = Path(__file__).parent / "files"
FILL = "words that fill a line of the page from one end of it to the other end and"


def file(name: str) -> Parsed:
    return parsed(f"{name}.pdf", (FILES / f"{name}.pdf").read_bytes())


def page_at(made: Parsed, words: str) -> int | None:
    """The page of the passage that begins with these words."""
    return next(p.place.page for text, p in passages_of(made, 12) if text.startswith(words))


def body(*words: str, top: float) -> list[tuple[str, float, float, str]]:
    """Lines below each other."""
    return [("F", 10, top - 12 * at, line) for at, line in enumerate(words)]


def test_two_columns_of_tex_are_text_in_reading_order() -> None:
    made = file("tex")
    assert made.title == "The handbook of the mill"
    assert (made.metadata["pages"], made.problems) == (2, ())
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", made.metadata["created"])
    assert headings(made) == [
        (1, "The handbook of the mill"),
        (2, "1 Introduction"),
        (2, "2 Pumps"),
        (3, "2.1 The north pump"),
        (3, "2.2 The south pump"),
        (2, "3 Maintenance"),
        (2, "4 Emergencies"),
    ]
    source = (FILES.parent / "sources" / "mill.tex").read_text()
    source = source[source.index(r"\section") : source.index(r"\end{document}")]
    wanted = re.sub(r"\\(?:sub)*section\{.*\}|\\(?:begin|end)\{\w+\}|\\item", "", source)
    said = made.text[made.text.index("The mill has") :]
    said = re.sub(r"\n\d(?:\.\d)? [A-Z].*\n", "", said)
    assert re.findall(r"\w+", said) == re.findall(r"\w+", wanted)


def test_words_parted_at_the_end_of_a_line_a_column_or_a_page_are_one() -> None:
    text = file("tex").text
    assert "circumstances are communicated to the superintendent" in text
    assert "straightforward: measurements that are not documented" in text
    assert text.count("well-known") == 2
    assert "characteristics of the transmission, since" in text


def test_running_headers_and_page_numbers_are_no_text() -> None:
    text = file("tex").text
    for words in ("Edition 7", "handbook’s", "The mill’s handbook", "Page 1", "Page 2"):
        assert words not in text


def test_code_keeps_its_lines_and_indentation() -> None:
    made = file("tex")
    assert "def flow(pump):\n    if pump.open:\n        return 2\n" in made.text
    (code,) = (block for block in made.outline.blocks if block.kind == "code")
    assert made.text[code.start : code.end].endswith("return 2")
    made = file("libreoffice")
    assert made.text.endswith("retrieval index mill --again\n    --max-bytes 100")
    assert [kind for kind, _, _ in blocks(made)] == ["table", "code"]


def test_a_text_of_libreoffice_has_its_headings_and_rows() -> None:
    made = file("libreoffice")
    assert made.title == "The yearly report of the mill"
    assert made.metadata["author"] == "Charles Babbage"
    assert headings(made) == [
        (1, "Flow"),
        (2, "Flow by month"),
        (2, "Flow by night"),
        (1, "Costs"),
    ]
    assert (
        "\n\nmonth | north | south | remark\nMarch | 0 | 412 | new bearings in north\n"
        "April | 731 | 398 | none\n\n"
    ) in made.text
    assert "\n1. It starts at ten.\n2. It stops at five.\n" in made.text
    assert "Größe: 40 °C, 12 €, naïve façade, Ελλάδα, Москва." in made.text
    assert "than in any year before. The north pump alone moved seven thousand tons, though" in (
        made.text
    )


def test_every_passage_knows_its_page() -> None:
    made = file("cairo")
    assert (made.title, made.metadata["author"]) == ("Notes of the mill", "Grace Hopper")
    assert headings(made) == [(1, "Valves"), (1, "Bearings")]
    assert "opened by hand, and the south valve by a motor." in made.text
    assert (page_at(made, "Valves"), page_at(made, "Bearings")) == (1, 2)
    tex = file("tex")
    assert page_at(tex, "1 Introduction") == 1
    assert page_at(tex, "4 Emergencies") == 2


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("scan", "holds pictures only, no text; index a copy with text (ocrmypdf makes one)"),
        ("encrypted", "is encrypted with a password; index a copy that is saved without one"),
    ],
)
def test_a_file_without_text_says_why(name: str, said: str) -> None:
    path = FILES / f"{name}.pdf"
    with pytest.raises(DocumentError) as caught:
        read(SourceFile(path, f"a/{name}.pdf", path.stat().st_size, 0))
    assert str(caught.value) == f"a/{name}.pdf: {said}"


def test_a_file_is_read_by_a_worker() -> None:
    path = FILES / "tex.pdf"
    result = read(SourceFile(path, "a/tex.pdf", path.stat().st_size, 0))
    (document,) = result.documents
    assert document.text == file("tex").text
    assert result.outlines[0] == file("tex").outline
    assert document.metadata["format"] == "pdf"


def test_headings_are_what_is_larger_or_bold_and_apart() -> None:
    made = parsed("a.pdf", pages(page_of(
        ("F", 20, 560, "The whole"),
        ("B", 14, 520, "A part of it"),
        *body(FILL, "is here.", top=500),
        ("B", 10, 460, "Bold and apart"),
        *body(FILL, FILL, "is here.", top=448),
        ("B", 10, 412, "Bold at once"),
        *body(FILL, "is here.", top=400),
        ("B", 10, 360, "Bold, with a full stop."),
        *body("which is a sentence.", top=348),
        ("C", 14, 310, "large.code()"),
    )))  # fmt: skip
    assert headings(made) == [(1, "The whole"), (2, "A part of it"), (3, "Bold and apart")]
    assert made.title == "The whole"


def test_of_slides_the_first_line_of_each_is_its_heading() -> None:
    made = parsed("a.pdf", pages(*(
        page_of(
            ("F", 30, 560, f"Slide of {word}"),
            ("F", 20, 500, "Large point"),
            ("F", 10, 470, "small words"),
            ("F", 20, 420, "Another one"),
            ("F", 10, 390, f"that are few, as {word} says"),
        )
        for word in ("rain", "wind", "snow")
    )))  # fmt: skip
    assert headings(made) == [(1, f"Slide of {word}") for word in ("rain", "wind", "snow")]


def test_paragraphs_end_where_space_or_a_short_line_says_so() -> None:
    made = parsed("a.pdf", pages(page_of(
        *body(FILL, FILL, "ends here.", FILL, "ends, too.", top=500),
        *body("After a space", top=420),
        *body("Item", "- one", "- two", top=380),
    )))  # fmt: skip
    assert made.text.split("\n\n") == [
        f"{FILL} {FILL} ends here.",
        f"{FILL} ends, too.",
        "After a space",
        "Item\n- one\n- two",
    ]


def test_what_stands_on_every_page_goes_and_what_stands_once_stays() -> None:
    def page(number: int, *, head: str) -> bytes:
        return page_of(
            ("F", 10, 585, head),
            ("F", 16, 560, f"Chapter {number}"),
            *body(f"Text of page {number}, which is its own.", "Table 1", top=500),
            ("F", 10, 20, f"- {number} -"),
        )

    heads = ["First half"] * 3 + ["Once"] + ["Second half"] * 3
    made = parsed("a.pdf", pages(*(page(at, head=head) for at, head in enumerate(heads, 1))))
    assert [words for _, words in headings(made)] == [f"Chapter {at}" for at in range(1, 8)]
    assert "half" not in made.text and made.text.count("Once") == 1
    assert "- 3 -" not in made.text
    assert made.text.count("Table 1") == 7


def test_margins_are_those_of_what_is_printed() -> None:
    """Of a page that is to be cut much is empty, and the page's number stands far from its foot."""

    def page(number: int, fill: str) -> bytes:
        return page_of(*body(*[f"{fill} {FILL}"] * 12, top=400), ("F", 10, 200, f"{30 + number}"))

    made = parsed(
        "a.pdf", pages(*(page(at, fill) for at, fill in enumerate(("one", "two", "six"))))
    )
    assert "31" not in made.text and made.text.count("six") == 12


def test_accents_that_stand_before_their_letters_are_put_onto_them() -> None:
    words = "Le mat\xb4eriel, la fa\xe7on, fen\xa8etre: `a la fin, pr\xb4ecis\xb4ement na\xa8ive"
    made = parsed("a.pdf", pages(page_of(*body(words, "The `code` and \xb4 alone.", top=500))))
    assert "Le matériel, la façon, fenëtre: à la fin, précisément naïve" in made.text
    assert "`code`" in made.text and "\xb4 alone" in made.text
    made = parsed("a.pdf", pages(page_of(*body("A mat\xb4eriel of its own.", top=500))))
    assert "mat\xb4eriel" in made.text


def test_lines_of_a_printed_table_of_contents_are_no_headings() -> None:
    made = parsed("a.pdf", pages(
        page_of(
            ("B", 14, 560, "Contents"),
            ("B", 10, 530, "1 Pumps . . . 3"),
            ("B", 10, 500, "2 Valves 12"),
            *body(FILL, "comes before.", top=470),
        ),
        page_of(
            ("B", 14, 560, "1 Pumps"),
            *body(FILL, "of pumps.", top=540),
            ("B", 14, 500, "Valves"),
            *body(FILL, "of valves.", top=480),
        ),
    ))  # fmt: skip
    assert [words for _, words in headings(made)] == ["Contents", "1 Pumps", "Valves"]


def test_a_hyphen_of_the_word_stays() -> None:
    made = parsed("a.pdf", pages(page_of(*body(
        "A well-known word, which the author of this has set as a well-",
        "known one, and electri-",
        "city, in 1990-",
        "1995.",
            top=500,
    ))))  # fmt: skip
    assert "as a well-known one, and electricity, in 1990-" in made.text.replace("\n", " ")


CONTENTS = b"/Outlines 50 0 R"


def contents(*entries: tuple[str, int, int]) -> dict[int, bytes]:
    """Objects of a table of contents: (words, page from 0, height)."""
    first, last = 51, 50 + len(entries)
    found = {50: b"<</Type/Outlines/First %d 0 R/Last %d 0 R/Count 9>>" % (first, last)}
    for at, (words, page, top) in enumerate(entries):
        following = b"/Next %d 0 R" % (first + at + 1) if first + at < last else b""
        found[first + at] = b"<</Title(%s)/Parent 50 0 R/Dest[%d 0 R/XYZ 0 %d 0]%s>>" % (
            words.encode("cp1252"), 9 + 2 * page, top, following
        )  # fmt: skip
    return found


def with_contents(page: bytes, *entries: tuple[str, int, int]) -> Parsed:
    from .building import FONTS, PAGE, font, pdf, stream

    assert FONTS in PAGE
    return parsed("a.pdf", pdf({
        1: b"<</Type/Catalog/Pages 2 0 R" + CONTENTS + b">>",
        2: b"<</Type/Pages/Kids[9 0 R]/Count 1>>",
        5: font("Helvetica"), 6: font("Helvetica-Bold"), 7: font("Courier"),
        9: PAGE.replace(b"4 0 R", b"10 0 R"),
        10: stream(page),
        **contents(*entries),
    }))  # fmt: skip


def test_entries_of_the_contents_are_found_in_the_text() -> None:
    page = page_of(
        *body("2.1 Pumps and", "their valves", FILL, "which are many.", top=560),
        *body("Flow. Of the flow much is to be said", FILL, "and more.", top=500),
        *body("Costs", FILL, "are named here.", top=440),
        *body("Costs", FILL, "are named again.", top=380),
        *body(FILL, "which nobody headed.", top=320),
    )
    made = with_contents(
        page,
        ("Pumps and their valves", 0, 575),
        ("Flow", 0, 512),
        ("COSTS", 0, 392),
        ("An entry whose words stand nowhere", 0, 335),
    )
    sections = [section for section in made.outline.sections if section.level]
    found = [made.text[section.start : section.end] for section in sections]
    assert [section.heading for section in sections] == [
        "Pumps and their valves",
        "Flow",
        "COSTS",
        "An entry whose words stand nowhere",
    ]
    assert found[0].startswith("2.1 Pumps and their valves\n\n")
    assert found[1].startswith("Flow. Of the flow much")
    assert found[2].startswith("Costs\n\n") and "named again" in found[2]
    assert found[3].startswith(FILL) and found[3].endswith("which nobody headed.")


def test_contents_that_name_pages_only_are_not_taken() -> None:
    page = page_of(("B", 14, 520, "A real heading"), *body(FILL, FILL, "is here.", top=500))
    made = with_contents(page, ("Page 1", 0, 600), ("Page 2", 0, 500))
    assert headings(made) == [(1, "A real heading")]


@pytest.mark.parametrize(
    ("title", "taken"),
    [
        ("A title", "A title"),
        ("Microsoft Word - report.doc", "Large words"),
        ("untitled", "Large words"),
        ("report_final.docx", "Large words"),
        ("x", "Large words"),
        ("", "Large words"),
    ],
)
def test_a_title_that_is_none_gives_way_to_the_largest_words(title: str, taken: str) -> None:
    page = page_of(("F", 20, 520, "Large words"), *body(FILL, "are here.", top=480))
    information = f"<</Title({title})/CreationDate(D:20240501)>>".encode()
    made = parsed("a.pdf", pages(page, information=information))
    assert made.title == taken
    assert made.metadata["created"] == "2024-05-01"


@pytest.mark.parametrize("mark", ["W", "7", "2024", "* * *", "A.", "(1)"])
def test_an_initial_or_a_number_is_no_title(mark: str) -> None:
    initial = page_of(
        ("F", 60, 540, mark), ("F", 20, 480, "Large words"), *body(FILL, "they are.", top=440)
    )
    assert parsed("a.pdf", pages(initial)).title == "Large words"
    alone = page_of(("F", 60, 540, mark), *body(FILL, "there are none.", top=440))
    assert parsed("a.pdf", pages(alone)).title == ""


def test_a_line_goes_on_at_exponents_indices_and_marks_of_notes() -> None:
    def set_as(*runs: tuple[float, float, str], top: float) -> bytes:
        """Runs of a line: size, how far they are raised, words."""
        shown = b"".join(b"/F %g Tf %g Ts (%s) Tj " % (*run[:2], run[2].encode()) for run in runs)
        return b"BT 1 0 0 1 40 %g Tm %sET " % (top, shown)

    made = parsed("a.pdf", pages(
        set_as((10, 0, "The time is O of n"), (7, 4, "2"), (10, 0, ", and x"), (7, -2, "i"),
               (10, 0, " grows with the winds and the waves"), (7, 4, "3"), top=500)
        + set_as((10, 0, "of every harbor that there is"), (7, 4, "4"), (10, 0, ". End."), top=488)
        + set_as((6, 3, "3"), (8, 0, " Waves of all heights."), top=100)
    ))  # fmt: skip
    assert made.text.split("\n\n") == [
        "The time is O of n2, and xi grows with the winds and the waves3 "
        "of every harbor that there is4. End.",
        "3 Waves of all heights.",
    ]


def noted(*annotations: bytes, page: bytes = b"") -> bytes:
    """Two pages of text; the first has annotations."""
    first = page_of(*body("The pump stands in the", top=500))
    second = page_of(*body("north wing of the mill.", top=500))
    objects = {
        1: CATALOG,
        2: b"<</Type/Pages/Kids[3 0 R 9 0 R]/Count 2>>",
        3: PAGE.replace(b"/Contents", b"/Annots[%s]/Contents" % b" ".join(annotations)),
        4: stream(page or first),
        5: font("Helvetica"),
        9: PAGE.replace(b"4 0 R", b"10 0 R"),
        10: stream(second),
    }
    return pdf(objects)


def annotation(kind: str, said: str, author: str = "", more: bytes = b"") -> bytes:
    words, name = (
        b"<%s>" % (b"\xfe\xff" + text.encode("utf-16-be")).hex().encode() for text in (said, author)
    )
    name = b"/T" + name if author else b""
    return b"<</Type/Annot/Subtype/%s/Rect[40 480 60 500]/Contents%s%s%s>>" % (
        kind.encode(), words, name, more,
    )  # fmt: skip


def test_comments_stand_below_the_text_of_their_page() -> None:
    made = parsed(
        "a.pdf",
        noted(
            annotation("Text", "Is that so?\nAsk Ötvös.", "Ines Varga"),
            annotation("Highlight", "check"),
            annotation("Highlight", ""),
            annotation("Link", "no words"),
            annotation("Text", "hidden", "Cy", b"/F 2"),
            annotation("FreeText", "a box of text"),
        ),
    )
    assert made.text == (
        "The pump stands in the\n\nComment (Ines Varga): Is that so? Ask Ötvös.\n\n"
        "Comment: check\n\n"
        "Comment: a box of text\n\nnorth wing of the mill."
    )
    assert headings(made) == []
    pages_of = [(mark.unit, mark.value) for mark in made.outline.marks]
    assert pages_of == [("page", 1), ("page", 2)]


def test_comments_on_a_page_without_text_are_read() -> None:
    made = parsed("a.pdf", noted(annotation("Text", "a scan"), page=b" "))
    assert made.text == "Comment: a scan\n\nnorth wing of the mill."
    assert headings(made) == []
