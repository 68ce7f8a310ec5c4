"""MaxSim with newly encoded vectors: 32-bit floats, neither compressed nor pooled."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.index.context_builder import ContextBuilder
from retrieval.index.encoder import EncoderSlot
from retrieval.index.reading.encoded import passage_encoder, stretches_of
from retrieval.index.reading.runs import Query, Ranking, Run
from retrieval.index.reading.searched import Searched
from retrieval.index.reading.snapshot import Snapshot
from retrieval.indexes import top_k
from retrieval.types import Encoder, ProgressCallback, ProgressUpdate

_ENCODED_AT_ONCE = 256


def rescored(
    searched: Searched[Any],
    slot: EncoderSlot,
    queries: Sequence[Query],
    rankings: Sequence[Ranking],
    count: int,
) -> list[Ranking]:
    """Late interaction's rankings with their `count` best reordered by newly encoded vectors.

    Args:
        queries: with their token vectors.
        rankings: by the retriever `late`, at least `count` deep.
        count: how many are encoded again; the others follow in their order.
    """
    tokens = [query.tokens for query in queries if query.tokens is not None]
    heads = [ranking.run.ids[:count] for ranking in rankings]
    found = []
    made = searched.fresh_scores(slot.get(), tokens, heads)
    for ranking, ids, fresh in zip(rankings, heads, made, strict=True):
        head = Run(*top_k(ids, fresh, max(1, len(ids)), searched.order))
        run = head.followed_by(ranking.run)
        found.append(Ranking(run, partial(dict, late=run)))
    return found


def scores(
    snapshot: Snapshot,
    encoder: Encoder,
    queries: Sequence[NDArray[np.float32]],
    candidates: Sequence[NDArray[np.int64]],
    progress: ProgressCallback | None = None,
) -> list[NDArray[np.float32]]:
    """MaxSim of each query, f32 [m, d], with its candidates, in order: f32 [c].

    A passage is encoded once, however many queries it is a candidate of.

    Args:
        candidates: ids of passages, i64 [c], for each query.
        progress: called as the candidates are encoded.
    """
    wanted = np.unique(np.concatenate(candidates))

    def tell(done: int) -> None:
        if progress is not None:
            progress(ProgressUpdate("encoding", done, len(wanted), "passages"))

    places = [np.searchsorted(wanted, ids) for ids in candidates]
    found = [np.full(len(ids), -np.inf, np.float32) for ids in candidates]
    passages = passage_encoder(snapshot, encoder)
    context_builder = ContextBuilder.of(encoder, snapshot.store.settings.passage_tokens)
    for first in range(0, len(wanted), _ENCODED_AT_ONCE):
        tell(first)
        ids = wanted[first : first + _ENCODED_AT_ONCE].tolist()
        stretches = stretches_of(snapshot, passages, context_builder, ids)
        made = passages.encode([stretch.texts for stretch in stretches])
        if made.tokens is None or made.offsets is None:
            break
        rows = {id: row for row, id in enumerate(id for one in stretches for id in one.ids)}
        for query, own, scored in zip(queries, places, found, strict=True):
            for at in np.flatnonzero((own >= first) & (own < first + len(ids))):
                row = rows[ids[own[at] - first]]
                vectors = made.tokens[made.offsets[row] : made.offsets[row + 1]]
                if len(vectors):
                    scored[at] = (query @ vectors.T).max(axis=1).sum()
    tell(len(wanted))
    return found
