"""Judging what `Index.measure` found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from retrieval.eval.measures import means
from retrieval.index import MeasureReport


def judge(
    report: MeasureReport,
    ids: Sequence[str],
    qrels: Mapping[str, Mapping[str, int]],
    measures: Sequence[str] = ("nDCG@10",),
) -> dict[str, dict[str, float]]:
    """The measures of each ranking of a report: `search`, `exhaustive` and `float`.

    Args:
        report: of a measurement of queries that were given.
        ids: the queries' ids, in the order in which they were given.
        qrels: grade by document id, by query id; queries that were not asked are left out.
        measures: names as ir-measures writes them.

    Returns:
        Value by measure, by ranking.

    Raises:
        MissingDependency: ir-measures is not installed.
        InputError: a measure's name is not known.
    """
    asked = {id: qrels[id] for id in ids if id in qrels}
    return {
        name: means(asked, dict(zip(ids, found, strict=True)), measures)
        for name, found in report.found.items()
    }
