"""A document as the store keeps it, and the check that it is unchanged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from retrieval.types import Document


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document's row: everything but its text and its passages."""

    number: int
    id: str
    title: str
    metadata: dict[str, Any]
    content_hash: str
    source: str | None
    checksum: str
    reader: str | None

    def whole(self, text: str | None) -> Document | None:
        """The document with its text; None if their checksum shows that they were altered."""
        try:
            if text is not None:
                document = Document(self.id, text, self.title, self.metadata)
                if document.content_hash == self.content_hash:
                    return document
        except (TypeError, ValueError, RecursionError):  # a value of another type than was written
            pass
        return None
