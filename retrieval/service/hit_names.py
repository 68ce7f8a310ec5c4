"""The name of a hit's place, which `find_place` and `retrieval open` resolve."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.service.location import shown

if TYPE_CHECKING:
    from retrieval.types import Hit, Passage


def name_of(hit: Hit, index: Path, start: int = 0) -> str:
    """A name that leads back to a hit: `path:line`, or `id:line` where the path is ambiguous.

    Args:
        hit: the hit.
        index: the index folder, which paths are stored relative to.
        start: a character of the passage, whose line is named.
    """
    line = hit.start_line + hit.text.count("\n", 0, start)
    if hit.path is None:
        return f"{hit.document_id}:{line}"
    path = shown(index, hit.path)
    held = (f"{hit.path}#", f"{hit.path}!/")  # attached, in an archive, or a row of a table
    record = hit.metadata.get("line")  # of a record in a file of several
    is_record = isinstance(record, int)
    if hit.document_id.startswith(held) and (hit.place.part or not is_record):
        return f"{path}{hit.document_id[len(hit.path) :]}:{line}"
    return f"{path}:{record if is_record else line}"


def headings_of(title: str, passage: Passage) -> list[str]:
    """Where a passage is in its document: title and headings, outermost first.

    The name of a part, such as a sheet, is left out, since the place has it.
    """
    headings = [*passage.context.headings]
    if title and title not in headings:
        headings.insert(0, title)
    return [heading for heading in headings if heading != passage.place.part]
