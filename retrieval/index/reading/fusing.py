"""Hybrid search: all retrievers' candidates, scored by every retriever and fused to one ranking.

The number of candidates and the scale of their scores are determined by `Hybrid.candidates` alone.
    If more passages are wanted than were proposed, those of deeper searches come after them, on the
    same scale: so the first n are the same however many are wanted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial

import numpy as np

from retrieval.index.reading.retrievers import SINGLE, has_head
from retrieval.index.reading.runs import Proposal, Query, Ranking, Run
from retrieval.index.reading.searched import Allowed, Searched
from retrieval.indexes import Fusion, Runs, TieOrder, top_k
from retrieval.store import Settings
from retrieval.types import Hybrid, Single

_DEEPER = 4


def fused(
    searched: Searched[Allowed], queries: Sequence[Query], k: int, allowed: Allowed, hybrid: Hybrid
) -> list[Ranking]:
    """For each query at least the k best passages, or all that are found."""
    names = retrievers(searched.settings, hybrid)
    passes: list[list[Proposal]] = [[] for _ in queries]
    rankings: dict[int, Ranking] = {}
    short, depth = list(range(len(queries))), hybrid.candidates
    while short:
        asked = [queries[place] for place in short]
        proposals = searched.propose(asked, depth, names, hybrid, allowed)
        left = []
        for place, proposal in zip(short, proposals, strict=True):
            passes[place].append(proposal)
            ranking = combine(passes[place], names, hybrid, searched.order)
            rankings[place] = ranking
            if len(ranking.run) < k and depth < proposal.total:
                left.append(place)
        short, depth = left, _DEEPER * depth
    return [rankings[place] for place in range(len(queries))]


def retrievers(settings: Settings, hybrid: Hybrid) -> list[Single]:
    """The retrievers that have a weight and whose head the index's encoder has."""
    weights = hybrid.weights
    return [name for name in SINGLE if weights[name] and has_head(settings, name)]


def combine(
    passes: Sequence[Proposal], names: Sequence[Single], hybrid: Hybrid, ties: TieOrder
) -> Ranking:
    """Fuse everything that was proposed for a query to one ranking.

    Args:
        passes: proposals of ever deeper searches. The first sets the scale; new passages of a later
            one come after all earlier ones.
        names: the retrievers, in the order of the proposals' rows.
        hybrid: how their scores are fused.
        ties: the order of passages with equal scores.
    """
    run = Run(np.empty(0, np.int64), np.empty(0, np.float64))
    parts: list[Proposal] = []
    fusion: Fusion | None = None
    spread = 0.0
    for proposal in passes:
        new = proposal.at(~np.isin(proposal.ids, run.ids)) if len(run) else proposal
        count = max(1, len(new.ids))
        scored: Runs = {
            name: (new.ids, scores) for name, scores in zip(names, new.scores, strict=True)
        }
        first = fusion is None
        if fusion is None:
            fusion = Fusion(scored, method=hybrid.fusion, weights=hybrid.weights)
        ids, scores = fusion.fuse(scored)
        if first and len(scores):
            # Where all scores are equal, the role alone decides, whatever its share.
            spread = float(scores[0] - scores[-1]) or abs(float(scores[0])) or 1.0
        scores = scores + spread * new.standing[np.searchsorted(new.ids, ids)]
        run = run.followed_by(Run(*top_k(ids, scores, count, ties)))
        parts.append(new)
    return Ranking(run, cache(partial(_runs, parts, names, ties)))


def _runs(parts: Sequence[Proposal], names: Sequence[Single], ties: TieOrder) -> dict[str, Run]:
    """Each retriever's run over proposals that share no passage, one after the other."""
    by: dict[str, Run] = {}
    for part in parts:
        for name, scores in zip(names, part.scores, strict=True):
            # Passages that it would not find all tie, and their order does not matter.
            own = SINGLE[name].matched(Run(part.ids, scores))
            ranked = Run(*top_k(own.ids, own.scores, max(1, len(part.ids)), ties))
            by[name] = _joined(by[name], ranked) if name in by else ranked
    return by


def best_of(proposed: Proposal, depth: int, ties: TieOrder) -> Proposal:
    """Reduce the proposals of all shards of a collection to those of a single index.

    These are, for each retriever, the best of all shards.

    Args:
        proposed: the proposals of all shards, in the order of the ids.
        depth: how many are kept of each retriever.
        ties: the order of passages with equal scores.
    """
    best = np.zeros_like(proposed.found)
    for row, (scores, found) in enumerate(zip(proposed.scores, proposed.found, strict=True)):
        places = np.flatnonzero(found)
        values = scores[places]
        if len(places) > depth:
            bound = np.partition(values, len(values) - depth)[len(values) - depth]
            places = places[values >= bound]
        if len(places) > depth:  # several tie for the last place
            kept, _ = top_k(proposed.ids[places], scores[places], depth, ties)
            places = np.searchsorted(proposed.ids, kept)
        best[row, places] = True
    chosen = np.flatnonzero(best.any(axis=0))
    return replace(proposed.at(chosen), found=best[:, chosen])


def _joined(run: Run, deeper: Run) -> Run:
    return Run(np.concatenate([run.ids, deeper.ids]), np.concatenate([run.scores, deeper.scores]))
