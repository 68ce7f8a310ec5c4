"""Finding the place that a hit names: `path:line`, its passage, and the lines around it."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from retrieval.documents.decoding import decode
from retrieval.documents.formats.table import named
from retrieval.documents.naming import file_named
from retrieval.errors import InputError
from retrieval.files.regular import open_regular
from retrieval.service.lookup import (
    Lines,
    documents_at,
    documents_shown_as,
    file_of,
    files_folder,
    lines_of,
    place_of,
    read_by,
    unknown_document,
)
from retrieval.service.opened import Opened
from retrieval.types import Document, Passage, Place

_LINE = re.compile(r"(?P<name>.+?):(?P<line>[0-9]{1,9})(?::[0-9]{1,9})?:?", re.DOTALL)
"""`path:line`, as hits name it, and `path:line:column`, as compilers and grep do."""

LONGEST_ROW = 2000
"""Maximum characters of a displayed line: of a longer one only the passage's part is shown."""


@dataclass(frozen=True, slots=True)
class Found:
    """A place in an indexed document.

    Attributes:
        document: the document.
        path: path of its file, relative to the folder that contains the index; or None.
        line: the line, from 1.
        passage: the passage with the line, or the last before it; None if there is none.
        place: the line's page, cell, row, time or part.
        lines: the passage's lines, or those around the line.
    """

    document: Document
    path: str | None
    line: int
    passage: Passage | None
    place: Place
    lines: Lines = field(repr=False)


def find_place(index: Opened, name: str, *, here: Path, around: int | None = None) -> Found:
    """Find the place for a name.

    Args:
        index: the index.
        name: `path:line` as a hit shows it; a path or a document's id means its first line. In a
            file with a record on each line, the line selects the record.
        here: the folder that a path is relative to; if nothing matches there, the folder that
            contains the index is tried.
        around: how many lines before and after the line to return; None returns the passage's
            lines.

    Raises:
        InputError: the index has no such document, or the document no such line.
    """
    document, line = _document(index, name, here)
    passages = index.passages(document.id)
    starts = [0, *(match.end() for match in re.finditer("\n", document.text))]
    lines_of(document, line, line)  # raises if there is no such line
    begins = starts[line - 1]
    ends = starts[line] if line < len(starts) else len(document.text)
    # The passage that begins on the line is preferred to one that ends there.
    at = max(0, bisect_right([one.start for one in passages], max(begins, ends - 1)) - 1)
    while at and passages[at - 1].start >= begins:
        at -= 1
    passage = passages[at] if passages else None
    if around is not None or passage is None:
        first, last = max(1, line - (around or 0)), line + (around or 0)
    else:
        first = bisect_right(starts, passage.start)
        last = bisect_right(starts, max(passage.start, passage.end - 1))
        first, last = min(first, line), max(last, line)
    lines = _cut(lines_of(document, first, last), starts, passage)
    place = _place(index, document, passages, at, begins, ends)
    return Found(document, file_of(index, document), line, passage, place, lines)


def _document(index: Opened, name: str, here: Path) -> tuple[Document, int]:
    """The named document, and the line in it."""
    folders = (here, files_folder(index))
    found, line = documents_at(index, name, folders), 1
    match = _LINE.fullmatch(name)
    if not found and match:
        found, line = documents_at(index, match["name"], folders), int(match["line"])
    if not found:
        found = documents_shown_as(index, match["name"] if match else name, folders)
    if not found:
        raise unknown_document(name)
    if line < 1:
        raise InputError(f"{name!r} names line {line}, but lines are counted from 1")
    if len(found) == 1 and _begins(found[0]) is None:
        return found[0], line
    if match and line > 1 and all(_begins(one) is None for one in found):
        raise InputError(
            f"{match['name']!r} holds {len(found):,} documents, none with lines of the file; "
            f"name one by its id, such as {found[0].id!r}"
        )
    return _record(found, line), 1


def _record(documents: Sequence[Document], line: int) -> Document:
    """Among a file's documents, the one that begins on the line, or last before it."""

    # Attachments have the line of their message, but a longer id.
    ordered = sorted(documents, key=lambda one: (_begins(one) or 0, -len(one.id)))
    at = bisect_right([_begins(one) or 0 for one in ordered], line) - 1
    return ordered[max(at, 0)]


def _begins(document: Document) -> int | None:
    """The line of its file that a record begins on; None for other documents."""
    line = document.metadata.get("line")
    return line if isinstance(line, int) else None


def _place(
    index: Opened, document: Document, passages: Sequence[Passage], at: int, start: int, end: int
) -> Place:
    """The place of a line; a passage has only that of its first character."""
    if not passages:
        return Place()
    place = passages[at].place
    if start <= passages[at].start or not place:
        return place
    following = passages[at + 1].place if at + 1 < len(passages) else None
    return place if place == following else place_of(index, document, start, end) or place


def _cut(lines: Lines, starts: Sequence[int], passage: Passage | None) -> Lines:
    """The lines, with very long ones cut to the part in the passage."""
    rows = []
    for number, row in enumerate(lines.rows, start=lines.first):
        if len(row) <= LONGEST_ROW:
            rows.append(row)
            continue
        begins = starts[number - 1]
        first, last = 0, len(row)
        if passage is not None and passage.start < begins + len(row) and passage.end > begins:
            first, last = max(0, passage.start - begins), min(len(row), passage.end - begins)
        last = min(last, first + LONGEST_ROW)
        rows.append("…" * (first > 0) + row[first:last] + "…" * (last < len(row)))
    return replace(lines, rows=rows)


@dataclass(frozen=True, slots=True)
class Target:
    """A file to open.

    Attributes:
        file: its path.
        line: the line in the file, from 1; the first if the document's lines are not the file's.
            None if the file is not text.
    """

    file: Path
    line: int | None


def to_open(index: Opened, found: Found) -> Target:
    """The file of a place, and the line in it.

    Raises:
        InputError: the document did not come from a file, or the file cannot be opened.
    """
    if found.path is None:
        raise InputError(f"{found.document.id!r} came from no file; there is nothing to open")
    file = file_named(files_folder(index).resolve(), found.path)
    try:
        with open_regular(file) as opened:
            data = opened.read()
    except OSError as error:
        raise InputError(f"{found.path} cannot be opened ({error.strerror or error})") from None
    if (record := _begins(found.document)) is not None:
        return Target(file, record)
    # Decided by the name alone: a stranger's index may name a file that a desktop would execute.
    format = named(file.name)
    if format is not None and format.binary:
        return Target(file, None)
    text, _ = decode(data, encoding=read_by(index).encoding)
    same = text.count("\n") == found.document.text.count("\n")
    return Target(file, found.line if same else 1)
