"""Searching a snapshot: checking requests, preparing queries, and ranking passages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import EncoderError, InputError
from retrieval.index.encoder import EncoderSlot
from retrieval.index.given import of_encoder
from retrieval.index.reading.fusing import fused, retrievers
from retrieval.index.reading.retrievers import SINGLE, has_head
from retrieval.index.reading.runs import Query, Ranking
from retrieval.index.reading.searched import Allowed, Searched
from retrieval.indexes import Filter
from retrieval.numeric import is_number, is_whole, plain_number
from retrieval.store import Settings
from retrieval.types import RETRIEVERS, Embeddings, Encoder, Hybrid, Reranker, Retriever, Single

QUERY_CHARACTERS = 1 << 15
"""Maximum characters of a query that are given to the encoder, which has its own limit too."""

HYBRID = Hybrid()
"""The default of hybrid search."""


@dataclass(frozen=True, slots=True)
class Request:
    """The options of a search; see `Index.search`."""

    k: int = 10
    retriever: Retriever = "hybrid"
    where: Filter | None = None
    highlights: bool = True
    hybrid: Hybrid | None = None
    rescore: int = 0
    copies: bool = False
    group: Literal["document"] | None = None
    min_relevance: float = 0.0
    offset: int = 0
    per_group: int | None = None
    diversity: float = 0.0
    reranker: Reranker | None = None
    rerank: int = 50
    given: Embeddings | None = None

    def __post_init__(self) -> None:
        for name in _NUMBERS:
            object.__setattr__(self, name, plain_number(getattr(self, name)))

    @property
    def depth(self) -> int:
        """How many hits are needed, up to the last one that is shown."""
        return self.k + self.offset


_NUMBERS = ("k", "rescore", "min_relevance", "offset", "per_group", "diversity", "rerank")


def check(settings: Settings, queries: Sequence[str], request: Request) -> None:
    """Refuse invalid requests.

    Raises:
        InputError: a query or a part of the request cannot be used.
        EncoderError: the retriever needs a head that the index's encoder lacks.
    """
    k, retriever, rescore = request.k, request.retriever, request.rescore
    hybrid = request.hybrid
    if retriever not in RETRIEVERS:
        raise InputError(f"retriever {retriever!r} is unknown; choose from {', '.join(RETRIEVERS)}")
    if not is_whole(k) or k < 1:
        raise InputError(f"k must be a whole number of at least 1, not {k!r}")
    offset = request.offset
    if not is_whole(offset) or offset < 0:
        raise InputError(f"offset must be a whole number of at least 0, not {offset!r}")
    if not is_whole(rescore) or rescore < 0:
        raise InputError(f"rescore must be a whole number of at least 0, not {rescore!r}")
    if rescore and retriever != "late":
        raise InputError(
            f"rescore={rescore} is for late interaction, not for {retriever!r}; search with "
            "the retriever late"
        )
    if hybrid is not None and not isinstance(hybrid, Hybrid):
        raise InputError(f"hybrid={hybrid!r} is not a Hybrid; give a Hybrid or None")
    if request.group not in (None, "document"):
        raise InputError(f"group={request.group!r} is unknown; give 'document' or None")
    least = request.min_relevance
    if not is_number(least) or not 0 <= least <= 1:
        raise InputError(f"min_relevance={least!r} is not a relevance; give a number from 0 to 1")
    _check_choice(settings, queries, request)
    if retriever == "hybrid" and hybrid is not None and not retrievers(settings, hybrid):
        wanted = " and ".join(name for name, weight in hybrid.weights.items() if weight)
        raise EncoderError(
            f"encoder {settings.encoder_name!r} of this index lacks the head for {wanted}, and no "
            "other retriever has a weight; give lexical a weight"
        )
    if retriever != "hybrid" and not has_head(settings, retriever):
        others = [name for name in SINGLE if has_head(settings, name)]
        raise EncoderError(
            f"retriever {retriever!r} needs a {SINGLE[retriever].head} head, which encoder "
            f"{settings.encoder_name!r} of this index lacks; search with "
            f"{', '.join(others)} or hybrid"
        )


def query_problem(query: object) -> str | None:
    """What is wrong with a query's text, or None."""
    if not isinstance(query, str):
        return f"query {query!r:.60} is not a text; give a str"
    return None if query.strip() else "the query is empty; give at least one word"


