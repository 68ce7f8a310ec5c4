"""HTML: the visible text of a page, its headings, tables, lists and code."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Literal

from retrieval.documents.decoding import HEAD_BYTES, NO_TEXT, is_binary
from retrieval.documents.formats.format import Format, Parsed, Source, decoded
from retrieval.documents.formats.html_text import Page
from retrieval.documents.formats.packed import unpacked
from retrieval.documents.formats.page_structure import PageStructure
from retrieval.documents.outline import Outline
from retrieval.errors import DocumentError

_START = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:\s++|<\?xml[^>]*+>|<!--.{0,2000}?-->)*+(?:<!doctype\s+html|<html[\s>])",
    re.IGNORECASE | re.DOTALL,
)
"""Possessive: blanks that are tried in other divisions take twice as long for each one more."""

_FEW_WORDS, _MANY_TIMES = 30, 3
"""A page of fewer words whose asides and footers have so many times as many says all in those."""


def extract(source: str) -> tuple[str, str, Outline]:
    """The visible text of a page, its title and its structure.

    The title is that of `<title>`, or else the first `<h1>`, or "". What is about the site (`nav`,
    `footer`, `aside`) is left out, unless the page says hardly anything else: then `footer` and
    `aside` count, and `nav` too where there is nothing else at all.
    """
    page, structure = _read(source, "all")
    if (words := len(page.text.split())) < _FEW_WORDS:
        more, its_structure = _read(source, "links")
        if len(more.text.split()) > _MANY_TIMES * words:
            page, structure = more, its_structure
    if not page.words:
        page, structure = _read(source, "nothing")
    outline, first = structure.settled(page)
    return page.text, page.title or first, outline


def _read(source: str, left_out: Literal["all", "links", "nothing"]) -> tuple[Page, PageStructure]:
    structure = PageStructure()
    page = Page(source, structure, left_out=left_out)
    structure.page = page
    page.run()
    return page, structure


def _parse(data: bytes, source: Source) -> Parsed:
    page, problems = decoded(data, source, html=True)
    text, title, outline = extract(page)
    return Parsed(text, title, outline=outline, problems=problems)


def _parse_packed(data: bytes, source: Source) -> Parsed:
    page, problems = unpacked(data)
    if is_binary(page[:HEAD_BYTES]):
        raise DocumentError(NO_TEXT)
    made = _parse(page, source)
    return replace(made, problems=(*problems, *made.problems), format="html")


_VERSION = 7

FORMATS = (
    Format(
        "html",
        _VERSION,
        _parse,
        (".html", ".htm", ".xhtml"),
        sniff=lambda head: _START.match(head) is not None,
    ),
    Format("html-gz", _VERSION, _parse_packed, (".html.gz", ".htm.gz"), binary=True),
)
