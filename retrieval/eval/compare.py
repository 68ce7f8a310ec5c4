"""Is A really better than B: two systems on the same queries, on each collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np

from retrieval.errors import InputError
from retrieval.eval.results import (
    Results,
    comparable,
    read_results,
    read_run,
    read_texts,
    settings_that_differ,
)
from retrieval.eval.statistics import (
    Floats,
    bootstrap_interval,
    effect_size,
    holm,
    paired_test,
    paired_tests,
    queries_needed,
    wins_ties_losses,
)

LEVEL = 0.05
MOST = 5
"""How many queries that differ most are named, of each collection."""

_EXCERPT = 160  # characters of a text that is shown


@dataclass(frozen=True, slots=True)
class QueryDifference:
    """A query on which two systems differ; a text is None where none was kept.

    Attributes:
        a, b: the measure's value of either system.
        text: of the query.
        first_a, first_b: the document that either system ranks first.
        first_text_a, first_text_b: the beginning of its text.
    """

    query: str
    a: float
    b: float
    text: str | None = None
    first_a: str | None = None
    first_b: str | None = None
    first_text_a: str | None = None
    first_text_b: str | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """Two systems on one collection.

    Attributes:
        queries: how many both have values for; every figure is over these.
        difference: mean of a minus mean of b; low and high are the ends of its 95 % interval, None
            where there was only one query.
        p: the p-value of the randomisation test.
        corrected: p after Holm's correction over all comparisons made together.
        effect: Cohen's d of the differences; None where it is not defined.
        needed: queries it takes to see a difference of 0.01; None where it cannot be computed.
        differ_most: the largest difference first.
        notes: worth knowing, no bar to the comparison.
    """

    collection: str
    a: str
    b: str
    queries: int
    mean_a: float
    mean_b: float
    difference: float
    low: float | None
    high: float | None
    p: float
    corrected: float
    effect: float | None
    needed: int | None
    wins: int
    ties: int
    losses: int
    differ_most: tuple[QueryDifference, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sets of results by one measure.

    Attributes:
        a, b: the folders.
        refused: why a collection was not compared, by collection.
        left_out: systems without one of the same name in the other folder, as `dense of A`; empty
            where two were named.
    """

    measure: str
    a: str
    b: str
    compared: tuple[Compared, ...]
    refused: Mapping[str, tuple[str, ...]]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Side:
    """One system of one folder."""

    folder: Path
    results: Results
    system: str

    def values(self, collection: str, measure: str) -> dict[str, float]:
        """Value by query id; empty where there is none."""
        queries = self.results.per_query.get(collection, {}).get(self.system, {})
        return {query: found[measure] for query, found in queries.items() if measure in found}


def compare_folders(
    a: Path,
    b: Path,
    measure: str = "nDCG@10",
    *,
    systems: tuple[str, str] | str | None = None,
    most: int = MOST,
) -> Comparison:
    """Compare what two evaluations found, on each collection that both have.

    Args:
        a, b: folders of results; the same folder twice compares two of its systems.
        systems: the system of either folder, as a pair or as text with a comma between them. If not
            given, those of the same name are compared, or the only one of each folder.
        most: how many queries that differ most are given for each collection.

    Raises:
        InputError: a folder cannot be read, or a system or measure is not in it.
    """
    of_a, of_b = read_results(a), read_results(b)
    for folder, results in ((a, of_a), (b, of_b)):
        if measure not in results.measures:
            raise InputError(
                f"{folder} has no {measure}: expected one of {', '.join(results.measures)}"
            )
    if isinstance(systems, str):
        systems = _named(systems, of_a, of_b)
    names = _pairs(a, of_a, b, of_b, systems)
    pairs = [(_Side(a, of_a, x), _Side(b, of_b, y)) for x, y in names]
    compared: list[Compared] = []
    refused: dict[str, tuple[str, ...]] = {}
    for collection in dict.fromkeys([*of_a.collections, *of_b.collections]):
        reasons = _reasons(of_a, of_b, collection)
        if reasons:
            refused[collection] = tuple(reasons)
            continue
        for x, y in pairs:
            reasons = _missing(x, y, collection, measure)
            if reasons:
                refused[collection] = refused.get(collection, ()) + tuple(reasons)
            else:
                compared.append(_compared(x, y, collection, measure, most))
    left = () if systems else _left_out(of_a, of_b, names)
    return Comparison(measure, str(a), str(b), tuple(_corrected(compared)), refused, left)


def _named(systems: str, of_a: Results, of_b: Results) -> tuple[str, str]:
    """The two of `X,Y`; names such as `late:dims=48,bits=2` have commas of their own."""
    parts = systems.split(",")
    pairs = [
        (",".join(parts[:at]).strip(), ",".join(parts[at:]).strip()) for at in range(1, len(parts))
    ]
    if not pairs:
        raise InputError(f"systems {systems!r}: expected two names, as in dense,hybrid")
    known = [pair for pair in pairs if pair[0] in of_a.systems and pair[1] in of_b.systems]
    return (known or pairs)[0]


def _pairs(
    a: Path, of_a: Results, b: Path, of_b: Results, systems: tuple[str, str] | None
) -> list[tuple[str, str]]:
    if systems is not None:
        for folder, results, system in ((a, of_a, systems[0]), (b, of_b, systems[1])):
            if system not in results.systems:
                raise InputError(
                    f"{folder} has no system {system}: expected one of {', '.join(results.systems)}"
                )
        return [systems]
    both = [system for system in of_a.systems if system in of_b.systems]
    same = a.resolve() == b.resolve()
    if both and not same:
        return [(system, system) for system in both]
    if len(of_a.systems) == len(of_b.systems) == 1 and not same:
        return [(of_a.systems[0], of_b.systems[0])]
    if same and len(both) == 2:
        return [(both[0], both[1])]
    raise InputError(
        f"{a} has {', '.join(of_a.systems)} and {b} has {', '.join(of_b.systems)}: "
        f"name the two to be compared, as in --systems {of_a.systems[0]},{of_b.systems[-1]}"
    )


