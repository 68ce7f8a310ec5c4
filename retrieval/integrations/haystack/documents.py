"""Converting between documents of Haystack and of an index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from haystack.dataclasses import Document

from retrieval import types
from retrieval.errors import InputError
from retrieval.types import Hit


def to_store(document: Document) -> types.Document:
    """The document in the form that an index stores.

    If the `title` in its metadata is a text, it becomes the title for searching and reading, and
    stays in the metadata.

    Raises:
        InputError: it has something that an index does not store.
    """
    for name in ("blob", "sparse_embedding"):
        if getattr(document, name) is not None:
            raise InputError(
                f"document {document.id!r} has a {name}, but an index has only text, metadata and "
                "dense vectors; leave it out"
            )
    title = document.meta.get("title")
    return types.Document(
        document.id,
        document.content or "",
        title if isinstance(title, str) else "",
        document.meta,
    )


def as_written(
    document: types.Document, embedding: list[float] | None = None, score: float | None = None
) -> Document:
    """The document as it was written, with its vector, if there is one, and a score."""
    return Document(
        id=document.id,
        content=document.text,
        meta=dict(document.metadata),
        embedding=embedding,
        score=score,
    )


def updated(document: types.Document, meta: Mapping[str, Any]) -> types.Document:
    """The document with these values in its metadata; a `title` also becomes its title."""
    title = meta.get("title")
    return replace(
        document,
        title=title if isinstance(title, str) else document.title,
        metadata={**document.metadata, **meta},
    )


def text_to_read(document: Document, fields: Sequence[str], separator: str = "\n") -> str:
    """A document's text for a model: the values of these metadata fields, then its text.

    Args:
        fields: keys of the metadata; those that are missing or None are left out.
        separator: put between them.
    """
    told = (document.meta.get(key) for key in fields)
    parts = [str(value) for value in told if value is not None]
    return separator.join([*parts, document.content or ""])


def as_passage(hit: Hit, score: float) -> Document:
    """A passage that was found, with the metadata that Haystack's splitters give to a part."""
    where: dict[str, Any] = {
        "source_id": hit.document_id,
        "split_id": hit.passage.ordinal,
        "split_idx_start": hit.passage.start,
    }
    if hit.place.page is not None:
        where["page_number"] = hit.place.page
    told = {"file_path": hit.path, "title": hit.title, "heading": hit.heading}
    where |= {key: value for key, value in told.items() if value}
    return Document(
        id=f"{hit.document_id}#{hit.passage.ordinal}",
        content=hit.text,
        meta=where | dict(hit.metadata),
        score=score,
    )


def field_type(kinds: Mapping[str, int], values: Sequence[object]) -> str:
    """Haystack's name for the type of a key's values."""
    if set(kinds) == {"boolean"}:
        return "boolean"
    if set(kinds) == {"number"}:
        whole = all(isinstance(value, int) for value in values)
        return "int" if whole else "float"
    return "keyword"
