"""What each retriever finds in a snapshot, and how hybrid makes one ranking of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import EncoderError, InputError
from retrieval.index.encoder import EncoderSlot
from retrieval.index.reading.snapshot import Snapshot
from retrieval.indexes import fuse
from retrieval.types import RETRIEVERS, Embeddings, Hybrid, Retriever

QUERY_CHARACTERS = 1 << 15
"""Of a longer query only so much goes before the encoder, which cuts it at its own limit."""

_NO_IDS = np.empty(0, np.int64)
_NO_SCORES = np.empty(0, np.float32)


HYBRID = Hybrid()
"""What hybrid search does if it is not told."""


@dataclass(frozen=True, slots=True)
class Run:
    """Passages in the order of a retriever's scores, best first: ids i64 [n], scores [n]."""

    ids: NDArray[np.int64]
    scores: NDArray[np.floating]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Ranking:
    """The answer to one query: the run that orders it and the runs it was made of."""

    run: Run
    by: Mapping[str, Run]


@dataclass(frozen=True, slots=True)
class Query:
    """One query: its text and, if a retriever needs them, dense f32 [D] and tokens f32 [m, d]."""

    text: str
    dense: NDArray[np.float32] | None = None
    tokens: NDArray[np.float32] | None = None


def check(
    snapshot: Snapshot,
    queries: Sequence[str],
    k: int,
    retriever: str,
    *,
    rescore: int = 0,
    hybrid: Hybrid | None = None,
) -> None:
    """Refuse what cannot be asked.

    Raises:
        InputError: k, the retriever, a query, `rescore` or `hybrid` cannot be used.
        EncoderError: the retriever needs a head that the index's encoder lacks.
    """
    if retriever not in RETRIEVERS:
        raise InputError(f"retriever {retriever!r} is unknown; choose from {', '.join(RETRIEVERS)}")
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise InputError(f"k={k!r} asks for no passage; give a whole number of at least 1")
    if isinstance(rescore, bool) or not isinstance(rescore, int | np.integer) or rescore < 0:
        raise InputError(f"rescore={rescore!r} is no number of passages; give one, or 0 for none")
    if rescore and retriever != "late":
        raise InputError(
            f"rescore={rescore} is for late interaction, and {retriever!r} was asked; search with "
            "the retriever late"
        )
    if hybrid is not None and not isinstance(hybrid, Hybrid):
        raise InputError(f"hybrid={hybrid!r} is not what hybrid search takes; give a Hybrid")
    for query in queries:
        if not isinstance(query, str):
            raise InputError(f"query {query!r} is not a text; give a str")
        if not query.strip():
            raise InputError("the query is empty; give at least one word")
    settings = snapshot.store.settings
    missing = {"dense": settings.dense_dim, "late": settings.token_dim}
    if retriever in missing and missing[retriever] is None:
        head = "dense" if retriever == "dense" else "token"
        raise EncoderError(
            f"retriever {retriever!r} needs a {head} head, which encoder "
            f"{settings.encoder_name!r} of this index lacks; search with lexical, "
            f"{'late' if retriever == 'dense' else 'dense'} or hybrid"
        )


def prepare(encoder: EncoderSlot, texts: Sequence[str], retriever: Retriever) -> list[Query]:
    """The queries as the retriever needs them; `lexical` needs no encoder."""
    if retriever == "lexical" or not texts:
        return [Query(text) for text in texts]
    embeddings = encoder.get().encode_queries([text[:QUERY_CHARACTERS] for text in texts])
    return [
        Query(
            text,
            None if embeddings.dense is None else embeddings.dense[place],
            _tokens(embeddings, place),
        )
        for place, text in enumerate(texts)
    ]


def rank(
    snapshot: Snapshot,
    queries: Sequence[Query],
    k: int,
    *,
    retriever: Retriever,
    allowed: NDArray[np.bool_] | None,
    hybrid: Hybrid | None = None,
) -> list[Ranking]:
    """The k best passages for each query, of those allowed, bool by passage id; None is all."""
    k = min(k, snapshot.passages)
    if retriever == "hybrid":
        return _hybrid(snapshot, queries, k, allowed, hybrid or HYBRID)
    runs = _runs(snapshot, retriever, queries, k, allowed)
    return [Ranking(run, {retriever: run}) for run in runs]


