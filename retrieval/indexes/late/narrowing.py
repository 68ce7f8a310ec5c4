"""From all allowed passages of the compressed segments to the few that are scored exactly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from retrieval.indexes.late.candidates import Table, listed, probe, scan, table
from retrieval.indexes.late.compressed import CompressedSegment
from retrieval.indexes.late.query import LateQuery

Found = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Passage ids i64 [h] and scores f32 [h]."""

CANDIDATES = 512
"""How many passages are scored exactly at first by default. If no more match, all are scored; if a
few times as many match, as with a filter, one eighth."""

SURE = 10
"""So many of the best passages are looked for until another one among them is unlikely. The number
of results wanted plays no part, so that the first ten do not depend on it."""

DEVIATIONS = 5.0
"""A passage is unlikely to be among them if its exact score would have to exceed its approximate
one by more than the mean of those already scored plus so many standard deviations. Query words that
no centroid represents well make the best passages such outliers."""

MOST = 4096
"""Maximum number of passages scored exactly by default, unless more results are wanted."""

FINE = 1 << 14
"""Number of centroids for which `CANDIDATES` is enough. With half as many centroids, twice as many
passages are scored exactly, and so on. A codec trained on the first thousand passages has a
quarter; it ranks some thousands of passages so poorly that all of them are decoded."""

CANDIDATE_TOKENS = 1 << 14
"""Short passages are closer to each other and cheaper to score: of those, as many are scored
exactly as have this many tokens together."""

_LEAST = 128

SCANNED = 50_000
"""Up to this many allowed passages, the centroids of every one are looked at, even where there are
lists. At twice as many, a search by lists takes two thirds of the time (measured)."""

LISTED = 4096
"""Minimum number of passages that the lists of the segments of one codec propose."""

_TOGETHER = 16  # queries that share a pass over the codes; each has a table of up to 2 MB


def narrow(
    segments: Sequence[CompressedSegment],
    queries: Sequence[LateQuery],
    k: int,
    depth: int | None,
    allowed: NDArray[np.bool_] | None,
    *,
    patient: bool,
) -> Iterator[tuple[int, Found]]:
    """The best candidates of all segments together, scored exactly, with the query's index.

    Args:
        segments: of one dimension.
        queries: each of at least one token.
        k: how many passages are wanted; if lists propose fewer, all are looked at.
        depth: how many are scored exactly, at least k; None chooses a good default.
        allowed: bool by passage id; None allows all.
        patient: without a `depth`, go on for queries that need more.
    """
    chosen = [(segment, segment.rows(allowed)) for segment in segments]
    chosen = [(segment, rows) for segment, rows in chosen if len(rows)]
    total = sum(len(rows) for _, rows in chosen)
    limits = _Limits(depth, depth, depth) if depth else _default(segments, total, k, patient)
    limits = replace(limits, least=max(k, limits.least), most=max(k, limits.most))
    if total <= limits.least:
        for place, query in enumerate(queries):
            for segment, rows in chosen:
                yield place, (segment.ids[rows], segment.max_sim(query, rows))
        return
    for first in range(0, len(queries), _TOGETHER):
        part = queries[first : first + _TOGETHER]
        proposals = _proposals(chosen, part, k, limits, lists=total > SCANNED)
        for place, (query, proposed) in enumerate(zip(part, proposals, strict=True), first):
            for found in _scored(query, proposed, limits):
                yield place, found


@dataclass(frozen=True, slots=True)
class _Limits:
    """How many passages are scored exactly.

    Attributes:
        step: after so many, and again when their number has doubled, more may be unlikely to be
            needed.
        least: so many in any case.
        most: never more.
    """

    step: int
    least: int
    most: int