def _check_choice(settings: Settings, queries: Sequence[str], request: Request) -> None:
    """Refuse invalid options for choosing hits of a ranking, see `check`."""
    per_group, rerank, share = request.per_group, request.rerank, request.diversity
    if per_group is not None and (not is_whole(per_group) or per_group < 1):
        raise InputError(
            f"per_group must be a whole number of at least 1, or None, not {per_group!r}"
        )
    if not is_number(share) or not 0 <= share <= 1:
        raise InputError(f"diversity must be a number from 0 to 1, not {share!r}")
    if share and settings.dense_dim is None:
        raise EncoderError(
            "diversity compares dense vectors, which the index lacks; search without it"
        )
    if request.reranker is None:
        return
    if not isinstance(request.reranker, Reranker):
        raise InputError(
            f"reranker={request.reranker!r:.60} has no method rerank(query, texts, k); give a "
            "reranker from `load_reranker`, or one of your own"
        )
    if not is_whole(rerank) or rerank < 1:
        raise InputError(f"rerank must be a whole number of at least 1, not {rerank!r}")
    if not all(query.strip() for query in queries):
        raise InputError("a reranker reads the query's text, but none was given; give a query")


def prepare(
    searched: Searched[Any],
    encoder: EncoderSlot,
    texts: Sequence[str],
    retriever: Retriever,
    hybrid: Hybrid | None = None,
    given: Embeddings | None = None,
) -> list[Query]:
    """The queries as the retriever needs them; loads the encoder only if vectors are missing."""
    names: Sequence[Single] = ()
    if retriever == "hybrid":
        names = retrievers(searched.settings, hybrid or HYBRID)
    else:
        names = [retriever]
    heads = {SINGLE[name].head for name in names} - {None}
    if not heads or not texts:
        return searched.counted([Query(text) for text in texts])
    read = [searched.encoder_query(text)[:QUERY_CHARACTERS] for text in texts]
    made = given or Embeddings(None, None, None)
    there = {"dense": made.dense is not None, "token": made.tokens is not None}
    if any(not there[head] for head in heads if head):
        made = _completed(made, _encoded(searched.settings, encoder.get(), read))
    return searched.counted(
        [
            Query(
                text,
                read[place],
                None if made.dense is None else made.dense[place],
                _tokens(made, place),
            )
            for place, text in enumerate(texts)
        ]
    )


def _encoded(settings: Settings, encoder: Encoder, texts: Sequence[str]) -> Embeddings:
    """Encode the queries.

    Raises:
        EncoderError: the encoder returned something else.
    """
    made = of_encoder(encoder.encode_queries(texts), encoder.name, "query")
    dims = tuple(None if a is None else a.shape[1] for a in (made.dense, made.tokens))
    wanted = (settings.dense_dim, settings.token_dim)
    if (len(made), *dims) != (len(texts), *wanted):
        raise EncoderError(
            f"encoder {encoder.name!r} returned {len(made)} embeddings of dimensions {dims} for "
            f"{len(texts)} queries, where {wanted} were expected"
        )
    return made


def _completed(given: Embeddings, made: Embeddings) -> Embeddings:
    tokens = made if given.tokens is None else given
    dense = made.dense if given.dense is None else given.dense
    return Embeddings(dense, tokens.tokens, tokens.offsets)


def rank(
    searched: Searched[Allowed],
    queries: Sequence[Query],
    k: int,
    *,
    retriever: Retriever,
    allowed: Allowed,
    hybrid: Hybrid | None = None,
) -> list[Ranking]:
    """For each query at least the k best of the allowed passages, or all that are found.

    A smaller k gives a prefix of a larger one's result.

    Args:
        allowed: the result of `Searched.allowed` for a filter.
    """
    k = min(k, searched.passages)
    if retriever == "hybrid":
        return fused(searched, queries, k, allowed, hybrid or HYBRID)
    runs = searched.find(retriever, queries, k, allowed)
    return [Ranking(run, partial(dict, {retriever: run})) for run in runs]


def _tokens(embeddings: Embeddings, place: int) -> NDArray[np.float32] | None:
    if embeddings.tokens is None or embeddings.offsets is None:
        return None
    return embeddings.tokens[embeddings.offsets[place] : embeddings.offsets[place + 1]]
