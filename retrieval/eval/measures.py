"""Measures of a run, by ir-measures (trec_eval's own arithmetic)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from retrieval.errors import InputError, MissingDependency

Qrels = Mapping[str, Mapping[str, int]]
"""Grade by document id, by query id."""

Run = Mapping[str, Mapping[str, float]]
"""Score by document id, by query id."""

MEASURES = ("nDCG@10", "AP", "RR@10", "R@100", "P@10", "Success@5", "Judged@10")

TIES = "by score in single precision, then by document id, descending, as in trec_eval"

_NOBODY = "\x00"
"""A document that no collection holds: what stands for an empty answer."""


_TRIED_QRELS = {"q": {"a": 1, "b": 0}}
_TRIED_RUN = {"q": {"a": 2.0, "b": 1.0}}


def per_query(
    qrels: Qrels, run: Run, measures: Sequence[str] = MEASURES
) -> dict[str, dict[str, float]]:
    """The value of each measure for each judged query.

    A judged query that the run lacks counts as 0; queries of the run that are not judged do not
    count. A document that is not judged is not relevant, and neither is one of a grade below 1.

    Args:
        measures: names as ir-measures writes them, e.g. `nDCG@10`, `R@100`, `RR@10`.

    Returns:
        Value by measure, by query id, both in the order given.

    Raises:
        MissingDependency: ir-measures is not installed.
        InputError: a measure's name is not known, or a score is NaN.
    """
    ir_measures, parsed = _parsed(measures)
    graded = {query: dict(grades) for query, grades in qrels.items()}
    ranked = {query: _ranked(run.get(query, {}), query) for query in qrels}
    values = {query: dict.fromkeys(measures, 0.0) for query in qrels}
    for found in ir_measures.iter_calc(list(parsed.values()), graded, ranked):
        for name, measure in parsed.items():
            if measure == found.measure:
                values[found.query_id][name] = float(found.value)
    return values


def means(qrels: Qrels, run: Run, measures: Sequence[str] = ("nDCG@10",)) -> dict[str, float]:
    """Means over the judged queries; arguments and errors are those of `per_query`."""
    values = per_query(qrels, run, measures)
    return {
        name: math.fsum(one[name] for one in values.values()) / max(1, len(values))
        for name in measures
    }


def check_measures(measures: Sequence[str]) -> None:
    """Refuse what cannot be measured, before anything is run; raises as `per_query` does.

    Some names can be parsed and not computed: a package or a cutoff is missing. A cutoff of 0 would
    end the process in trec_eval's own code.
    """
    ir_measures, parsed = _parsed(measures)
    for name, measure in parsed.items():
        cutoff = measure["cutoff"] if "cutoff" in measure.SUPPORTED_PARAMS else None
        if isinstance(cutoff, bool) or (isinstance(cutoff, int | float) and cutoff < 1):
            raise InputError(f"measure {name!r}: cutoff {cutoff}; give one of at least 1")
        try:
            list(ir_measures.iter_calc([measure], _TRIED_QRELS, _TRIED_RUN))
        except Exception as wrong:  # each provider has errors of its own
            said = " ".join(str(wrong).split())[:120] or type(wrong).__name__
            raise InputError(
                f"measure {name!r} cannot be computed ({said}): expected measures such as nDCG@10, "
                "R@100 or RR@10"
            ) from None


def _parsed(measures: Sequence[str]) -> tuple[Any, dict[str, Any]]:
    try:
        import ir_measures
    except ImportError:
        raise MissingDependency(
            "measuring needs ir-measures: pip install 'modernbert-retrieval[eval]'"
        ) from None
    try:
        return ir_measures, {name: ir_measures.parse_measure(name) for name in measures}
    except (NameError, ValueError) as wrong:
        raise InputError(f"{wrong}: expected measures such as nDCG@10, R@100 or RR@10") from None


def _ranked(scores: Mapping[str, float], query: str) -> dict[str, float]:
    """The documents with scores that fall from rank to rank, in trec_eval's order.

    The providers behind ir-measures break ties differently; without ties they all agree.
    """
    unusable = sum(math.isnan(score) for score in scores.values())
    if unusable:
        raise InputError(
            f"{unusable} of {len(scores)} scores of query {query!r} are NaN; expected numbers"
        )
    single = zip(scores, np.array(list(scores.values()), np.float32).tolist(), strict=True)
    ordered = sorted(single, key=lambda pair: (pair[1], pair[0]), reverse=True)
    ranked = {document: -float(rank) for rank, (document, _) in enumerate(ordered)}
    return ranked or {_NOBODY: 0.0}