def _default(segments: Sequence[CompressedSegment], total: int, k: int, patient: bool) -> _Limits:
    """The limits where the caller sets none, for `total` allowed passages."""
    tokens = sum(segment.tokens for segment in segments)
    passages = sum(len(segment.ids) for segment in segments)
    short = max(CANDIDATES, CANDIDATE_TOKENS * passages // max(tokens, 1))
    few = min(short, total // 8)
    least = max(8 * k, _LEAST, int(_coarseness(segments) * few))
    # Choosing two thirds of them takes as long as decoding all. Choosing a sixth takes a third as
    # long, but where so many are worth decoding, centroids rank them so poorly that some of the
    # best are missed (measured).
    if total <= CANDIDATES or 6 * least >= total:
        return _Limits(total, total, total)
    if not patient:
        return _Limits(least, least, least)
    step = max(_LEAST, few)
    return _Limits(step, max(8 * k, step), max(least, MOST))


def _coarseness(segments: Sequence[CompressedSegment]) -> float:
    """Factor, at least 1, by which these need more candidates than with `FINE` centroids."""
    tokens = sum(segment.tokens for segment in segments)
    centroids = sum(segment.tokens * len(segment.narrowing.centroids) for segment in segments)
    return max(1.0, FINE * tokens / max(1, centroids))


_Proposal = tuple[CompressedSegment, NDArray[np.int64], NDArray[np.float32]]
"""A segment, rows of it i64 [r] and their approximate scores f32 [r]."""


def _proposals(
    chosen: Sequence[tuple[CompressedSegment, NDArray[np.int64]]],
    queries: Sequence[LateQuery],
    k: int,
    limits: _Limits,
    *,
    lists: bool,
) -> list[list[_Proposal]]:
    """For each query, each segment's best rows by approximate score, at most `limits.most`."""
    found: list[list[_Proposal]] = [[] for _ in queries]
    for key in dict.fromkeys(segment.narrowing.key for segment, _ in chosen):
        # Segments that share a codec share its tables.
        members = [one for one in chosen if one[0].narrowing.key == key]
        tables = [table(query, members[0][0].narrowing) for query in queries]
        by_lists = [one for one in members if lists and one[0].lists is not None]
        for segment, rows in members:
            if not (lists and segment.lists is not None):
                for place, (best, scores) in enumerate(scan(segment, tables, rows, limits.most)):
                    found[place].append((segment, best, scores))
        for place, one in enumerate(tables):
            for segment, rows in _listed(by_lists, one, k, max(LISTED, 4 * limits.least)):
                ((best, scores),) = scan(segment, [one], rows, limits.most)
                found[place].append((segment, best, scores))
    return found


def _listed(
    segments: Sequence[tuple[CompressedSegment, NDArray[np.int64]]],
    query: Table,
    k: int,
    count: int,
) -> list[tuple[CompressedSegment, NDArray[np.int64]]]:
    """The best `count` rows of segments of one codec by their lists, all of them together."""
    if not segments:
        return []
    probes = probe(query)
    named = [listed(segment, probes, _mask(segment, rows), count) for segment, rows in segments]
    sums = np.concatenate([sums for _, sums in named])
    if len(sums) < k:  # lists with too few passages say nothing about the others
        return list(segments)
    bound = 0
    if len(sums) > count:
        bound = int(np.partition(sums, len(sums) - count)[len(sums) - count])
    return [
        (segment, np.sort(rows[sums >= bound]))
        for (segment, _), (rows, sums) in zip(segments, named, strict=True)
    ]


def _scored(query: LateQuery, proposals: Sequence[_Proposal], limits: _Limits) -> Iterator[Found]:
    """The best proposals of all segments, scored exactly, until another one among the `SURE` best
    is unlikely."""
    approximate = np.concatenate([scores for _, _, scores in proposals])
    order = np.argsort(-approximate, kind="stable")[: limits.most]
    ends = np.cumsum([len(rows) for _, rows, _ in proposals])
    exact = gaps = np.empty(0, np.float32)
    done = 0
    while done < len(order):
        # So far as `least` allows, this does not depend on it: more results do not change the best.
        enough = done and approximate[order[done]] + _likely(gaps) < _last_of_best(exact)
        part = order[done : limits.least if enough else max(limits.step, 2 * done)]
        for (segment, rows, scores), end in zip(proposals, ends, strict=True):
            mine = part[(part >= end - len(rows)) & (part < end)] - (end - len(rows))
            mine = mine[np.argsort(rows[mine])]  # so that neighbours are read together
            if len(mine):
                found = segment.max_sim(query, rows[mine])
                yield segment.ids[rows[mine]], found
                exact = np.concatenate([exact, found])
                gaps = np.concatenate([gaps, found - scores[mine]])
        if enough:
            return
        done += len(part)


def _likely(gaps: NDArray[np.float32]) -> float:
    """The most by which an exact score is likely to exceed the approximate one."""
    return float(gaps.mean() + DEVIATIONS * gaps.std())


def _last_of_best(exact: NDArray[np.float32]) -> float:
    """The lowest of the `SURE` best scores; minus infinity if there are fewer."""
    if len(exact) < SURE:
        return -np.inf
    return float(np.partition(exact, len(exact) - SURE)[len(exact) - SURE])


def _mask(segment: CompressedSegment, rows: NDArray[np.int64]) -> NDArray[np.bool_] | None:
    if len(rows) == len(segment):
        return None
    mask = np.zeros(len(segment), np.bool_)
    mask[rows] = True
    return mask
