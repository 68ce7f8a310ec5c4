"""MaxSim by vectors fresh from the encoder: 32-bit floats, neither compressed nor pooled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.index.as_read import AsRead, path_of
from retrieval.index.encoder import EncoderSlot
from retrieval.index.reading.runs import Query, Ranking, Run
from retrieval.index.reading.snapshot import Snapshot
from retrieval.indexes import top_k
from retrieval.store import PassageRow, StoredDocument
from retrieval.types import Encoder, ProgressCallback, ProgressUpdate

_ENCODED_AT_ONCE = 256


def rescored(
    snapshot: Snapshot,
    slot: EncoderSlot,
    queries: Sequence[Query],
    rankings: Sequence[Ranking],
    count: int,
) -> list[Ranking]:
    """Late interaction's rankings with their `count` best in the order of fresh vectors.

    Args:
        queries: with their token vectors.
        rankings: by the retriever `late`, at least `count` deep.
        count: how many are encoded anew; the others stay behind them.
    """
    tokens = [query.tokens for query in queries if query.tokens is not None]
    heads = [ranking.run.ids[:count] for ranking in rankings]
    found = []
    made = scores(snapshot, slot.get(), tokens, heads)
    for ranking, ids, fresh in zip(rankings, heads, made, strict=True):
        head = Run(*top_k(ids, fresh, max(1, len(ids)), snapshot.order))
        run = head.then(ranking.run)
        found.append(Ranking(run, {"late": run}))
    return found


def scores(
    snapshot: Snapshot,
    encoder: Encoder,
    queries: Sequence[NDArray[np.float32]],
    candidates: Sequence[NDArray[np.int64]],
    progress: ProgressCallback | None = None,
) -> list[NDArray[np.float32]]:
    """MaxSim of each query, f32 [m, d], and its candidates, in their order: f32 [c].

    A passage is encoded once, whichever queries it is a candidate of.

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
    as_read = AsRead.of(encoder, snapshot.store.settings.passage_tokens)
    for first in range(0, len(wanted), _ENCODED_AT_ONCE):
        tell(first)
        ids = wanted[first : first + _ENCODED_AT_ONCE].tolist()
        read = texts(snapshot, as_read, snapshot.store.passages(ids))
        made = encoder.encode_documents(["".join(read[id]) for id in ids])
        if made.tokens is None or made.offsets is None:
            break
        for query, own, scored in zip(queries, places, found, strict=True):
            for at in np.flatnonzero((own >= first) & (own < first + len(ids))):
                row = own[at] - first
                vectors = made.tokens[made.offsets[row] : made.offsets[row + 1]]
                if len(vectors):
                    scored[at] = (query @ vectors.T).max(axis=1).sum()
    tell(len(wanted))
    return found


def texts(
    snapshot: Snapshot, as_read: AsRead, rows: Mapping[int, PassageRow]
) -> dict[int, tuple[str, str]]:
    """By passage id, what the encoder reads before the passage, and the passage's text."""
    numbers = sorted({row.document for row in rows.values()})
    documents = snapshot.store.documents(numbers)
    stored = snapshot.store.passage_texts(rows.values())
    return {
        id: (context_of(as_read, documents[row.document], row, stored[id]), stored[id])
        for id, row in rows.items()
    }


def context_of(as_read: AsRead, document: StoredDocument, row: PassageRow, text: str) -> str:
    """What is read in front of a stored passage of this text."""
    return as_read.before(document.title, path_of(document.metadata), row.context, text)
