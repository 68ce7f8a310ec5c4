"""Books: those that programs wrote, and what their parts give."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.documents.formats import html
from retrieval.documents.formats.office.squeezed import Squeezed
from retrieval.errors import DocumentError

from ..outlines_for_tests import blocks, check, headings, headings_at, parsed, passages_of, stretch
from .packages_for_tests import made, zipped

OPF = "http://www.idpf.org/2007/opf"
CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OPS/a%20b.opf"/></rootfiles></container>'
).replace("%20", " ")
TEXT = """\
Cold stores of the harbour

Ines Varga

Before the shift

Every cold store of the harbour is walked through before a shift begins. The keeper carries the \
red lamp, since the lamps on the wall fail in strong frost.1

Take along:

the key ring of the quay office
two pairs of gloves

one lined with felt
one of rubber

the log book

The order of doors

Open the southern door and wait a minute.

Look at the thermometer.

Close it again:

with the lever,
with the bolt.

What the thermometer may say

The limits are those of the insurer:

Store Lowest Highest Goods
North -24 °C -18 °C herring and cod
South -4 °C 2 °C apples, pears
Quay 0 °C 6 °C cut flowers

When a limit is broken

Call the duty engineer and write the hour down. Nobody enters the store alone; whoever does so \
answers for it.

The lamps were bought in 1987 and are to be replaced next spring.↩︎

After the shift

The pumps are read by this program:

def pressure(pump):
    # bar above the quay
    return pump.read() - 1.01

Frost is patient, the keeper is not.

