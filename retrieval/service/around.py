"""What stands around hits in their documents: lines before and after a passage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from retrieval.index.listing import Listing
    from retrieval.types import Hit


@dataclass(frozen=True, slots=True)
class Around:
    """What stands around a passage.

    Attributes:
        before: the lines before it, and the beginning of its first line.
        after: the rest of its last line, and the lines after it.
    """

    before: str = ""
    after: str = ""


def around(index: Listing, hits: Sequence[Hit], lines: int) -> list[Around]:
    """What stands around each hit's passage in its document, so many lines on either side."""
    documents = index.get_many([hit.document_id for hit in hits])
    return [
        _around(document.text if document else "", hit, lines)
        for document, hit in zip(documents, hits, strict=True)
    ]


def _around(text: str, hit: Hit, lines: int) -> Around:
    start, end = hit.passage.start, hit.passage.end
    if text[start:end] != hit.text:  # it was changed since it was found
        return Around()
    first, last = start, end
    for _ in range(lines + 1):
        first = max(0, text.rfind("\n", 0, first))
    for _ in range(lines + 1):
        newline = text.find("\n", last)
        last = newline + 1 if newline >= 0 else len(text)
    first += text.startswith("\n", first) and first < start
    return Around(text[first:start], text[end:last].removesuffix("\n"))
