"""Looking up a document by path or id: its lines, its outline, a query for similar passages."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from retrieval.documents import ReadOptions, SourceFile, read, source_id
from retrieval.documents.context import Contexts
from retrieval.documents.outline import Outline
from retrieval.errors import DocumentError, InputError
from retrieval.index import Index
from retrieval.index.context_builder import path_of
from retrieval.index.listing import Listing
from retrieval.index.searching import Searching
from retrieval.indexes import Filter
from retrieval.service.opened import Opened
from retrieval.service.printable import safe
from retrieval.sync.settings import settings_of
from retrieval.types import Document, Hit, Place

CONTEXT_LINES = 12
"""Lines around a line that are used to find similar passages."""

Around: TypeAlias = tuple[list[str], list[str]]
"""Lines before a passage, and lines after it."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_OPERATORS = re.compile(r"[\"“”„«»]|(?<!\S)-+(?=\S)")
"""Query syntax that is not text: quotation marks and exclusions."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of a document.

    Attributes:
        first: the number of the first, from 1.
        rows: the lines, without line breaks.
        total: how many lines the document has.
    """

    first: int
    rows: list[str]
    total: int


@dataclass(frozen=True, slots=True)
class OutlineEntry:
    """A heading or a definition of a document.

    Attributes:
        kind: `heading` or `definition`.
        name: the heading's words, or the definition's qualified name.
        level: level of a heading, or nesting depth of a definition, from 1.
        line: where it begins, from 1.
        end_line: its last line.
        signature: signature of a definition, on one line; or "".
    """

    kind: str
    name: str
    level: int
    line: int
    end_line: int
    signature: str = ""


def quoted(text: str) -> str:
    """The text as a string of a `where` filter."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def with_path(where: str | None, pattern: str | None) -> str | None:
    """Combine a filter with a glob over paths; both have to hold."""
    if not pattern:
        return where or None
    glob = f"path glob {quoted(pattern)}"
    return f"({where}) and {glob}" if where else glob


def find_document(index: Opened, name: str) -> Document:
    """The document with this id, or of the file at this path.

    The file system is not consulted: only documents in the index are found.

    Args:
        index: the index.
        name: a document's id; or a path, absolute or relative to the folder that contains the
            index.

    Raises:
        InputError: the index has no such document, or several from that file.
    """
    found = documents_at(index, name, (files_folder(index),))
    if not found:
        raise unknown_document(name)
    if len(found) > 1:
        raise InputError(
            f"{name!r} holds {len(found)} documents; name one by its id, such as {found[0].id!r}"
        )
    return found[0]


def documents_at(index: Opened, name: str, folders: Sequence[Path]) -> list[Document]:
    """The document with this id, or those of the file at this path; empty if there are none.

    Args:
        index: the index.
        name: as for `find_document`.
        folders: what a relative path may be relative to; the first with a match is used.
    """
    if "\0" in name:  # which no path has
        folders = ()
    try:
        places = [source_id(folder / name, files_folder(index)) for folder in folders]
    # half a surrogate pair that does not stand for a byte of a file name
    except UnicodeEncodeError:
        return []
    is_text = name.isascii() or not _SURROGATE.search(name)
    if is_text and (document := index.get(name)) is not None:
        return [document]
    for place in dict.fromkeys(places):
        if (document := index.get(place)) is not None:
            return [document]
        listed = index.listed("path == :path", params={"path": place})
        if found := [one for one in index.get_many(one.id for one in listed) if one is not None]:
            return found
    return []


def documents_shown_as(index: Opened, name: str, folders: Sequence[Path]) -> list[Document]:
    """The document, or those of the file, whose name is printed like this (unsafe signs replaced).

    This scans all names, so use it only for names that `documents_at` does not find.

    Args:
        index: the index.
        name: the name as printed.
        folders: as for `documents_at`.

    Raises:
        InputError: several names are printed like this.
    """
    if "\0" in name or _SURROGATE.search(name):
        return []
    places = [source_id(folder / name, files_folder(index)) for folder in folders]
    shown = {safe(name), *map(safe, places)}
    found: dict[str, list[str]] = {}
    for one in index.listed():
        for called in dict.fromkeys((one.id, one.source or one.id)):
            if (said := safe(called)) != called and said in shown:
                found.setdefault(called, []).append(one.id)
    if len(found) > 1:
        raise InputError(
            f"{name!r} stands for {len(found)} names, such as {min(found)!r}; "
            "use one as --json prints it"
        )
    ids = next(iter(found.values()), [])
    return [one for one in index.get_many(ids) if one is not None]


def unknown_document(name: str) -> InputError:
    """The error for a name that leads to no document."""
    return InputError(f"the index holds no document {name!r:.200}; name a path as a hit shows it")


def lines_of(document: Document, first: int, last: int) -> Lines:
    """Lines of a document, from `first` to `last`, both counted from 1 and inclusive.

    Raises:
        InputError: there is no such line, or the last is before the first.
    """
    rows = document.text.split("\n")
    if rows and not rows[-1]:
        rows.pop()  # what follows the last line break is not a line
    if last < first:
        raise InputError(f"end line {last} is before start line {first}; give a later end")
    if first > max(1, len(rows)):
        raise InputError(f"{document.id!r} has {len(rows)} lines, so no line {first}")
    return Lines(first, [row.removesuffix("\r") for row in rows[first - 1 : last]], len(rows))


def lines_around(index: Listing, hits: Sequence[Hit], count: int) -> list[Around]:
    """For each hit at most `count` lines before it and after it.

    Empty if its document is gone or has changed since it was found.
    """
    documents = index.get_many(hit.document_id for hit in hits)
    found: list[Around] = []
    for hit, document in zip(hits, documents, strict=True):
        text = "" if document is None else document.text
        if text[hit.passage.start : hit.passage.end] != hit.text:
            found.append(([], []))
            continue
        rows = [row.removesuffix("\r") for row in text.removesuffix("\n").split("\n")]
        first = hit.start_line - 1
        found.append((rows[max(0, first - count) : first], rows[hit.end_line :][:count]))
    return found


def outline_of(index: Opened, document: Document) -> list[OutlineEntry]:
    """Headings and definitions of a document that came from a file, in order.

    The file is read again, with the options that it was indexed with.

    Raises:
        InputError: the document did not come from a file, or the file has changed since.
    """
    return _entries(document.text, _read_again(index, document))


def place_of(index: Opened, document: Document, start: int, end: int) -> Place | None:
    """The place of a span of a document: page, cell, row, time, part; None if it is unknown.

    The file is read again, with the options that it was indexed with.
    """
    try:
        outline = _read_again(index, document)
    except InputError:
        return None
    return Contexts(document.text, outline).place(start, end)


def _read_again(index: Opened, document: Document) -> Outline:
    """The outline of a document; raises like `outline_of`."""
    from retrieval.documents.naming import file_named

    source = file_of(index, document)
    if source is None:
        raise InputError(f"{document.id!r} did not come from a file; only files have an outline")
    file = file_named(files_folder(index), source)
    changed = InputError(
        f"{source!r} has changed since it was indexed; update the index, or read its lines"
    )
    try:
        status = Path(file).stat()
        result = read(
            SourceFile(file, source, status.st_size, status.st_mtime_ns),
            read_by(index),
        )
    except (OSError, DocumentError):
        raise changed from None
    for parsed, outline in zip(result.documents, result.outlines, strict=True):
        if parsed.id == document.id and parsed.text == document.text:
            return outline
    raise changed


def files_folder(index: Opened) -> Path:
    """The folder that paths are relative to: an index's parent, or the current one."""
    return index.path.parent if isinstance(index, Index) else Path.cwd()


