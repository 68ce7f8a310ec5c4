"""What an evaluation found, put together: rows, costs and protocol of each collection."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from retrieval.eval.datasets import Collection
from retrieval.eval.identical import DROPPED, KEPT
from retrieval.eval.machine import machine, versions
from retrieval.eval.measures import TIES
from retrieval.eval.plural import plural
from retrieval.eval.results import Efficiency, Protocol, Results, Row
from retrieval.eval.statistics import bootstrap_intervals
from retrieval.eval.systems.system import TEXT, Settings


@dataclass(frozen=True, slots=True)
class SystemOutcome:
    """What one system did on one collection.

    Attributes:
        per_query: value by measure, by query id.
    """

    per_query: Mapping[str, Mapping[str, float]]
    cost: Efficiency
    settings: Settings
    warnings: tuple[str, ...]


def depth_of(collection: Collection, k: int) -> int:
    """How many documents are retrieved for each query of it, where k are asked for."""
    return max(k, collection.depth)


def summarised(
    collections: Sequence[Collection],
    found: Mapping[str, Mapping[str, SystemOutcome]],
    measures: Sequence[str],
    k: int,
    failed: Mapping[str, str],
    ignoring: Mapping[str, bool],
) -> Results:
    """All of it as results, made now on this machine.

    Args:
        found: by system, by collection; a collection without any is left out.
        measures: those that every value is there for.
        k: how many documents were asked for, for each query.
        failed: why a collection has no results, or not all, by its name.
        ignoring: whether documents with the query's own id were dropped, by collection.
    """
    done = [collection for collection in collections if found.get(collection.name)]
    return Results(
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        machine=machine().facts(),
        versions=versions(),
        rows=tuple(row for one in done for row in _rows(one, found[one.name], measures)),
        efficiency=tuple(f.cost for one in done for f in found[one.name].values()),
        protocols=tuple(
            _protocol(one, found[one.name], depth_of(one, k), ignoring[one.name]) for one in done
        ),
        per_query={
            one.name: {name: f.per_query for name, f in found[one.name].items()} for one in done
        },
        failed=dict(failed),
    )


def _rows(
    collection: Collection, found: Mapping[str, SystemOutcome], measures: Sequence[str]
) -> list[Row]:
    rows = []
    for system, one in found.items():
        table = np.array([[values[m] for m in measures] for values in one.per_query.values()])
        lows, highs = bootstrap_intervals(table)
        known = len(table) > 1  # one query says nothing about others
        for place, measure in enumerate(measures):
            value = math.fsum(table[:, place]) / len(table)
            low, high = float(lows[place]), float(highs[place])
            rows.append(
                Row(
                    collection.name,
                    collection.split,
                    system,
                    measure,
                    value,
                    low if known else None,
                    high if known else None,
                    len(table),
                )
            )
    return rows


def _protocol(
    collection: Collection, found: Mapping[str, SystemOutcome], k: int, ignores: bool
) -> Protocol:
    cut = {one.settings.passage_tokens for one in found.values()} - {None}
    limits = {one.settings.max_tokens for one in found.values()} - {None}
    prompts = {
        f"{system} {name}": text
        for system, one in found.items()
        for name, text in one.settings.prompts.items()
    }
    asked = len(collection.queries)
    return Protocol(
        collection=collection.name,
        split=collection.split,
        documents=len(collection.documents),
        queries=asked,
        judged_queries=asked,
        text=TEXT + (f"; {collection.notes}" if collection.notes else ""),
        passage_tokens=cut.pop() if len(cut) == 1 else None,
        max_tokens=limits.pop() if len(limits) == 1 else None,
        prompts=prompts,
        aggregation=f"MaxP, {k} documents a query",
        ties=TIES,
        identical_ids=DROPPED if ignores else KEPT,
        unjudged=plural(collection.unjudged, "query", "queries")
        + f" without judgements {'is' if collection.unjudged == 1 else 'are'} not asked",
        dataset_sha256=collection.sha256,
        systems={
            name: one.settings.description
            for name, one in found.items()
            if one.settings.description
        },
        warnings=collection.warnings + tuple(w for one in found.values() for w in one.warnings),
    )
