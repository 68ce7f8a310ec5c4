"""Several annotations of one pair of query and document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from retrieval.eval.datasets.collection import Judgement


def averaged(judgements: Iterable[Judgement]) -> tuple[list[Judgement], tuple[str, ...]]:
    """Several annotations of one pair become their mean, rounded half up, and are counted."""
    grades: dict[tuple[str, str], list[int]] = {}
    for query, document, given in judgements:
        grades.setdefault((query, document), []).append(given)
    several = Counter(len(set(given)) > 1 for given in grades.values() if len(given) > 1)
    said = (
        f"{several.total()} pairs are annotated several times, {several[True]} of them with "
        "different grades; their mean counts, rounded half up (the published evaluation does not "
        "round)"
    )
    means = [
        (query, document, (2 * sum(given) + len(given)) // (2 * len(given)))
        for (query, document), given in grades.items()
    ]
    return means, (said,) if several else ()
