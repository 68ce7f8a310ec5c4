"""HTML: the visible text of a page, its headings, tables, lists and code."""

from __future__ import annotations

import re

from retrieval.documents.formats.format import Format, Parsed, Source, decoded
from retrieval.documents.formats.html_text import Page
from retrieval.documents.formats.page_structure import PageStructure
from retrieval.documents.outline import Outline

_START = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:\s+|<\?xml[^>]*>|<!--.{0,2000}?-->)*(?:<!doctype\s+html|<html[\s>])",
    re.IGNORECASE | re.DOTALL,
)


def extract(source: str) -> tuple[str, str, Outline]:
    """The visible text of a page, its title and its structure.

    The title is that of `<title>`, or else the first `<h1>`, or "". What is about the site (`nav`,
    `footer`, `aside`) is left out, unless the page says nothing else.
    """
    structure = PageStructure()
    page = Page(source, structure)
    structure.page = page
    page.run()
    if not page.words:
        structure = PageStructure()
        page = Page(source, structure, whole=True)
        structure.page = page
        page.run()
    outline, first = structure.settled(page)
    return page.text, page.title or first, outline


def _parse(data: bytes, source: Source) -> Parsed:
    page, problems = decoded(data, source, html=True)
    text, title, outline = extract(page)
    return Parsed(text, title, outline=outline, problems=problems)


FORMATS = (
    Format(
        "html",
        2,
        _parse,
        (".html", ".htm", ".xhtml"),
        sniff=lambda head: _START.match(head) is not None,
    ),
)
