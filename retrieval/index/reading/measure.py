"""Measuring what a search's approximations cost on an index's own passages.

For late interaction three rankings are compared for each query: the search as it is; the exhaustive
    one, which scores every passage from its stored vectors; and the exact one, which encodes the
    exhaustive ranking's best passages again and scores them by vectors in 32-bit floats, neither
    compressed nor pooled. Dense and hybrid search are compared with exhaustive ones.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import InputError
from retrieval.index import vectors
from retrieval.index.encoder import EncoderSlot
from retrieval.index.reading import rescoring, search
from retrieval.index.reading.fusing import combine, retrievers
from retrieval.index.reading.proposing import propose
from retrieval.index.reading.retrievers import Dense
from retrieval.index.reading.runs import Query, Run
from retrieval.index.reading.search import Request
from retrieval.index.reading.searched_snapshot import SearchedSnapshot
from retrieval.index.reading.sizes import bytes_by_part
from retrieval.index.reading.snapshot import Snapshot
from retrieval.indexes import LateSearcher
from retrieval.numeric import is_whole, plain_number
from retrieval.types import ProgressCallback, ProgressUpdate

QUERY_WORDS = 32
"""Maximum words of a sentence that serves as a query."""

_SEED = 0
_SAME = 1e-5  # difference of equal scores through the order of summation
_SENTENCE = re.compile(r"[^.!?\n]*\w[^.!?\n]*[.!?]?")

Vectors = NDArray[np.float32]
Found = tuple[NDArray[np.int64], NDArray[np.floating]]
"""Passage ids i64 [h] and their scores f32 [h], best first."""


@dataclass(frozen=True, slots=True)
class MeasureReport:
    """What a search by late interaction finds and costs, compared with an exact one.

    Attributes:
        queries: number of queries.
        drawn: whether they were drawn from the passages, because none were given.
        k: how many passages are compared for each query.
        depth: how many of the exhaustive search's best are encoded again.
        passages: number of passages that can be found.
        regimes: how many of them are in each regime, as in IndexStatus.
        tokens: number of stored token vectors.
        bytes_per_token: bytes on disk per token vector, all files of late interaction included.
        recall_at_k: share of the exhaustive search's k best that are among the search's k best.
        recall_at_depth: the same for its `depth` best.
        float_recall_at_k: share of the exact ranking's k best among the search's k best.
        p50_ms, p95_ms: time of a search for k passages, without encoding the query.
        exhaustive_p50_ms, exhaustive_p95_ms: time of an exhaustive search.
        dense_recall_at_k: share of the k best by exhaustive dense search that dense search finds;
            None, like its times, without a dense head.
        hybrid_recall_at_k: share of the k best of hybrid search, with all its retrievers
            exhaustive, that hybrid search finds.
        hybrid_p50_ms, hybrid_p95_ms: time of a hybrid search, without encoding the query.
        found: for each ranking, `search`, `exhaustive` and `float`, and each query: score by
            document id of its `depth` best passages; a document has its best passage's score.
    """

    queries: int
    drawn: bool
    k: int
    depth: int
    passages: int
    regimes: Mapping[str, int]
    tokens: int
    bytes_per_token: float
    recall_at_k: float
    recall_at_depth: float
    float_recall_at_k: float
    p50_ms: float
    p95_ms: float
    exhaustive_p50_ms: float
    exhaustive_p95_ms: float
    dense_recall_at_k: float | None
    dense_p50_ms: float | None
    dense_p95_ms: float | None
    hybrid_recall_at_k: float
    hybrid_p50_ms: float
    hybrid_p95_ms: float
    found: Mapping[str, Sequence[Mapping[str, float]]]


@dataclass(frozen=True, slots=True)
class _Answers:
    """The results of one query; `times` are the seconds of `search` and of `exhaustive`.

    `search` has the k best, `deep` the same search's `depth` best, `exhaustive` as many as that.
    """

    search: Found
    deep: Found
    exhaustive: Found
    times: tuple[float, float]


def measure(
    snapshot: Snapshot,
    slot: EncoderSlot,
    queries: Sequence[str] | None,
    *,
    k: int,
    sample: int,
    depth: int,
    progress: ProgressCallback | None,
) -> MeasureReport:
    """Run every query in all three ways; see `Index.measure`."""
    for name, value in (("sample", sample), ("depth", depth)):
        if not is_whole(value) or value < 1:
            raise InputError(f"{name}={value!r} measures nothing; give a whole number from 1 on")
    k, sample, depth = plain_number(k), plain_number(sample), plain_number(depth)
    if isinstance(queries, str):
        raise InputError(f"one query, {queries!r}, was given; give a list of them")
    for query in queries or ():
        problem = search.query_problem(query)
        if problem is not None:
            raise InputError(problem)
    search.check(snapshot.store.settings, queries or (), Request(k, "late"))
    if not snapshot.passages:
        raise InputError(f"the index at {snapshot.store.folder} is empty; add documents first")
    drawn = queries is None
    with snapshot.guarded():
        texts = list(_drawn(snapshot, sample) if queries is None else queries)
    if not texts:
        wanted = "add some with words" if drawn else "give at least one"
        raise InputError(f"there is no query to measure with; {wanted}")
    prepared = search.prepare(SearchedSnapshot(snapshot), slot, texts, "late")
    tokens = [query.tokens for query in prepared if query.tokens is not None]
    depth = max(k, depth)
    with snapshot.guarded():
        answers = _ask(snapshot.late, snapshot.allowed(None), tokens, k, depth, progress)
        hybrid_recall, hybrid_p50, hybrid_p95 = _ask_hybrid(snapshot, prepared, k, progress)
        candidates = [a.exhaustive[0] for a in answers]
        scores = rescoring.scores(snapshot, slot.get(), tokens, candidates, progress)
        exact = [_sorted(*found) for found in zip(candidates, scores, strict=True)]
        documents = _documents(snapshot, answers)
        dense_recall, dense_p50, dense_p95 = _ask_dense(snapshot, prepared, k)
    rankings = {
        "search": [a.deep for a in answers],
        "exhaustive": [a.exhaustive for a in answers],
        "float": exact,
    }
    times = np.array([a.times for a in answers]) * 1000
    (p50, exhaustive_p50), (p95, exhaustive_p95) = np.percentile(times, (50, 95), axis=0)
    stored, size = _stored(snapshot)
    return MeasureReport(
        queries=len(texts),
        drawn=drawn,
        k=k,
        depth=depth,
        passages=snapshot.passages,
        regimes=regimes(snapshot),
        tokens=stored,
        bytes_per_token=size / max(stored, 1),
        recall_at_k=_mean(_recall(a.search, a.exhaustive, k) for a in answers),
        recall_at_depth=_mean(_recall(a.deep, a.exhaustive, depth) for a in answers),
        float_recall_at_k=_mean(
            _recall(a.search, best, k) for a, best in zip(answers, exact, strict=True)
        ),
        p50_ms=float(p50),
        p95_ms=float(p95),
        exhaustive_p50_ms=float(exhaustive_p50),
        exhaustive_p95_ms=float(exhaustive_p95),
        dense_recall_at_k=dense_recall,
        dense_p50_ms=dense_p50,
        dense_p95_ms=dense_p95,
        hybrid_recall_at_k=hybrid_recall,
        hybrid_p50_ms=hybrid_p50,
        hybrid_p95_ms=hybrid_p95,
        found={
            name: [_by_document(ranking, documents) for ranking in found]
            for name, found in rankings.items()
        },
    )


def regimes(snapshot: Snapshot) -> dict[str, int]:
    """How many living passages late interaction searches in each regime."""
    alive = snapshot.allowed(None)
    found: dict[str, int] = {}
    for segment in snapshot.vectors:
        if segment.late is not None:
            living = len(segment.late.rows(alive))
            found[segment.late.regime] = found.get(segment.late.regime, 0) + living
    return found


def _drawn(snapshot: Snapshot, count: int) -> list[str]:
    """Sentences of `count` passages, deterministic for an index; passages without words give none.

    One sentence per passage, cut to its first words.
    """
    rng = random.Random(_SEED)
    ids = snapshot.store.passage_ids().tolist()
    chosen = rng.sample(ids, min(count, len(ids)))
    texts = snapshot.store.passage_texts(snapshot.store.passages(chosen).values())
    queries = []
    for id in chosen:
        text = texts[id]
        sentences = [match[0].split() for match in _SENTENCE.finditer(text)]
        # Headings and fragments say little; they are used only if a passage has nothing else.
        sentences = [words for words in sentences if len(words) >= 4] or sentences
        if sentences:
            queries.append(" ".join(rng.choice(sentences)[:QUERY_WORDS]))
    return queries


def _ask(
    late: LateSearcher,
    allowed: NDArray[np.bool_] | None,
    queries: Sequence[Vectors],
    k: int,
    depth: int,
    progress: ProgressCallback | None,
) -> list[_Answers]:
    """Search for each query on its own, timed, and exhaustively."""

    def tell(done: int) -> None:
        if progress is not None:
            progress(ProgressUpdate("searching", done, len(queries), "queries"))

    late.search(queries[:1], k, allowed)  # the first one reads from the disk
    answers = []
    for place, query in enumerate(queries):
        tell(place)
        started = time.perf_counter()
        (best,) = late.search([query], k, allowed)
        searched = time.perf_counter()
        (every,) = late.search([query], depth, allowed, exhaustive=True)
        ended = time.perf_counter()
        (deep,) = late.search([query], depth, allowed)
        answers.append(_Answers(best, deep, every, (searched - started, ended - searched)))
    tell(len(queries))
    return answers


def _ask_dense(
    snapshot: Snapshot, queries: Sequence[Query], k: int
) -> tuple[float | None, float | None, float | None]:
    """The recall of dense search, and the 50th and 95th percentile of its milliseconds."""
    if any(query.dense is None for query in queries):
        return None, None, None
    retriever, allowed = Dense(), snapshot.allowed(None)

    def found(query: Query) -> Run:
        return retriever.find_steadily(snapshot, [query], k, allowed)[0]

    def best(query: Query) -> Run:
        return retriever.find_exactly(snapshot, [query], k, allowed)[0]

    return _compared(queries, k, found, best)


def _ask_hybrid(
    snapshot: Snapshot, queries: Sequence[Query], k: int, progress: ProgressCallback | None
) -> tuple[float, float, float]:
    """The recall of hybrid search, and the 50th and 95th percentile of its milliseconds."""
    hybrid, allowed = search.HYBRID, snapshot.allowed(None)
    names = retrievers(snapshot.store.settings, hybrid)
    done = 0

    def fused(query: Query, *, exhaustive: bool) -> Run:
        proposals = propose(
            snapshot,
            [query],
            max(k, hybrid.candidates),
            names=names,
            hybrid=hybrid,
            allowed=allowed,
            exhaustive=exhaustive,
        )
        return combine(proposals, names, hybrid, snapshot.order).run

    def best(query: Query) -> Run:
        nonlocal done
        if progress is not None:
            progress(ProgressUpdate("searching", done, len(queries), "queries"))
        done += 1
        return fused(query, exhaustive=True)

    return _compared(queries, k, partial(fused, exhaustive=False), best)


def _compared(
    queries: Sequence[Query],
    k: int,
    find: Callable[[Query], Run],
    find_exactly: Callable[[Query], Run],
) -> tuple[float, float, float]:
    """The recall of a search, and the 50th and 95th percentile of its milliseconds."""
    find(queries[0])  # the first one reads from the disk
    recalls, times = [], []
    for query in queries:
        started = time.perf_counter()
        found = find(query)
        times.append(1000 * (time.perf_counter() - started))
        best = find_exactly(query)
        recalls.append(_recall((found.ids, found.scores), (best.ids, best.scores), k))
    p50, p95 = np.percentile(times, (50, 95)).tolist()
    return _mean(recalls), p50, p95


def _documents(snapshot: Snapshot, answers: Sequence[_Answers]) -> dict[int, str]:
    """The document ids of all passages that were found, by passage id."""
    ids = np.unique(
        np.concatenate([part for a in answers for part in (a.deep[0], a.exhaustive[0])])
    )
    rows = snapshot.store.passages(ids.tolist())
    names = snapshot.store.documents(sorted({row.document for row in rows.values()}))
    return {id: names[row.document].id for id, row in rows.items()}


def _stored(snapshot: Snapshot) -> tuple[int, int]:
    """How many token vectors are stored, and the bytes of late interaction's files."""
    tokens = 0
    for segment in snapshot.vectors:
        if segment.late is not None:
            tokens += segment.late.tokens
    return tokens, bytes_by_part(snapshot.store)[vectors.LATE]


def _sorted(ids: NDArray[np.int64], scores: NDArray[np.float32]) -> Found:
    order = np.lexsort((ids, -scores))
    return ids[order], scores[order]


def _recall(found: Found, best: Found, k: int) -> float:
    """Share of the k best that are among the first k found; equal scores count as found."""
    ids, scores = best
    wanted = min(k, len(ids))
    if not wanted:
        return 1.0
    least = scores[wanted - 1]
    good = ids[scores >= least - _SAME * max(1.0, abs(float(least)))]
    return min(wanted, int(np.isin(found[0][:k], good).sum())) / wanted


def _by_document(ranking: Found, documents: Mapping[int, str]) -> dict[str, float]:
    scores: dict[str, float] = {}
    for id, score in zip(ranking[0].tolist(), ranking[1].tolist(), strict=True):
        scores.setdefault(documents[id], score)  # the first is the best
    return scores


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