def _hybrid(
    snapshot: Snapshot,
    queries: Sequence[Query],
    k: int,
    allowed: NDArray[np.bool_] | None,
    hybrid: Hybrid,
) -> list[Ranking]:
    """All retrievers' candidates, each scored by every retriever, in one ranking."""
    settings = snapshot.store.settings
    depth = min(max(k, hybrid.candidates), snapshot.passages)
    proposals = {"lexical": _runs(snapshot, "lexical", queries, depth, allowed)}
    if settings.dense_dim is not None:
        proposals["dense"] = _runs(snapshot, "dense", queries, depth, allowed)
    if settings.token_dim is not None:
        proposals["late"] = _runs(snapshot, "late", queries, depth, allowed)
    heads = {"dense": settings.dense_dim, "late": settings.token_dim}
    names = ["lexical", *(name for name, dim in heads.items() if dim is not None)]
    rankings = []
    for place, query in enumerate(queries):
        union = np.unique(np.concatenate([found[place].ids for found in proposals.values()]))
        runs = {name: _score(snapshot, name, query, union) for name in names}
        ids, scores = fuse(
            {name: (run.ids, run.scores) for name, run in runs.items()},
            method=hybrid.fusion,
            weights=hybrid.weights,
        )
        # A passage without a word of the query is none that the lexical retriever found.
        lexical = runs["lexical"]
        matched = lexical.scores > 0
        runs["lexical"] = Run(lexical.ids[matched], lexical.scores[matched])
        rankings.append(Ranking(Run(ids[:k], scores[:k]), runs))
    return rankings


def _runs(
    snapshot: Snapshot,
    retriever: str,
    queries: Sequence[Query],
    k: int,
    allowed: NDArray[np.bool_] | None,
) -> list[Run]:
    """The k best of one retriever for each query, over all segments."""
    if retriever == "lexical":
        lexical = snapshot.lexical
        if lexical is None:
            return [Run(_NO_IDS, _NO_SCORES) for _ in queries]
        return [Run(*lexical.search(query.text, k, allowed)) for query in queries]
    if retriever == "dense":
        vectors = np.stack([query.dense for query in queries if query.dense is not None])
        found = [
            segment.dense.search(vectors, min(k, len(segment.ids)), allowed)
            for segment in snapshot.vectors
            if segment.dense is not None
        ]
        return [
            _best([(ids[place], scores[place]) for ids, scores in found], k)
            for place in range(len(queries))
        ]
    tokens = [query.tokens for query in queries if query.tokens is not None]
    return [Run(*found) for found in snapshot.late.search(tokens, k, allowed)]


def _score(snapshot: Snapshot, retriever: str, query: Query, ids: NDArray[np.int64]) -> Run:
    """One retriever's own scores of these passages, best first."""
    if retriever == "lexical":
        lexical = snapshot.lexical
        found = np.zeros(len(ids), np.float32)
        return _best([(ids, lexical.score(query.text, ids) if lexical else found)], len(ids))
    if retriever == "late" and query.tokens is not None:
        return _best([(ids, snapshot.late.score(query.tokens, ids))], len(ids))
    scores = np.full(len(ids), -np.inf, np.float32)
    for segment in snapshot.vectors:
        if retriever == "dense" and segment.dense is not None and query.dense is not None:
            np.maximum(scores, segment.dense.score(query.dense, ids), out=scores)
    return _best([(ids, scores)], len(ids))


def _best(found: Sequence[tuple[NDArray[np.int64], NDArray[np.float32]]], k: int) -> Run:
    """The k best of several segments' answers: by descending score, equal ones by id."""
    ids = np.concatenate([_NO_IDS, *(ids for ids, _ in found)])
    scores = np.concatenate([_NO_SCORES, *(scores for _, scores in found)])
    real = (ids >= 0) & (scores > -np.inf)
    ids, scores = ids[real], scores[real]
    order = np.lexsort((ids, -scores))[:k]
    return Run(ids[order], scores[order])


def _tokens(embeddings: Embeddings, place: int) -> NDArray[np.float32] | None:
    if embeddings.tokens is None or embeddings.offsets is None:
        return None
    return embeddings.tokens[embeddings.offsets[place] : embeddings.offsets[place + 1]]
