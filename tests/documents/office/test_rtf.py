"""Rich Text Format: what is shown, in every character set, and nothing of what is not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from retrieval.documents.formats import format_of
from retrieval.errors import DocumentError

from ..outlines_for_tests import blocks, check, headings, parsed
from .test_docx import GUIDE

FILES = Path(__file__).parent / "files"

LETTER = rb"""{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0\froman Times;}{\f1\fnil\fcharset204 Cyr;}}
{\colortbl;\red255\green0\blue0;}
{\stylesheet{\s0 Normal;}{\s1\sb480\b heading 1;}{\s2\outlinelevel1 Section;}}
{\info{\title The harbor}{\author Ada}{\operator Nobody}{\creatim\yr2024}}
{\*\generator Writer;}{\header Page head}
\pard\plain\s1 Rent\'e9 boats\par
\pard\plain A note{\super\chftn{\*\footnote\chftn Bring a {\i deposit}.}} and \b bold\b0  words,
 5\u8364? {\f1 \'cf\'f0} \u-10179?\u-8704? {\v hidden}{\deleted gone}\line next\~line.\par
\pard{\listtext\pard 1.\tab}\ilvl0\ls1 First\par
\pard{\listtext\pard a.\tab}\ilvl1\ls1 Inner\par
\pard\s2 Prices\par
\trowd\cellx1\cellx2\pard\intbl Boat\cell Price\cell\row
\trowd\cellx1\cellx2\pard\intbl Sloop\cell 3\par per day\cell\row
\pard{\field{\*\fldinst HYPERLINK "http://a.b"}{\fldrslt A link}} {\pict\pngblip 89504e47}
{\*\unknown what is passed over}\'93end\'94\emdash\{x\}\par
}"""


def test_a_text_is_what_is_shown() -> None:
    made = parsed("letter.rtf", LETTER)
    check(made.text, made.outline)
    assert made.text.split("\n\n") == [
        "Renté boats",
        "A note[1] and bold words, 5€ Пр \U0001f600\nnext line.",
        "[1] Bring a deposit.",
        "1. First\n  a. Inner",
        "Prices",
        "Boat | Price\nSloop | 3 per day",
        "A link “end”—{x}",
    ]
    assert headings(made) == [(1, "Renté boats"), (2, "Prices")]
    assert blocks(made) == [("list", "", ""), ("table", "Boat | Price", "")]
    assert (made.title, made.metadata) == ("The harbor", {"author": "Ada"})


@pytest.mark.parametrize("name", ["guide-libreoffice.rtf", "guide-pandoc.rtf"])
def test_a_guide_as_two_programs_write_it(name: str) -> None:
    guide = parsed(name, (FILES / name).read_bytes())
    check(guide.text, guide.outline)
    assert headings(guide) == [
        (1, "Before the shift"),
        (2, "The order of doors"),
        (2, "What the thermometer may say"),
        (3, "When a limit is broken"),
        (1, "After the shift"),
    ]
    table = ("table", "The limits are those of the insurer:\nStore | Lowest | Highest | Goods", "")
    assert blocks(guide)[-1] == table
    if name == "guide-libreoffice.rtf":  # pandoc writes lists as paragraphs
        assert guide.text == re.sub("^    ", "", GUIDE, flags=re.MULTILINE)
        assert blocks(guide) == [("list", "Take along:", ""), ("list", "", ""), table]
        assert (guide.title, guide.metadata["author"]) == (
            "Cold stores of the harbour",
            "Ines Varga",
        )


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (rb"{\rtf1\mac caf\'8e}", "café"),
        (rb"{\rtf1\ansi\ansicpg932 \'83\'5c\'83A}", "ソア"),
        (rb"{\rtf1\ansi\uc2\u233\'65\'65 x}", "é x"),
        (rb"{\rtf1\ansi\uc0\u233 x}", "éx"),
        (rb"{\rtf1 a{\footnote\u-10179?\u-8704?}\par}", "a\n\n\U0001f600"),
        (rb"{\rtf1\trowd\u-10179?\u-8704?\cell\u-10179?\cell\row}", "\U0001f600 | \ufffd"),
        (rb"{\rtf1 a\bin5 }}}}}b}", "ab"),
        (rb"{\rtf1 open {\b bold {\footnote a note", "open bold\n\na note"),
        (rb"{\rtf1 closed}}} more", "closed more"),
        (
            rb"{\rtf1 {\*\atrfstart 1}late{\*\atrfend 1}{\*\atnid BA}{\*\atnauthor Ben Adler}\chatn"
            rb"{\*\annotation{\*\atnref 1}{\*\atndate 1180187342}\pard by an\par hour} tide"
            rb"{\*\annotation nobody's}\par}",
            "late tide\n\nComment (Ben Adler): by an hour\n\nComment: nobody's",
        ),
        (b"{\\rtf1 " + b"{" * 100_000 + b"deep", "deep"),
    ],
)
def test_characters_and_broken_files(source: bytes, text: str) -> None:
    assert parsed("a.rtf", source).text == text


def test_a_file_without_words_says_so() -> None:
    with pytest.raises(DocumentError, match="no text"):
        parsed("a.rtf", rb"{\rtf1{\fonttbl{\f0 Times;}}{\pict 8950}\par}")


def test_a_file_is_known_by_how_it_begins() -> None:
    assert format_of("letter.doc", LETTER[:100]).name == "rtf"
