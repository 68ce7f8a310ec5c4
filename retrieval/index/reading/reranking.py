"""The best of a ranking in the order of a reranker, which reads query and passage."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from retrieval.errors import InputError
from retrieval.index.as_read import path_of, whole_context
from retrieval.index.reading.runs import Query, Ranking, Run
from retrieval.index.reading.snapshot import Snapshot
from retrieval.indexes import top_k
from retrieval.types import Reranker


def reranked(
    snapshot: Snapshot,
    queries: Sequence[Query],
    rankings: Sequence[Ranking],
    reranker: Reranker,
    count: int,
) -> list[Ranking]:
    """Rankings with their `count` best in the order of a reranker.

    It reads each passage with all of its context before it. The others stay behind them.

    Raises:
        InputError: what the reranker returns is no ranking of what it was given.
    """
    found = []
    for query, ranking in zip(queries, rankings, strict=True):
        ids = ranking.run.ids[:count]
        texts = _texts(snapshot, ids.tolist())
        scores = np.full(len(ids), -np.inf)
        for one in reranker.rerank(query.text, texts) if texts else ():
            if not 0 <= one.index < len(ids) or not np.isfinite(one.score):
                raise InputError(
                    f"the reranker {type(reranker).__name__} gave text {one.index} of {len(ids)} "
                    f"the score {one.score}; a finite one for each text was expected"
                )
            scores[one.index] = one.score
        ranked = np.isfinite(scores)
        head = Run(*top_k(ids[ranked], scores[ranked], max(1, len(ids)), snapshot.order))
        found.append(Ranking(head.then(ranking.run), ranking.by))
    return found


def _texts(snapshot: Snapshot, ids: Sequence[int]) -> list[str]:
    store = snapshot.store
    rows = store.passages(ids)
    if len(rows) < len(ids):
        raise snapshot.corrupted("a search found a passage that is not stored")
    documents = store.documents(sorted({row.document for row in rows.values()}))
    stored = store.passage_texts(rows.values())
    read = []
    for id in ids:
        document, row, text = documents[rows[id].document], rows[id], stored[id]
        context = whole_context(document.title, path_of(document.metadata), row.context, text)
        read.append(f"{context}\n{text}" if context else text)
    return read
