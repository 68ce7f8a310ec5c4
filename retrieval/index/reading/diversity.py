"""Maximal marginal relevance: passages that answer a query but differ from those ranked before.

Carbonell and Goldstein, 1998: the next passage is the one with the largest (1 - d) * relevance - d
    * its largest similarity to one already chosen. Relevance is the score, scaled to the range from
    0 to 1; similarity is the cosine of dense vectors, 0 where it is negative. So the values of the
    chosen passages never increase.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from retrieval.index.reading.runs import Run
from retrieval.index.reading.searched import Searched

CHOSEN_FROM = 100
"""Number of best passages that are reordered; the others follow them."""


def diverse(searched: Searched[Any], run: Run, diversity: float) -> Run:
    """The run with its best reordered, and scored, by maximal marginal relevance.

    Args:
        searched: has the dense vectors; a passage without one has similarity 0 to all others.
        run: a ranking.
        diversity: d, from 0 to 1.
    """
    best = run.first(CHOSEN_FROM)
    if len(best) < 2:
        return run
    spread = float(best.scores[0] - best.scores[-1])
    relevance = (best.scores - best.scores[-1]) / spread if spread > 0 else np.ones(len(best))
    vectors = searched.mean_vectors(best.ids)
    alike = np.clip(vectors @ vectors.T, 0.0, 1.0)
    nearest = np.zeros(len(best))
    left = np.ones(len(best), bool)
    order, values = [], []
    for _ in range(len(best)):
        worth = np.where(left, (1 - diversity) * relevance - diversity * nearest, -np.inf)
        chosen = int(np.argmax(worth))  # ties go to the better-ranked one
        order.append(chosen)
        values.append(worth[chosen])
        left[chosen] = False
        nearest = np.maximum(nearest, alike[chosen])
    return Run(best.ids[order], np.array(values)).followed_by(run)
