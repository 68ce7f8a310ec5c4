"""Maximal marginal relevance: passages that answer a query and are unlike those before them.

Carbonell and Goldstein, 1998: the next is the one of the largest (1 - d) * relevance - d * the
largest similarity to one that was chosen. Relevance is the score, moved to the range from 0 to 1;
similarity is the cosine of dense vectors, 0 where it is negative. So chosen values never rise.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from retrieval.index.reading.runs import Run
from retrieval.index.reading.searched import Searched

CHOSEN_FROM = 100
"""Of so many best passages those that are unlike each other come first; the others follow them."""


def diverse(searched: Searched[Any], run: Run, diversity: float) -> Run:
    """The run with its best in the order of maximal marginal relevance, whose values score them.

    Args:
        searched: whose dense vectors are compared; a passage without one is like no other.
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
        chosen = int(np.argmax(worth))  # of equal ones the one that was before
        order.append(chosen)
        values.append(worth[chosen])
        left[chosen] = False
        nearest = np.maximum(nearest, alike[chosen])
    return Run(best.ids[order], np.array(values)).then(run)
