"""Reading the stored vectors of passages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.index.reading.snapshot import Snapshot
from retrieval.index.vectors import VectorSegment
from retrieval.ragged import offsets_of
from retrieval.types import Embeddings, Passage

_AT_ONCE = 256


def stored_vectors(
    snapshot: Snapshot, allowed: NDArray[np.bool_] | None
) -> Iterator[tuple[Passage, Embeddings]]:
    """Passages, by document id and ordinal, each with its embeddings.

    Args:
        snapshot: the snapshot to read.
        allowed: bool by passage id; None is all.
    """
    with snapshot.guarded():
        ids = snapshot.store.passage_ids()
        ids = ids if allowed is None else ids[allowed[ids]]
        ids = ids[np.argsort(snapshot.order(ids))]
    for first in range(0, len(ids), _AT_ONCE):
        chosen = ids[first : first + _AT_ONCE].tolist()
        with snapshot.guarded():
            made = list(_made(snapshot, chosen))
        yield from made


def _made(snapshot: Snapshot, ids: Sequence[int]) -> Iterator[tuple[Passage, Embeddings]]:
    rows = snapshot.store.passages(ids)
    documents = snapshot.store.documents(sorted({row.document for row in rows.values()}))
    found: dict[int, Embeddings] = {}
    for segment in snapshot.vectors:
        wanted = np.array(ids, np.int64)
        found |= {int(id): _embeddings(segment, id) for id in wanted[segment.holds(wanted)]}
    for id in ids:
        if id not in rows or rows[id].document not in documents or id not in found:
            raise snapshot.corrupted(f"passage {id} is not where it should be")
        row = rows[id]
        passage = Passage(
            documents[row.document].id, row.ordinal, row.start, row.end, row.context, row.place
        )
        yield passage, found[id]


def _embeddings(segment: VectorSegment, id: np.int64) -> Embeddings:
    dense = windows = bounds = tokens = offsets = None
    one = np.array([id], np.int64)
    if segment.dense is not None:
        dense = segment.dense.vectors(one)
        if not len(dense):
            dense = None
        elif len(dense) > 1:
            windows, bounds = dense, offsets_of([len(dense)])
            mean = windows.mean(axis=0, keepdims=True)
            dense = mean / max(float(np.linalg.norm(mean)), 1e-9)
    if segment.late is not None:
        tokens, offsets = segment.late.vectors(segment.late.find(one))
    return Embeddings(dense, tokens, offsets, windows, bounds)
