"""What one snapshot contributes to a search: each retriever's best, and hybrid candidates.

This is the half of a search that reads passages. The other half, `fusing`, works on arrays only, so
it can take them from the shards of a collection as well as from one index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from retrieval.index.reading.retrievers import SINGLE, Mask
from retrieval.index.reading.runs import Proposal, Query, Run
from retrieval.index.reading.snapshot import Snapshot
from retrieval.index.reading.standing import Standing
from retrieval.indexes import distinct, places_in
from retrieval.indexes.kernels import threads
from retrieval.types import Hybrid, Single

T = TypeVar("T")


def find(
    snapshot: Snapshot, retriever: Single, queries: Sequence[Query], k: int, allowed: Mask
) -> list[Run]:
    """The k best of one retriever for each query; a smaller k gives a prefix."""
    runs: dict[int, Run] = {}
    for fitting, places in _by_what_fits(snapshot, queries, allowed, words=retriever != "lexical"):
        asked = [queries[place] for place in places]
        found = SINGLE[retriever].find_steadily(snapshot, asked, k, fitting)
        runs.update(zip(places, found, strict=True))
    return [runs[place] for place in range(len(queries))]


def propose(
    snapshot: Snapshot,
    queries: Sequence[Query],
    depth: int,
    *,
    names: Sequence[Single],
    hybrid: Hybrid,
    allowed: Mask,
    first: int | None = None,
    exhaustive: bool = False,
) -> list[Proposal]:
    """For each query the `depth` best of each retriever, all scored by all retrievers.

    Args:
        names: the retrievers that take part.
        hybrid: the weights of roles and definitions.
        allowed: bool by passage id; None is all.
        first: propose and score only so many of those `depth`; None is all.
        exhaustive: compare with all stored vectors.
    """
    proposals: dict[int, Proposal] = {}
    for fitting, places in _by_what_fits(snapshot, queries, allowed):
        total = snapshot.passages if fitting is None else int(np.count_nonzero(fitting))
        asked = [queries[place] for place in places]
        deep = max(1, min(depth, total))
        finds = [SINGLE[name].find_exactly if exhaustive else SINGLE[name].find for name in names]
        found = _together([partial(find, snapshot, asked, deep, fitting) for find in finds])
        most = deep if first is None else min(first, deep)
        for place, query, *whole in zip(places, asked, *found, strict=True):
            runs = [run.first(most) for run in whole]
            ids = distinct(np.concatenate([run.ids for run in runs]))
            found_by = np.zeros((len(runs), len(ids)), np.bool_)
            for row, run in zip(found_by, runs, strict=True):
                row[np.searchsorted(ids, run.ids)] = True
            scoring: list[Callable[[], NDArray[Any]]] = [
                partial(_scores, name, snapshot, query, ids, run)
                for name, run in zip(names, whole, strict=True)
            ]
            scoring.append(partial(Standing(snapshot, query.text, hybrid).of, ids))
            *scores, standing = _together(scoring)
            proposals[place] = Proposal(
                ids,
                np.stack(scores),
                found_by,
                standing,
                total,
                np.array([run.rest(most) for run in whole], np.float32),
            )
    return [proposals[place] for place in range(len(queries))]


def _scores(
    name: Single, snapshot: Snapshot, query: Query, ids: NDArray[np.int64], run: Run
) -> NDArray[np.float32]:
    """A retriever's scores of passages, f32 [n]; `run` has those that it found itself."""
    scores = np.empty(len(ids), np.float32)
    places = places_in(ids, run.ids)
    known = places >= 0
    places = places[known]
    scores[places] = run.scores[known]
    unknown = np.ones(len(ids), np.bool_)
    unknown[places] = False
    if unknown.any():
        scores[unknown] = SINGLE[name].scores(snapshot, query, ids[unknown])
    return scores


def _together(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Run calls in parallel, as far as there are threads, starting with the last; their results."""
    found: dict[int, T] = {}

    def work(first: int, last: int) -> None:
        for place in range(first, last):
            found[place] = calls[-1 - place]()

    threads.spread(work, range(len(calls) + 1), threads.count(), purpose="search")
    return [found[place] for place in reversed(range(len(calls)))]


def _by_what_fits(
    snapshot: Snapshot, queries: Sequence[Query], allowed: Mask, *, words: bool = True
) -> Iterator[tuple[NDArray[np.bool_] | None, list[int]]]:
    """Group the queries' positions by the passages that satisfy their phrases and exclusions.

    Nearly all queries have neither phrases nor exclusions, and are answered together.

    Args:
        words: whether to check phrases and exclusions; lexical search does that itself.
    """
    lexical = snapshot.lexical
    plain = []
    for place, query in enumerate(queries):
        fitting = allowed
        if lexical is not None and words:
            fitting = lexical.fitting(query.text, allowed, snapshot.store.end)
        if fitting is allowed:
            plain.append(place)
        else:
            yield fitting, [place]
    if plain:
        yield allowed, plain
