"""The options of a search, for those who hand them on: type checkers and editors know them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

from retrieval.types import Hybrid, Reranker, Retriever

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from retrieval.index.listing import Params
    from retrieval.indexes import Where


class ChoiceOptions(TypedDict, total=False):
    """What `Index.similar` hands on to `Index.search`."""

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
    """What `Index.asearch` hands on to `Index.search`."""

    where: Where | None
    params: Params | None
    vector: ArrayLike | None
    tokens: ArrayLike | None
