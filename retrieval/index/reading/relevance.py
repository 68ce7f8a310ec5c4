"""How likely a passage answers a query, from 0 to 1, to be compared across queries.

A retriever's scores depend on the query: how many words or tokens it has, how rare they are. What
each is of the most that the query allows, and nothing that depends on other passages, goes into two
logistic models: how likely the passage is on what is asked about at all, and, if it is, how likely
it answers. Their product is the relevance. `relevance.json` holds the coefficients, which
benchmarks/relevance.py fits on judged queries and on such that were asked in vain;
docs/decisions/relevance.md says how often it is right.

The encoder was calibrated on text in Latin letters. To one that was trained on those, words of
another script, signs and emoji are all alike: such queries are judged by what BM25 gave.
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

from retrieval.index.reading.runs import Query, Run
from retrieval.index.reading.searched import Searched
from retrieval.indexes import content_words, places_in, top_k

COEFFICIENTS = Path(__file__).with_suffix(".json")
"""By the retrievers that scored, the weight of each feature and a constant, of both models; and the
fingerprint of the encoder whose vectors they were fitted on."""

MOST_WORDS, MOST_PASSAGES = 64, 30_000
"""More of either count as so many: the models were fitted on none larger."""

_LOOKED_AT = 1000  # characters of a query
_LATIN = ("LATIN ", "DIGIT ")

Values = NDArray[np.float64]


def relevances(searched: Searched[Any], query: Query, run: Run, by: Mapping[str, Run]) -> Values:
    """The relevance of each passage of a ranking, f64 [n], in its order.

    It falls from rank to rank: a passage is no more relevant than one before it.

    Args:
        searched: where the query was asked.
        query: as the retrievers took it.
        run: the ranking.
        by: what each retriever that took part scored.
    """
    if not len(run):
        return np.empty(0, np.float64)
    fitted = _fitted()
    # Of a query that is vectors alone nothing is known that the models look at.
    known = searched.settings.fingerprint == fitted["encoder"] and bool(query.text.strip())
    if known and not _is_latin(query.text):
        by = {"lexical": by["lexical"] if "lexical" in by else _by_words(searched, query, run)}
    found = features(searched, query, run, by)
    if known or set(by) == {"lexical"}:
        values = estimated(found, fitted["models"]["+".join(sorted(by))])
    else:
        # Cosines mean other things with every encoder: uncalibrated, each counts as it is.
        parts = [np.clip(found[name], 0.0, 1.0) for name in by if name != "lexical"]
        if "lexical" in by:
            parts.append(estimated(found, fitted["models"]["lexical"]))
        values = np.mean(parts, axis=0)
    return np.minimum.accumulate(values)


def features(
    searched: Searched[Any], query: Query, run: Run, by: Mapping[str, Run]
) -> Mapping[str, Values]:
    """What the models look at, each f64 [n]: of the retrievers that took part, and of the query.

    lexical: the root of what BM25 gave of what all the query's words are worth
    dense: the cosine
    late: the mean over the query's tokens, by what they count, of the best cosine
    words: the logarithm of how many words the encoder read, or the query has; a tenth of one if
        all are stop words
    passages: the logarithm of how many there are: the more, the better the best by chance is
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
    """On the subject, times right if it is on the subject; f64 [n]."""
    return _logistic(found, model["on_subject"]) * _logistic(found, model["right"])


def _by_words(searched: Searched[Any], query: Query, run: Run) -> Run:
    scores = searched.scores("lexical", query, run.ids)
    return Run(*top_k(run.ids, scores, max(1, len(run)), searched.order))


def _is_latin(text: str) -> bool:
    """Whether more than half of its letters, digits and emoji are Latin letters and digits."""
    if text.isascii():  # which most are: names of signs take a while
        return any(sign.isalnum() for sign in text[:_LOOKED_AT])
    kinds = ((sign, unicodedata.category(sign)) for sign in text[:_LOOKED_AT])
    signs = [sign for sign, kind in kinds if kind[0] in "LN" or kind == "So"]
    known = sum(unicodedata.name(sign, "").startswith(_LATIN) for sign in signs)
    return 2 * known > len(signs)


def _aligned(run: Run, scored: Run) -> Values:
    """A retriever's scores of the run's passages, 0 where it gave none."""
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
