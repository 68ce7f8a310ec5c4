"""How likely a passage answers a query, from 0 to 1, comparable across queries.

A retriever's scores depend on the query: how many words or tokens it has, how rare they are. Each
score relative to the most that the query allows, independent of other passages, goes into two
logistic models: how likely the passage is on the subject at all, and, if it is, how likely it
answers. Their product is the relevance. `relevance.json` has the coefficients, which
benchmarks/relevance.py fits on judged queries and on queries without an answer;
docs/decisions/relevance.md has the accuracy.

The encoder was calibrated on text in Latin letters. An encoder trained on those sees words of other
    scripts, signs and emoji as all alike: such queries are judged by BM25 alone.
"""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.index.reading.runs import Query, Ranking, Run
from retrieval.index.reading.searched import Searched
from retrieval.indexes import content_words, places_in, top_k

COEFFICIENTS = Path(__file__).with_suffix(".json")
"""The weight of each feature and a constant, for both models, by the retrievers that scored; and
the fingerprint of the encoder whose vectors they were fitted on."""

MOST_WORDS, MOST_PASSAGES = 64, 30_000
"""Larger numbers are clipped to these: the models were not fitted on more."""

_LOOKED_AT = 1000  # characters of a query
_LATIN = ("LATIN ", "DIGIT ")

Values = NDArray[np.float64]


def relevances(searched: Searched[Any], query: Query, ranking: Ranking) -> Values:
    """The relevance of each passage of a ranking, f64 [n], in its order.

    It never increases from rank to rank.

    Args:
        searched: the index that was searched.
        query: the prepared query.
        ranking: its ranking.
    """
    run, by = ranking.run, ranking.by()
    if not len(run):
        return np.empty(0, np.float64)
    fitted = _fitted()
    # For a query of only vectors the models' features are unknown.
    known = searched.settings.fingerprint == fitted["encoder"] and bool(query.text.strip())
    if known and not _is_latin(query.text):
        by = {"lexical": by["lexical"] if "lexical" in by else _by_words(searched, query, run)}
    found = features(searched, query, run, by)
    if known or set(by) == {"lexical"}:
        values = estimated(found, fitted["models"]["+".join(sorted(by))])
    else:
        # Cosines differ from encoder to encoder; uncalibrated ones are taken as they are.
        parts = [np.clip(found[name], 0.0, 1.0) for name in by if name != "lexical"]
        if "lexical" in by:
            parts.append(estimated(found, fitted["models"]["lexical"]))
        values = np.mean(parts, axis=0)
    return np.minimum.accumulate(values)


def features(
    searched: Searched[Any], query: Query, run: Run, by: Mapping[str, Run]
) -> Mapping[str, Values]:
    """The models' features, each f64 [n]: of the retrievers that took part, and of the query.

    lexical: the square root of the BM25 score relative to the query's ideal score
    dense: the cosine
    late: the weighted mean over the query's tokens of the best cosine
    words: the logarithm of how many words the encoder read, or the query has; a tenth of one if
        all are stop words
    passages: the logarithm of their number: with more of them, the best by chance is better
    """
    values: dict[str, Values] = {}
    words = content_words(query.read or query.text)
    for name, scored in by.items():
        own = _aligned(run, scored)
        if name == "lexical":
            ideal = searched.ideal(query) if words else 0.0
            own = np.sqrt(np.clip(own / ideal, 0.0, 1.0)) if ideal else np.zeros(len(run))
        elif name == "late" and query.tokens is not None:
            own = own / max(float(np.linalg.norm(query.tokens, axis=1).sum()), 1e-9)
        values[name] = own
    values["words"] = np.full(len(run), math.log(min(max(words, 0.1), MOST_WORDS)))
    passages = min(max(searched.passages, 1), MOST_PASSAGES)
    values["passages"] = np.full(len(run), math.log(passages))
    return values


def estimated(
    found: Mapping[str, NDArray[np.floating]], model: Mapping[str, Mapping[str, float]]
) -> Values:
    """P(on the subject) times P(answers | on the subject), f64 [n]."""
    return _logistic(found, model["on_subject"]) * _logistic(found, model["right"])


def _by_words(searched: Searched[Any], query: Query, run: Run) -> Run:
    scores = searched.scores("lexical", query, run.ids)
    return Run(*top_k(run.ids, scores, max(1, len(run)), searched.order))


def _is_latin(text: str) -> bool:
    """Whether more than half of its letters, digits and emoji are Latin letters and digits."""
    if text.isascii():  # the usual case; looking up character names is slow
        return any(sign.isalnum() for sign in text[:_LOOKED_AT])
    kinds = ((sign, unicodedata.category(sign)) for sign in text[:_LOOKED_AT])
    signs = [sign for sign, kind in kinds if kind[0] in "LN" or kind == "So"]
    known = sum(unicodedata.name(sign, "").startswith(_LATIN) for sign in signs)
    return 2 * known > len(signs)


def _aligned(run: Run, scored: Run) -> Values:
    """A retriever's scores of the run's passages, 0 where it has none."""
    values = np.zeros(len(run))
    if len(scored):
        order = np.argsort(scored.ids)
        places = places_in(scored.ids[order], run.ids)
        there = places >= 0
        values[there] = scored.scores[order[places[there]]]
    return values


def _logistic(found: Mapping[str, NDArray[np.floating]], weights: Mapping[str, float]) -> Values:
    total = np.full(len(found["words"]), weights["constant"])
    for name, weight in weights.items():
        if name != "constant":
            total += weight * found[name]
    values: Values = 1.0 / (1.0 + np.exp(-np.clip(total, -30.0, 30.0)))
    return values


@lru_cache(maxsize=1)
def _fitted() -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(COEFFICIENTS.read_text(encoding="utf-8"))
    return found