Grüße aus Κέρκυρα, привет, 港の冷蔵庫."""


@pytest.mark.parametrize("name", ["guide-pandoc.epub", "guide-pandoc-2.epub"])
def test_a_book_of_both_versions(name: str) -> None:
    book = made(name)
    assert book.text == TEXT
    assert book.title == "Cold stores of the harbour"
    assert book.metadata["author"] == "Ines Varga"
    assert book.metadata["language"] == "en"
    assert headings(book) == [
        (1, "Cold stores of the harbour"),
        (1, "Before the shift"),
        (2, "The order of doors"),
        (2, "What the thermometer may say"),
        (3, "When a limit is broken"),
        (1, "After the shift"),
    ]
    table = next(block for block in blocks(book) if block[0] == "table")
    assert table[1] == "The limits are those of the insurer:\nStore | Lowest | Highest | Goods"
    assert stretch(book, len(blocks(book)) - 1).startswith("def pressure(pump):\n    #")
    places = {passage.place.part for _, passage in passages_of(book, 30)}
    assert places == {"Cold stores of the harbour", "Before the shift", "After the shift"}


def test_a_book_whose_chapters_have_no_headings_of_their_own() -> None:
    book = made("guide-libreoffice.epub")
    assert headings(book) == [(1, "Section 1"), (1, "Before the shift"), (1, "After the shift")]
    assert "North -24 °C -18 °C herring and cod\nSouth -4 °C" in book.text
    assert headings_at(book, "duty engineer") == ("Before the shift",)


def book(
    pages: Mapping[str, str], contents: str = "", more: Mapping[str, str] | None = None
) -> bytes:
    """A book of pages, in this order, with the list of a page of navigation."""
    items = "".join(
        f'<item id="{name}" href="{name}.xhtml" media-type="application/xhtml+xml"/>'
        for name in pages
    )
    spine = "".join(f'<itemref idref="{name}"/>' for name in pages)
    nav = (
        '<html xmlns="http://www.w3.org/1999/xhtml" xmlns:e="http://www.idpf.org/2007/ops"><body>'
        f'<nav e:type="toc"><h1>Contents</h1><ol>{contents}</ol></nav></body></html>'
    )
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": CONTAINER,
            "OPS/a b.opf": f'<package xmlns="{OPF}" xmlns:dc="http://purl.org/dc/elements/1.1/">'
            "<metadata><dc:title>T</dc:title><dc:creator>Ada</dc:creator><dc:creator>Ben"
            '</dc:creator></metadata><manifest><item id="nav" properties="nav" href="nav.xhtml" '
            f'media-type="application/xhtml+xml"/>{items}</manifest><spine><itemref idref="nav"/>'
            f"{spine}</spine></package>",
            "OPS/nav.xhtml": nav,
            **{
                f"OPS/{name}.xhtml": f"<html><body>{text}</body></html>"
                for name, text in pages.items()
            },
            **(more or {}),
        }
    )


def entry(words: str, target: str, *below: str) -> str:
    inner = f"<ol>{''.join(below)}</ol>" if below else ""
    return f'<li><a href="{target}">{words}</a>{inner}</li>'


def test_the_table_of_contents_says_how_deep_headings_are() -> None:
    pages = {
        "one": "<h1>Part One</h1><p>a</p>",
        "two": "<h1>Chapter  1.</h1><p>b</p><h2>A scene</h2><p>c</p><h3>Deeper</h3><p>d</p>",
        "three": "<h2>An interlude</h2><p>e</p>",
        "four": '<p class="c">CHAPTER 2</p><p>f</p><aside epub:type="footnote">a note</aside>',
        "five": "<p>g</p>",
        "six": '<img src="x.png"/>',
    }
    contents = (
        entry(
            "Part One",
            "one.xhtml",
            entry("Chapter 1", "two.xhtml#x", entry("Deeper", "two.xhtml#y")),
            entry("Chapter 2", "four.xhtml"),
        )
        + entry("Postscript", "five.xhtml")
        + entry("Map", "six.xhtml")
        + entry("Gone", "gone.xhtml")
    )
    read = parsed("a.epub", book(pages, contents))
    assert headings(read) == [
        (1, "Part One"),
        (2, "Chapter 1."),
        (3, "A scene"),
        (3, "Deeper"),
        (2, "An interlude"),
        (2, "CHAPTER 2"),
        (1, "Postscript"),
        (1, "Map"),
    ]
    assert read.text == (
        "Part One\n\na\n\nChapter 1.\n\nb\n\nA scene\n\nc\n\nDeeper\n\nd\n\n"
        "An interlude\n\ne\n\nCHAPTER 2\n\nf\n\na note\n\nPostscript\n\ng\n\nMap"
    )
    assert read.metadata["author"] == "Ada, Ben"
    assert [mark.value for mark in read.outline.marks] == [
        "Part One",
        "Chapter 1",
        "Chapter 2",
        "Postscript",
        "Map",
    ]


def test_a_protected_book_is_said_to_be_and_hidden_fonts_do_not_matter() -> None:
    def encryption(algorithm: str, target: str) -> dict[str, str]:
        return {
            "META-INF/encryption.xml": '<encryption xmlns:e="http://www.w3.org/2001/04/xmlenc#">'
            f'<e:EncryptedData><e:EncryptionMethod Algorithm="{algorithm}"/><e:CipherData>'
            f'<e:CipherReference URI="{target}"/></e:CipherData></e:EncryptedData></encryption>'
        }

    aes = "http://www.w3.org/2001/04/xmlenc#aes128-cbc"
    pages = {"one": "<p>a</p>"}
    with pytest.raises(DocumentError, match="is protected by DRM"):
        parsed("a.epub", book(pages, more=encryption(aes, "OPS/one.xhtml")))
    font = encryption("http://www.idpf.org/2008/embedding", "OPS/one.xhtml")
    assert parsed("a.epub", book(pages, more=font)).text == "a"
    assert parsed("a.epub", book(pages, more=encryption(aes, "OPS/x.ttf"))).text == "a"


def test_a_missing_page_costs_only_itself() -> None:
    data = book({"one": "<p>a</p>", "two": "<p>b</p>"})
    data = data.replace(b"OPS/one.xhtml", b"OPS/0ne.xhtml")
    read = parsed("a.epub", data)
    assert read.text == "b"
    assert read.problems == (
        "read without OPS/one.xhtml: holds no OPS/one.xhtml; an EPUB book was expected",
    )


def test_what_is_no_book_is_said_to_be() -> None:
    with pytest.raises(DocumentError, match="names no package file"):
        parsed("a.epub", zipped({"a": ""}))
    with pytest.raises(DocumentError, match="holds no text"):
        parsed("a.epub", book({"one": "<img/>"}))


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("ab \n\t\u00a0"), max_size=60))
def test_blank_lines_go_and_offsets_follow(text: str) -> None:
    squeezed = Squeezed(text)
    assert squeezed.text.split() == text.split()
    assert "\n\n\n" not in squeezed.text
    assert squeezed.text == squeezed.text.strip()
    places = [squeezed.place(at) for at in range(len(text) + 1)]
    assert places == sorted(places)
    for at, character in enumerate(text):
        if not character.isspace():
            assert squeezed.text[places[at]] == character


TAG_NAMES = (
    "<p> </p> <h1> </h1> <h2> <ul> <li> <table> <tr> <td> <pre> </pre> </table> word "
    "<div> </div> <br/> <aside> other"
)
TAGS = [*TAG_NAMES.split(), "\n"]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from(TAGS),
        max_size=40,
    )
)
def test_any_page_has_an_outline_that_fits(tags: list[str]) -> None:
    page = " ".join(tags)
    text, _, outline = html.extract(page)
    squeezed = Squeezed(text)
    check(squeezed.text, squeezed.outline(outline))
    try:
        parsed("a.epub", book({"one": page, "two": page}, entry("word", "two.xhtml")))
    except DocumentError as error:
        assert str(error).startswith("holds no text")
