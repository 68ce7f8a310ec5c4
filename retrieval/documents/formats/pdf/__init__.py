"""PDF: pages in order, read by PDFium; scripts, attachments and links are left alone.

What people have noted on a page stands below its text.

lines       a page's lines as PDFium finds them
comments    what people have noted on it
scripts     superscripts, subscripts and note marks, at which a line continues
margins     running headers, footers and page numbers, which are left out
headings    of the table of contents, or by size and weight
paragraphs  lines to a text and its structure
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from retrieval.documents.formats.format import Format, Parsed, Source
from retrieval.documents.formats.pdf.comments import comments_of
from retrieval.documents.formats.pdf.headings import (
    Entry,
    are_useful,
    from_contents,
    from_type,
    words_of,
)
from retrieval.documents.formats.pdf.lines import (
    Line,
    Page,
    body_size,
    comment_line,
    compose_accents,
    page_of,
)
from retrieval.documents.formats.pdf.margins import without_margins
from retrieval.documents.formats.pdf.paragraphs import spacing_of, text_of
from retrieval.documents.formats.pdf.scripts import join_scripts
from retrieval.errors import DocumentError

MAX_PAGES = 20_000
MAX_ENTRIES = 20_000
"""Of a table of contents; more are not read."""

_HEAD_BYTES = 1024
"""How many first bytes are searched for a PDF file's mark."""
_MARK = b"%PDF-"
_TITLE_LINES = 4
_TITLE_SIZE = 1.15
"""Times the size of most text."""
_TITLE_LETTERS, _TITLE_CHARACTERS = 2, 300
_SCANNED_SHARE = 0.1
"""Of the pages: if more hold pictures only, it is said."""
_NO_TITLE = re.compile(
    r"\W*(?:untitled.*|document\d*|title|microsoft (?:word|powerpoint|excel) *-.*"
    r"|(?:slide|page) ?\d+|\w"
    r"|.*\.(?:docx?|odt|rtf|txt|tex|dvi|ps|pdf|indd|qxd|pptx?|xlsx?|html?|p65|fm|md))?\W*",
    re.I,
)
_CONTENTS = re.compile(r"(?:table of )?contents|inhalt(?:sverzeichnis)?|table des matières", re.I)
_DATE = re.compile(r"(?:D:)?(\d{4})(\d\d)?(\d\d)?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]+")
_DEEPEST = 15
_XYZ, _FIT_H, _FIT_BH = 1, 3, 7
"""Views of a destination that say how high on the page it is."""


def _parse(data: bytes, source: Source) -> Parsed:
    document = opened(data)
    try:
        pages, problems = _pages(document)
        number = len(document)
        said = {name: _clean(value) for name, value in document.get_metadata_dict().items()}
        entries = list(_entries(document))
    finally:
        document.close()
    for page in pages:
        page.lines = join_scripts(page.lines)
    compose_accents(pages)
    body = body_size(pages) or 1.0
    without_margins(pages, body)
    lines = [line for page in pages for line in (*page.lines, *_noted(page, body))]
    spacing = spacing_of(lines)
    if are_useful(entries):
        headings = from_contents(entries, lines)
    else:
        headings = from_type(lines, body, spacing)
    text, outline = text_of(lines, headings, spacing)
    title = said.get("Title", "")
    if _NO_TITLE.fullmatch(title):
        title = _first_large(pages[:1], body)
    metadata: dict[str, Any] = {"pages": number}
    if author := said.get("Author", ""):
        metadata["author"] = author
    if created := _date(said.get("CreationDate", "")):
        metadata["created"] = created
    return Parsed(text, title, metadata, outline, problems=tuple(problems))


def _noted(page: Page, size: float) -> Iterator[Line]:
    for said in page.comments:
        yield comment_line(said, page.number, size)


