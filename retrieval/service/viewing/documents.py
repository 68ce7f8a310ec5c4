"""Choosing how a document of an index is shown."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from retrieval.documents import workers
from retrieval.documents.formats import format_of
from retrieval.documents.formats.languages import language_of
from retrieval.documents.naming import file_named
from retrieval.errors import DocumentError
from retrieval.files.regular import read_regular
from retrieval.index import Index
from retrieval.service.lookup import file_of
from retrieval.service.opened import Opened
from retrieval.service.viewing.colours import Piece, are_pieces, colours
from retrieval.service.viewing.markdown import Node, are_nodes, nodes
from retrieval.types import Document

_Made = TypeVar("_Made")

MOST_CHARACTERS = 400_000
"""Maximum length of a text to format; a longer one is shown plain."""

MOST_FILE = 100 << 20
"""Maximum bytes of a file whose pages are shown."""

SECONDS = 5
"""Processor time for a view or a page."""


@dataclass(frozen=True, slots=True)
class View:
    """How a document is shown, in addition to its text.

    Attributes:
        kind: by `nodes`, by `colours` of its text, by `pages`, or as plain text.
        nodes: the tree of Markdown, see `viewing.markdown`.
        colours: pieces of code: start, end and kind, see `viewing.colours`.
        pages: number of pages, for `page_picture`.
        note: why it is shown as plain text, if another view was possible.
    """

    kind: Literal["markdown", "code", "pages", "text"] = "text"
    nodes: list[Node] = field(default_factory=list)
    colours: list[Piece] = field(default_factory=list)
    pages: int = 0
    note: str = ""


def view(index: Opened, document: Document) -> View:
    """How a document of an index is shown; pages only if its file is known."""
    format = _format(document)
    if format == "pdf" and isinstance(index, Index) and file_of(index, document) is not None:
        pages = document.metadata.get("pages")
        return View("pages", pages=pages) if isinstance(pages, int) else View()
    if format not in ("markdown", "code", "text"):
        return View()
    if len(document.text) > MOST_CHARACTERS:
        return View(note="it is too long to be formatted")
    text = document.text.encode("utf-8", "surrogatepass")
    path = str(document.metadata.get("path") or document.id)
    language = str(document.metadata.get("language") or language_of(document.id))
    try:
        if format == "markdown":
            found = workers.value(nodes, text, seconds=SECONDS)
            return View("markdown", nodes=_checked(found, are_nodes))
        found = workers.value(colours, text, language, path, seconds=SECONDS)
        return View("code", colours=_checked(found, are_pieces)) if found else View()
    except DocumentError as error:
        return View(note=str(error))


def page_picture(index: Index, document: Document, page: int, width: int) -> bytes:
    """A page of the PDF file that a document came from, as a PNG.

    The file is the one in the index, and is read only if it is unchanged since it was indexed.

    Raises:
        DocumentError: the document did not come from a PDF file, the file is gone or changed, or
            there is no such page.
    """
    from retrieval.documents.formats.pdf.picture import PNG, picture

    path = file_of(index, document) if _format(document) == "pdf" else None
    if path is None:
        raise DocumentError("it did not come from a PDF file, so it has no pages to show")
    try:
        data = read_regular(file_named(index.path.parent, path), max_bytes=MOST_FILE)
    except OSError:
        data = b""
    if hashlib.sha256(data).hexdigest() != index.file_hash(path):
        raise DocumentError("its file is gone, or has changed since it was indexed; index it again")
    made = workers.value(picture, data, page, width, seconds=SECONDS)
    try:
        png = base64.b64decode(made["png"])
    except (KeyError, TypeError, ValueError):
        png = b""
    return _checked(png, lambda png: png.startswith(PNG))


def _checked(made: _Made, is_right: Callable[[_Made], bool]) -> _Made:
    """Check what a worker sent, since it has parsed untrusted bytes."""
    if not is_right(made):
        raise DocumentError("the result of parsing it is not valid")
    return made


def _format(document: Document) -> str:
    named = document.metadata.get("format")
    return named if isinstance(named, str) else format_of(document.id, b"").name