def _left_out(of_a: Results, of_b: Results, names: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    chosen = {name for pair in names for name in pair}
    sides = ((of_a, "A"), (of_b, "B"))
    return tuple(f"{s} of {side}" for of, side in sides for s in of.systems if s not in chosen)


def _reasons(a: Results, b: Results, collection: str) -> list[str]:
    """Why a collection's figures cannot be compared."""
    for results, side in ((a, "A"), (b, "B")):
        if collection not in results.collections:
            failure = results.failed.get(collection)
            return [f"{side} has no results on it{f': {failure}' if failure else ''}"]
    one, other = a.protocol(collection), b.protocol(collection)
    if one is None or other is None:
        return ["its protocol was not kept"]
    return comparable(one, other)


def _missing(x: _Side, y: _Side, collection: str, measure: str) -> list[str]:
    one, other = x.values(collection, measure), y.values(collection, measure)
    for side, values in ((x, one), (y, other)):
        if not values:
            why = side.results.failed.get(collection)
            said = f"{side.system} of {side.folder} has no values of {measure} by query"
            return [f"{said}: {why}" if why else said]
    if one.keys() != other.keys():
        return [
            f"{x.system} and {y.system} answered different queries: "
            f"{len(one):,} and {len(other):,}, {len(one.keys() & other.keys()):,} of them shared"
        ]
    return []


def _compared(x: _Side, y: _Side, collection: str, measure: str, most: int) -> Compared:
    """Everything but the correction, which needs all the others."""
    one, other = x.values(collection, measure), y.values(collection, measure)
    a, b = np.array(list(one.values())), np.array([other[query] for query in one])
    low, high = bootstrap_interval(a - b) if len(a) > 1 else (None, None)
    wins, ties, losses = wins_ties_losses(a, b)
    p = paired_test(a, b)
    of_x, of_y = x.results.protocol(collection), y.results.protocol(collection)
    notes = settings_that_differ(of_x, of_y) if of_x and of_y else []
    said = [of.systems.get(side.system) if of else None for of, side in ((of_x, x), (of_y, y))]
    if x.system == y.system and all(said) and said[0] != said[1]:
        notes.append(f"the settings of {x.system} differ: {said[0]}, and {said[1]}")
    return Compared(
        collection=collection,
        a=x.system,
        b=y.system,
        queries=len(one),
        mean_a=float(a.mean()),
        mean_b=float(b.mean()),
        difference=float((a - b).mean()),
        low=low,
        high=high,
        p=p,
        corrected=p,
        effect=effect_size(a, b),
        needed=queries_needed(a, b),
        wins=wins,
        ties=ties,
        losses=losses,
        differ_most=tuple(_differ_most(x, y, collection, one, other, most)),
        notes=tuple(notes),
    )


def _corrected(compared: Sequence[Compared]) -> list[Compared]:
    corrected = holm([item.p for item in compared])
    return [replace(item, corrected=p) for item, p in zip(compared, corrected, strict=True)]


def _differ_most(
    x: _Side,
    y: _Side,
    collection: str,
    one: Mapping[str, float],
    other: Mapping[str, float],
    most: int,
) -> list[QueryDifference]:
    apart = sorted(one, key=lambda query: (-abs(one[query] - other[query]), query))
    chosen = [query for query in apart[:most] if abs(one[query] - other[query]) > 1e-9]
    kept = [read_texts(side.folder, collection) for side in (x, y)]
    texts = {query: text for side in kept if side for query, text in side.queries.items()}
    documents = {id: text for side in kept if side for id, text in side.documents.items()}
    runs = [read_run(side.folder, collection, side.system, 1) for side in (x, y)]
    found = []
    for query in chosen:
        first = [run[query][0][0] if run.get(query) else None for run in runs]
        shown = [_excerpt(documents.get(document or "")) for document in first]
        found.append(
            QueryDifference(
                query, one[query], other[query], texts.get(query), first[0], first[1], *shown
            )
        )
    return found


def _excerpt(text: str | None) -> str | None:
    return None if text is None else " ".join(text.split())[:_EXCERPT]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two systems of one evaluation by one measure on one collection; corrected by nobody yet."""

    difference: float
    p: float


def pairwise(results: Results, collection: str) -> dict[tuple[str, str, str], Pair]:
    """Every two systems on a collection, by every measure: keys are (measure, a, b), both ways.

    Two systems are left out of each other's comparison where they answered different queries.
    """
    columns: dict[int, list[Floats]] = {}
    places: dict[int, list[tuple[str, str, str]]] = {}
    values = results.per_query.get(collection, {})
    for measure in results.measures:
        for a, b in combinations([s for s in results.systems if s in values], 2):
            shared = [q for q, found in values[a].items() if measure in found]
            others = {q for q, found in values[b].items() if measure in found}
            if not shared or set(shared) != others:
                continue
            column = np.array([values[a][q][measure] - values[b][q][measure] for q in shared])
            columns.setdefault(len(shared), []).append(column)
            places.setdefault(len(shared), []).append((measure, a, b))
    found: dict[tuple[str, str, str], Pair] = {}
    for size, keys in places.items():
        table = np.stack(columns[size], axis=1)
        for key, mean, p in zip(keys, table.mean(axis=0), paired_tests(table), strict=True):
            measure, a, b = key
            found[measure, a, b] = Pair(float(mean), float(p))
            found[measure, b, a] = Pair(-float(mean), float(p))
    return found