def opened(data: bytes) -> Any:
    """PDFium's document, which has pages.

    Raises:
        DocumentError: it cannot be opened.
    """
    import pypdfium2

    if _MARK not in data[:_HEAD_BYTES]:
        raise DocumentError("is not a PDF file (it does not begin with %PDF-)")
    try:
        document = pypdfium2.PdfDocument(data)
        if len(document):
            return document
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise DocumentError(
                "is encrypted with a password; index a copy that is saved without one"
            ) from None
        raise DocumentError("is a PDF file that is damaged: it cannot be opened") from None
    raise DocumentError("is a PDF file without pages")


def _pages(document: Any) -> tuple[list[Page], list[str]]:
    """The pages that have text, and what is to be said of the others.

    Raises:
        DocumentError: no page has any.
    """
    import pypdfium2

    pages, empty, pictures, broken = [], 0, 0, 0
    count = min(len(document), MAX_PAGES)
    for at in range(count):
        try:
            page = document[at]
        except pypdfium2.PdfiumError:
            broken += 1
            continue
        try:
            found = page_of(page, at + 1)
            found.comments = comments_of(page)
            if found.lines or found.comments:
                pages.append(found)
            if not found.lines:
                empty += 1
                pictures += _has_pictures(page)
        except pypdfium2.PdfiumError:
            broken += 1
        finally:
            page.close()
    if not pages:
        if broken and not empty:
            raise DocumentError("is a PDF file that is damaged: none of its pages can be read")
        if pictures:
            raise DocumentError(
                "holds pictures only, no text; index a copy with text (ocrmypdf makes one)"
            )
        raise DocumentError("holds no text")
    problems = []
    if pictures > _SCANNED_SHARE * count:
        problems.append(f"{pictures:,} of {count:,} pages hold pictures only, no text")
    if broken:
        problems.append(f"{broken:,} of {count:,} pages are damaged and were not read")
    if len(document) > count:
        problems.append(f"has {len(document):,} pages; only the first {count:,} were read")
    return pages, problems


def _has_pictures(page: Any) -> bool:
    import pypdfium2.raw as pdfium

    return any(page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=4))


def _entries(document: Any) -> Iterator[Entry]:
    """The document's own table of contents."""
    for number, bookmark in enumerate(document.get_toc(max_depth=_DEEPEST)):
        if number >= MAX_ENTRIES:
            return
        target = bookmark.get_dest()
        page = None if target is None else target.get_index()
        if page is None:
            continue
        mode, view = target.get_view()
        at = {_XYZ: 1, _FIT_H: 0, _FIT_BH: 0}.get(mode)
        top = view[at] if at is not None and at < len(view) else None
        yield Entry(_clean(bookmark.get_title()), bookmark.level + 1, page + 1, top)


def _first_large(pages: list[Page], body: float) -> str:
    """The largest words at the top of the first page, if they are larger than most text.

    A single letter is none: an initial, a figure's mark, a logo.
    """
    lines = [line for page in pages for line in page.lines if _has_words(line.text)]
    largest = max((line.size for line in lines), default=0.0)
    if not lines or lines[0].page != 1 or largest < _TITLE_SIZE * body:
        return ""
    found: list[Line] = []
    for line in lines:
        if line.size > 0.97 * largest:
            found.append(line)
        elif found:
            break
    words = words_of(found[:_TITLE_LINES])
    return "" if len(words) > _TITLE_CHARACTERS or _CONTENTS.fullmatch(words) else words


def _has_words(text: str) -> bool:
    return sum(character.isalpha() for character in text) >= _TITLE_LETTERS


def _clean(value: str) -> str:
    return " ".join(_CONTROL.sub(" ", value).split())


def _date(value: str) -> str:
    """A date of a PDF file, `D:20240501120000Z`, as `2024-05-01`."""
    found = _DATE.match(value)
    return "-".join(part for part in found.groups() if part) if found else ""


FORMATS = (
    Format(
        "pdf",
        6,
        _parse,
        (".pdf",),
        sniff=lambda head: _MARK in head[:_HEAD_BYTES],
        binary=True,
        isolated=True,
    ),
)
