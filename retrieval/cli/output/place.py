"""A place in a document as text: what it is, and its lines, numbered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.cli.output.style import Style
from retrieval.service.hit_names import headings_of
from retrieval.service.location import shown
from retrieval.service.printable import safe

if TYPE_CHECKING:
    from retrieval.service.places import Found


def place(found: Found, index: Path, style: Style) -> str:
    """The place's `path:line`, page, cell or row, its context; then the lines.

    Args:
        found: the place.
        index: the index folder, which paths are stored relative to.
        style: style of the output stream.
    """
    name = found.document.id
    if found.path is not None and name.startswith(found.path):
        name = shown(index, found.path) + name[len(found.path) :]
    parts = [
        style.dress("path", safe(f"{name}:{found.line}")),
        safe(str(found.place)),
        style.dress("title", safe(" ".join(_about(found).split()))),
    ]
    rows = ["  ".join(part for part in parts if part)]
    wide = len(str(found.lines.first + len(found.lines.rows) - 1))
    for number, row in enumerate(found.lines.rows, start=found.lines.first):
        here = number == found.line
        head = f"{'>' if here else ' '} {number:{wide}}"
        rows.append(f"{style.dress('mark' if here else 'faint', head)}  {safe(row)}".rstrip())
    return "\n".join(rows) + "\n"


def _about(found: Found) -> str:
    """The definition, or the title and the headings."""
    if found.passage is None:
        return found.document.title
    headings = headings_of(found.document.title, found.passage)
    return found.passage.context.symbol or " > ".join(headings)
