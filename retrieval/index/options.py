"""Typed options of calls that pass them on, for type checkers and editors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

from retrieval.types import Hybrid, ProgressCallback, Reranker, Retriever

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike

    from retrieval.index.listing import Params
    from retrieval.index.ready import Given, Spans
    from retrieval.indexes import Where


class AddOptions(TypedDict, total=False):
    """Options that `Index.aadd` passes to `Index.add`, besides `on_error`."""

    passages: Iterable[Spans | None] | None
    embeddings: Given | None
    progress: ProgressCallback | None


class ChoiceOptions(TypedDict, total=False):
    """Options that `Index.similar` passes to `Index.search`."""

    retriever: Retriever
    highlights: bool
    hybrid: Hybrid | None
    rescore: int
    copies: bool
    group: Literal["document"] | None
    per_group: int | None
    min_relevance: float
    diversity: float
    reranker: Reranker | None
    rerank: int
    offset: int


class SearchOptions(ChoiceOptions, total=False):
    """Options that `Index.asearch` passes to `Index.search`."""

    where: Where | None
    params: Params | None
    vector: ArrayLike | None
    tokens: ArrayLike | None