def read_by(index: Opened) -> ReadOptions:
    """How files are read; a collection does not store that, and the default is assumed."""
    remembered = index.remembered if isinstance(index, Index) else lambda _: None
    return settings_of(remembered).read


def file_of(index: Opened, document: Document) -> str | None:
    """The path of the file that a document came from, relative to `files_folder`; or None."""
    path = document.metadata.get("path")
    if not isinstance(index, Index):
        return path_of(document.metadata)
    listed = index.listed(Filter.of_ids([document.id]))
    source = listed[0].source if listed else None
    return source if source is not None and source == path else None


def _entries(text: str, outline: Outline) -> list[OutlineEntry]:
    breaks = [at for at, letter in enumerate(text) if letter == "\n"]

    def line(offset: int) -> int:
        return bisect_right(breaks, offset - 1) + 1

    found = [
        (
            section.start,
            OutlineEntry(
                "heading",
                section.heading,
                section.level,
                line(section.start),
                line(max(section.start, section.end - 1)),
            ),
        )
        for section in outline.sections
        if section.level
    ]
    open_until: list[int] = []  # ends of the definitions that contain the current one
    for block in outline.blocks:
        if block.kind != "definition":
            continue
        while open_until and open_until[-1] <= block.start:
            open_until.pop()
        open_until.append(block.end)
        begins = block.start if block.head is None else block.head
        entry = OutlineEntry(
            "definition",
            block.name,
            len(open_until),
            line(begins),
            line(max(begins, block.end - 1)),
            block.signature,
        )
        found.append((begins, entry))
    return [entry for _, entry in sorted(found, key=lambda one: one[0])]


def related(index: Searching, document: Document, line: int, k: int) -> list[Hit]:
    """Passages similar to the text around a line, without those at the line itself.

    Raises:
        InputError: like `query_like`.
    """
    from retrieval.service.searching import SearchOptions, search

    # The place itself may be two passages, one of which has a copy elsewhere.
    found = search(index, query_like(document, line), SearchOptions(k=k + 3)).hits
    others = [
        hit
        for hit in found
        if hit.document_id != document.id or not hit.start_line <= line <= hit.end_line
    ]
    return others[:k]


def query_like(document: Document, line: int) -> str:
    """A query for passages similar to the text around a line.

    Raises:
        InputError: there is no such line, or only blanks around it.
    """
    total = lines_of(document, 1, 1).total
    if line > max(1, total):
        raise InputError(f"{document.id!r} has {total} lines, so no line {line}")
    around = lines_of(document, max(1, line - CONTEXT_LINES // 3), line + CONTEXT_LINES)
    text = _OPERATORS.sub(" ", "\n".join(around.rows)).strip()
    if not text:
        raise InputError(f"there is nothing at line {line} of {document.id!r}; name another line")
    return text
