"""How likely a passage answers a query, from 0 to 1, to be compared across queries.

A retriever's scores depend on the query: how many words or tokens it has, how rare they are. What
each is of the most that the query allows, and nothing that depends on other passages, goes into a
logistic model. `relevance.json` holds its coefficients, which benchmarks/relevance.py fits on
judged queries and on such that were asked of the wrong collection; docs/decisions/relevance.md
says how well that tells them apart.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.index.reading.runs import Query, Run
from retrieval.index.reading.snapshot import Snapshot

COEFFICIENTS = Path(__file__).with_suffix(".json")
"""By the retrievers that scored, the weight of each feature and a constant; and the fingerprint of
the encoder whose vectors they were fitted on."""

Values = NDArray[np.float64]


def relevances(snapshot: Snapshot, query: Query, run: Run, by: Mapping[str, Run]) -> Values:
    """The relevance of each passage of a ranking, f64 [n], in its order.

    It falls from rank to rank: a passage is no more relevant than one before it.

    Args:
        snapshot: where the query was asked.
        query: as the retrievers took it.
        run: the ranking.
        by: what each retriever that took part scored.
    """
    if not len(run):
        return np.empty(0, np.float64)
    found = features(snapshot, query, run, by)
    fitted = _fitted()
    known = snapshot.store.settings.fingerprint == fitted["encoder"]
    if known or set(by) == {"lexical"}:
        values = _logistic(found, fitted["models"]["+".join(sorted(by))])
    else:
        # Cosines mean other things with every encoder: uncalibrated, each counts as it is.
        parts = [np.clip(found[name], 0.0, 1.0) for name in by if name != "lexical"]
        if "lexical" in by:
            parts.append(_logistic(found, fitted["models"]["lexical"]))
        values = np.mean(parts, axis=0)
    return np.minimum.accumulate(values)


def features(
    snapshot: Snapshot, query: Query, run: Run, by: Mapping[str, Run]
) -> Mapping[str, Values]:
    """What the model looks at, each f64 [n]: of the retrievers that took part, and of the query.

    lexical: the root of what BM25 gave of what all the query's words are worth
    dense: the cosine
    late: the mean over the query's tokens, by what they count, of the best cosine
    words: the logarithm of how many words the query has
    passages: the logarithm of how many there are: the more, the better the best by chance is
    """
    values: dict[str, Values] = {}
    ideal, words = snapshot.lexical.ideal(query.text) if snapshot.lexical else (0.0, 0.0)
    for name, scored in by.items():
        own = _aligned(run, scored)
        if name == "lexical":
            own = np.sqrt(np.maximum(own, 0.0) / ideal) if ideal else np.zeros(len(run))
        elif name == "late" and query.tokens is not None:
            own = own / max(float(np.linalg.norm(query.tokens, axis=1).sum()), 1e-9)
        values[name] = own
    values["words"] = np.full(len(run), math.log(max(words, 1.0)))
    values["passages"] = np.full(len(run), math.log(max(snapshot.passages, 1)))
    return values


def _aligned(run: Run, scored: Run) -> Values:
    """A retriever's scores of the run's passages, 0 where it gave none."""
    values = np.zeros(len(run))
    if len(scored):
        order = np.argsort(scored.ids)
        places = np.minimum(np.searchsorted(scored.ids, run.ids, sorter=order), len(scored) - 1)
        at = order[places]
        there = scored.ids[at] == run.ids
        values[there] = scored.scores[at[there]]
    return values


def _logistic(found: Mapping[str, Values], model: Mapping[str, float]) -> Values:
    total = np.full(len(found["words"]), model["constant"])
    for name, weight in model.items():
        if name != "constant":
            total += weight * found[name]
    values: Values = 1.0 / (1.0 + np.exp(-np.clip(total, -30.0, 30.0)))
    return values


@lru_cache(maxsize=1)
def _fitted() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(COEFFICIENTS.read_text(encoding="utf-8"))
    return found
