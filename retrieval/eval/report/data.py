"""What a report shows, besides the rows: who is better than whom, and the queries that tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from retrieval.eval.compare import pairwise
from retrieval.eval.results import Results, read_run, read_texts
from retrieval.eval.statistics import holm

QUERIES = 200
"""Queries listed of each collection: those on which the systems differ most."""

WITH_PASSAGES = 50
"""How many of them come with their ranked passages."""

DEPTH = 5
CHARACTERS = 400
"""How much of a passage is shown."""

Marks = Mapping[str, Mapping[str, Mapping[str, Mapping[str, "Mark"]]]]
"""A mark by system, by collection, by measure, by the system that it is compared with."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A system against the reference: mean difference, and p corrected over all of a measure."""

    difference: float
    p: float


@dataclass(frozen=True, slots=True)
class Ranked:
    """A document in a ranking; the grade is None where it was not judged."""

    document: str
    score: float
    grade: int | None


@dataclass(frozen=True, slots=True)
class Query:
    """A query of the drill-down.

    Attributes:
        values: value by measure, by system.
        ranked: best documents by system; empty where passages are not shown.
    """

    id: str
    text: str | None
    values: Mapping[str, Mapping[str, float]]
    ranked: Mapping[str, tuple[Ranked, ...]]


@dataclass(frozen=True, slots=True)
class DrillDown:
    """The queries of a collection, those that differ most first, and the texts they need.

    Attributes:
        total: how many queries there are, of which some are listed.
        documents: the beginning of a text by document id.
    """

    total: int
    queries: tuple[Query, ...]
    documents: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ReportData:
    """All that `Results` does not hold; drill_downs by collection."""

    marks: Marks
    drill_downs: Mapping[str, DrillDown]


def report_data(folder: Path, results: Results, *, texts: bool) -> ReportData:
    """Compute the marks, and read runs and texts.

    Raises:
        InputError: a run or the texts are damaged.
    """
    drill_downs = {name: _drill_down(folder, results, name, texts) for name in results.collections}
    return ReportData(marks_of(results), drill_downs)


def marks_of(results: Results) -> Marks:
    """Every system against every other, Holm-corrected over the systems and collections."""
    pairs = {name: pairwise(results, name) for name in results.collections}
    marks: dict[str, dict[str, dict[str, dict[str, Mark]]]] = {}
    for reference in results.systems:
        for measure in results.measures:
            family = [
                (collection, system, found)
                for collection in results.collections
                for system in results.systems
                if (found := pairs[collection].get((measure, system, reference))) is not None
            ]
            corrected = holm([found.p for _, _, found in family])
            of_measure = marks.setdefault(reference, {}).setdefault(measure, {})
            for (collection, system, found), p in zip(family, corrected, strict=True):
                of_measure.setdefault(collection, {})[system] = Mark(found.difference, p)
    return marks


def _drill_down(folder: Path, results: Results, collection: str, with_texts: bool) -> DrillDown:
    by_system = results.per_query.get(collection, {})
    every = list(dict.fromkeys(query for queries in by_system.values() for query in queries))
    if not results.measures:
        return DrillDown(len(every), (), {})
    values = {
        query: {system: dict(found[query]) for system, found in by_system.items() if query in found}
        for query in every
    }
    measure = results.measures[0]
    listed = sorted(every, key=lambda query: (-_spread(values[query], measure), query))[:QUERIES]
    texts = read_texts(folder, collection) if with_texts else None
    shown = set(listed[:WITH_PASSAGES])
    runs = {system: read_run(folder, collection, system, DEPTH) for system in by_system}
    queries = []
    for query in listed:
        grades = texts.judgements.get(query) if texts else None
        ranked = {
            system: tuple(
                Ranked(document, score, (grades or {}).get(document))
                for document, score in run.get(query, [])
            )
            for system, run in runs.items()
            if query in shown and query in run
        }
        text = texts.queries.get(query) if texts else None
        queries.append(Query(query, text, values[query], ranked))
    needed = {r.document for query in queries for found in query.ranked.values() for r in found}
    documents = {id: _cut(text) for id, text in texts.documents.items()} if texts else {}
    return DrillDown(
        len(every), tuple(queries), {id: t for id, t in documents.items() if id in needed}
    )


def _cut(text: str) -> str:
    return text if len(text) <= CHARACTERS else f"{text[:CHARACTERS]}…"


def _spread(values: Mapping[str, Mapping[str, float]], measure: str) -> float:
    """Between the best system and the worst on a query."""
    found = [value[measure] for value in values.values() if measure in value]
    return max(found) - min(found) if found else 0.0
