"""Converting between documents of LangChain and of an index."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TypeAlias

from langchain_core.documents import Document

from retrieval import types
from retrieval.errors import InputError
from retrieval.index import Index
from retrieval.index.ready import Given
from retrieval.integrations.returning import Returns
from retrieval.types import Hit

Found: TypeAlias = list[tuple[Document, Hit]]
"""The results of a search, best first, each with its hit."""


def put(
    index: Index,
    documents: Iterable[Document],
    ids: Sequence[str | None] | None = None,
    embeddings: Given | None = None,
) -> list[str]:
    """Add the documents, or replace those with the same ids; returns their ids.

    A document without an id gets a random one. If the `title` in its metadata is a text, it becomes
    the title for searching and reading, and stays in the metadata.

    Args:
        index: the index to add to.
        documents: what to add.
        ids: ids for the documents, instead of their own; None for a random one.
        embeddings: f32 [n, D], their dense vectors; None lets the index's encoder compute them.

    Raises:
        InputError: the number of ids differs from the number of documents, or a document cannot be
            stored because of its metadata.
    """
    given = list(documents)
    if isinstance(ids, str):
        raise InputError(f"one id, {ids!r}, was given; give a list of them")
    names = [document.id for document in given] if ids is None else list(ids)
    if len(names) != len(given):
        raise InputError(f"{len(names)} ids were given for {len(given)} documents")
    known = [str(uuid.uuid4()) if name is None else name for name in names]
    if given:
        index.add(map(_stored, given, known), embeddings=embeddings)
    return known


def got(index: Index, ids: Iterable[str]) -> list[Document]:
    """The documents with these ids, as they were added; unknown ids are left out."""
    wanted = list(dict.fromkeys(ids))
    return [_as_added(found) for found in index.get_many(wanted) if found is not None]


def found_documents(index: Index, hits: Sequence[Hit], returns: Returns) -> Found:
    """The document or passage of each hit, in order.

    Args:
        index: the index that was searched.
        hits: the hits of a search; one per document if `returns` is `document`.
        returns: see `Returns`.
    """
    if returns == "passage":
        return [(_passage(hit), hit) for hit in hits]
    whole = index.get_many([hit.document_id for hit in hits])
    # Documents that were deleted since the search are left out.
    return [(_as_added(one), hit) for one, hit in zip(whole, hits, strict=True) if one is not None]


def _stored(document: Document, id: str) -> types.Document:
    title = document.metadata.get("title")
    return types.Document(
        id, document.page_content, title if isinstance(title, str) else "", document.metadata
    )


def _as_added(document: types.Document) -> Document:
    return Document(id=document.id, page_content=document.text, metadata=dict(document.metadata))


def _passage(hit: Hit) -> Document:
    """The passage, with its document's metadata and its place as far as it is known."""
    where = {
        "source": hit.path,
        "title": hit.title,
        "heading": hit.heading,
        "symbol": hit.symbol,
        **asdict(hit.place),
    }
    told = {key: value for key, value in where.items() if value not in (None, "")}
    told |= {
        "start_index": hit.passage.start,
        "start_line": hit.start_line,
        "end_line": hit.end_line,
        "score": hit.score,
        "relevance": hit.relevance,
    }
    return Document(id=hit.document_id, page_content=hit.text, metadata=told | dict(hit.metadata))
