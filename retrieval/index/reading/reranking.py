"""Reordering the best of a ranking by a reranker, which reads query and passage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from retrieval.errors import InputError
from retrieval.index.reading.runs import Query, Ranking, Run
from retrieval.index.reading.searched import Searched
from retrieval.indexes import top_k
from retrieval.types import Ranked, Reranker


def reranked(
    searched: Searched[Any],
    queries: Sequence[Query],
    rankings: Sequence[Ranking],
    reranker: Reranker,
    count: int,
) -> list[Ranking]:
    """Rankings with their `count` best in the order of a reranker.

    It reads each passage with its whole context in front. Other passages follow in their order.

    Raises:
        InputError: the reranker's result is not a ranking of the texts that it was given.
    """
    found = []
    for query, ranking in zip(queries, rankings, strict=True):
        ids = ranking.run.ids[:count]
        texts = _texts(searched, ids.tolist())
        scores = np.full(len(ids), -np.inf)
        for one in _asked(reranker, query.text, texts) if texts else ():
            if not 0 <= one.index < len(ids) or not np.isfinite(one.score):
                raise InputError(
                    f"the reranker {type(reranker).__name__} gave text {one.index} of {len(ids)} "
                    f"the score {one.score}; a finite one for each text was expected"
                )
            scores[one.index] = one.score
        ranked = np.isfinite(scores)
        head = Run(*top_k(ids[ranked], scores[ranked], max(1, len(ids)), searched.order))
        found.append(Ranking(head.followed_by(ranking.run), ranking.by))
    return found


def _asked(reranker: Reranker, query: str, texts: Sequence[str]) -> list[Ranked]:
    """The reranker's result, checked.

    Raises:
        InputError: it is not a list of Ranked.
    """
    made: object = reranker.rerank(query, texts)
    ranked: list[Ranked] = []
    for one in made if isinstance(made, Iterable) else (made,):
        if not isinstance(one, Ranked):
            raise InputError(
                f"the reranker {type(reranker).__name__} returned {one!r:.60}; give a list of "
                "retrieval.types.Ranked(index, score, text)"
            )
        ranked.append(one)
    return ranked


def _texts(searched: Searched[Any], ids: Sequence[int]) -> list[str]:
    stored = searched.stored(ids)
    found = [stored[id] for id in ids]
    return [f"{hit.context}\n{hit.text}" if hit.context else hit.text for hit in found]
