"""Pages as they are found: with asides that are text, packed, and saved by a browser."""

from __future__ import annotations

import gzip
from email.message import EmailMessage
from pathlib import Path

import pytest

from retrieval.documents import discover, read
from retrieval.errors import DocumentError

from .mutations_for_tests import documents, survives
from .outlines_for_tests import FILL, headings, parsed

FILES = Path(__file__).parent / "files"
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40


def test_notes_that_docutils_writes_as_asides_are_text() -> None:
    """`notes.html` is what Docutils 0.23 makes of `notes.rst` (`--writer=html5 --stylesheet=`)."""
    made = parsed("notes.html", (FILES / "notes.html").read_bytes())
    for line in (FILES / "notes.rst").read_text().splitlines():
        if line.endswith("."):
            words = line.removeprefix(".. note:: ").removeprefix(".. [1] ").strip()
            assert words.replace(" [1]_", " [1]") in made.text
    assert headings(made) == [(1, "The valves"), (2, "Closing")]


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("a<aside class='starlight-aside starlight-aside--tip'>b</aside>", "a b"),
        ("a<aside class=callout>b</aside>", "a b"),
        ("a<aside role=doc-footnote>b</aside>", "a b"),
        ("a<aside class=related-posts>b</aside>", "a"),
        ("a<aside class=notebook-list>b</aside>", "a"),
        ("a<aside class=sidebar>b</aside>", "a"),
        ("<main>a<aside class=sidebar>b</aside></main>", "a b"),
        ("a<blockquote>b<footer>Ada</footer></blockquote><footer>c</footer>", "a b Ada"),
    ],
)
def test_which_asides_are_text(page: str, text: str) -> None:
    assert parsed("a.html", page).text.split() == text.split()


@pytest.mark.parametrize("tag", ["aside", "footer"])
def test_a_page_that_says_all_in_asides_keeps_it(tag: str) -> None:
    page = f"<nav>menu {FILL}</nav><h1>Mill</h1><{tag}><h2>Pumps</h2><p>{FILL * 3}</p></{tag}>"
    made = parsed("a.html", page)
    assert made.text.count("Take care") == 3 and "menu" not in made.text
    assert headings(made) == [(1, "Mill"), (2, "Pumps")]
    long = f"<p>{FILL.replace('Take', 'Have')}</p>" * 3
    assert "Take care" not in parsed("a.html", long + page).text


def saved(**fields: str) -> EmailMessage:
    """A page as Chrome saves it."""
    made = EmailMessage()
    made["From"] = "<Saved by Blink>"
    made["Snapshot-Content-Location"] = fields.get("url", "https://example.org/pumps")
    made["Subject"] = "The pumps"
    made["Date"] = "Mon, 3 Mar 2025 10:00:00 +0100"
    page = (
        f"<html><head><title>Pumps</title></head><h1>Größe</h1><p>{FILL}</p><img src=a.png></html>"
    )
    made.set_content(page, subtype="html", charset=fields.get("charset", "utf-8"))
    made.make_related()
    made.add_related("<html>a frame</html>", subtype="html")
    made.add_related("p{color:red}", subtype="css")
    made.add_related(PICTURE, maintype="image", subtype="png")
    return made


@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1"])
def test_of_a_saved_page_the_page_is_read(charset: str) -> None:
    (made,) = documents("a.mhtml", bytes(saved(charset=charset)))
    assert (made.title, made.format) == ("Pumps", "html")
    assert headings(made) == [(1, "Größe")]
    assert made.metadata == {"url": "https://example.org/pumps", "date": "2025-03-03T09:00:00Z"}
    assert made.text.split() == ["Größe", *FILL.split()]


def test_the_first_page_is_the_one_that_is_named() -> None:
    made = (
        'From: x\nContent-Type: multipart/related; start="<b@x>"; boundary=z\n\n'
        "--z\nContent-Type: text/html\nContent-ID: <a@x>\n\na frame\n"
        "--z\nContent-Type: text/html\nContent-ID: <b@x>\nContent-Location: https://e.org/\n\npage\n"
        "--z--\n"
    )
    (found,) = documents("a.mht", made)
    assert (found.text.strip(), found.metadata) == ("page", {"url": "https://e.org/"})


@pytest.mark.parametrize("data", [b"", b"text", b"From: a\nContent-Type: text/plain\n\nx"])
def test_what_holds_no_page_is_one_line(data: bytes) -> None:
    with pytest.raises(DocumentError, match="holds no page"):
        documents("a.mhtml", data)


def test_packed_pages_are_walked_and_read(tmp_path: Path) -> None:
    page = "<title>T</title>\n<h1>Größe</h1>\n<p>text".encode("iso-8859-1")
    page = b"<meta charset=iso-8859-1>" + page
    (tmp_path / "a.html.gz").write_bytes(gzip.compress(page))
    (tmp_path / "b.htm.gz").write_bytes(gzip.compress(page)[:-20])
    (tmp_path / "c.html.gz").write_bytes(b"no gzip \0\0\0\1\2\3\4\5\6")
    (tmp_path / "d.gz").write_bytes(gzip.compress(page))
    found = list(discover([tmp_path], tmp_path))
    assert [file.id for file in found] == ["a.html.gz", "b.htm.gz", "c.html.gz"]
    result = read(found[0])
    assert result.documents[0].text.split() == ["Größe", "text"]
    assert result.documents[0].metadata["format"] == "html"
    assert read(found[1]).problems == [
        "b.htm.gz: its gzip breaks off (the file ends too early); what came before was read"
    ]
    with pytest.raises(DocumentError, match=r"c\.html\.gz: a binary file"):
        read(found[2])


def test_damaged_pages_are_read_or_refused() -> None:
    words = [b"<aside>", b"</p>", b"<table><tr>", b"<!--", b"\nContent-Type: text/html\n\n", b"=0"]
    assert survives("a.mhtml", [bytes(saved())], words, 200) > 100
    assert survives("a.html", [(FILES / "notes.html").read_bytes()], words, 200) == 200
