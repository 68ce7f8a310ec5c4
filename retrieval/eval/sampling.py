"""Fewer queries of a collection that has thousands."""

from __future__ import annotations

import random
from dataclasses import replace

from retrieval.eval.datasets import Collection

SEED = 0


def sampled(collection: Collection, queries: int | None) -> Collection:
    """The collection with so many of its queries at most; None is all.

    They are the first of the query ids in a shuffle that the ids alone decide, so that N queries
    are among any larger number. `sha256` stays: it is of the data as it was read.
    """
    every = len(collection.queries)
    if queries is None or queries >= every:
        return collection
    ids = sorted(collection.queries)
    random.Random(SEED).shuffle(ids)
    kept = set(ids[:queries])
    note = f"{queries:,} of {every:,} queries, the first of a shuffle by seed {SEED}"
    return replace(
        collection,
        queries={id: text for id, text in collection.queries.items() if id in kept},
        judgements={id: own for id, own in collection.judgements.items() if id in kept},
        notes="; ".join(filter(None, [collection.notes, note])),
    )
