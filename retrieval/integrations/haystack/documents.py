"""Documents of Haystack and of an index, turned into each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from haystack.dataclasses import Document

from retrieval import types
from retrieval.errors import InputError
from retrieval.types import Hit


def to_store(document: Document) -> types.Document:
    """The document as an index keeps it.

    The `title` of its metadata, if it is a text, is the title by which it is found and read, and
    stays in the metadata.

    Raises:
        InputError: it has what an index does not keep.
    """
    for name in ("blob", "sparse_embedding"):
        if getattr(document, name) is not None:
            raise InputError(
                f"document {document.id!r} has a {name}, and an index keeps text, metadata and "
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
    """The document with these values in its metadata; their `title` becomes its title, too."""
    title = meta.get("title")
    return replace(
        document,
        title=title if isinstance(title, str) else document.title,
        metadata={**document.metadata, **meta},
    )


def text_to_read(document: Document, fields: Sequence[str], separator: str = "\n") -> str:
    """What a model reads of a document: the values of these fields of its metadata, and its text.

    Args:
        fields: keys of the metadata; those that are missing or None are left out.
        separator: what stands between them.
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
    """Haystack's word for what is kept under a key."""
    if set(kinds) == {"boolean"}:
        return "boolean"
    if set(kinds) == {"number"}:
        whole = all(isinstance(value, int) for value in values)
        return "int" if whole else "float"
    return "keyword"
