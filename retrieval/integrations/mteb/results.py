"""Figures in MTEB's own format: MTEB scores the runs that `retrieval eval` wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mteb
from mteb.cache import ResultCache
from mteb.models import ModelMeta

from retrieval.eval.datasets.from_mteb import Part, fetch, is_mteb, parts_of, task_of, tasks_in
from retrieval.eval.results import Results, read_run
from retrieval.eval.systems import IndexSystem, System
from retrieval.integrations.mteb.meta import model_meta
from retrieval.integrations.mteb.retriever import Scores, in_single_precision

FOLDER = "mteb"
"""In the folder of results: what `mteb.ResultCache` reads."""


@dataclass(frozen=True, slots=True)
class _Answered:
    """A model of MTEB's search protocol that has answered already.

    Attributes:
        runs: scores by subset and split.
    """

    mteb_model_meta: ModelMeta
    runs: Mapping[tuple[str, str], Scores]

    def index(self, corpus: Any, **kwargs: Any) -> None:
        """Nothing is to be done."""

    def search(self, queries: Any, *, hf_split: str, hf_subset: str, **kwargs: Any) -> Scores:
        """What was found."""
        run = self.runs[hf_subset, hf_split]
        return {id: run.get(id, {}) for id in map(str, queries["id"])}


def write_results(
    folder: Path, sources: Sequence[str], systems: Sequence[System], results: Results
) -> list[Path]:
    """Write what was measured on tasks of MTEB as MTEB's results, beside ours.

    `mteb.ResultCache(folder / "mteb")` reads them. A retriever that failed on a part of a task, or
    that only some of a task's splits or queries were asked of, has none for it.

    Args:
        folder: of the results.
        sources: as `evaluate` was given them; those that are none of MTEB's are passed over.
        systems: those that are retrievers of an index are written.
        results: what `evaluate` returned.

    Returns:
        The files, one for each retriever and task.
    """
    cache = ResultCache(folder / FOLDER)
    done = {(row.collection, row.system) for row in results.rows}
    asked = {one.collection: one.queries for one in results.protocols}
    written = []
    for source in (task for given in sources if is_mteb(given) for task in tasks_in(given)):
        task = task_of(source)
        parts = [part for part in parts_of(task) if part.collection in asked]
        if not parts:
            continue
        fetch(task, source)
        whole = [part for part in parts if _all_asked(task, part, asked[part.collection])]
        for system in systems:
            own = [part for part in whole if (part.collection, system.name) in done]
            if not isinstance(system, IndexSystem) or not own:
                continue
            written.append(_write(cache, task, system, own, folder))
    return written


def _all_asked(task: Any, part: Part, asked: int) -> bool:
    """Whether every query that MTEB measures was asked."""
    data = task.dataset[part.subset][part.split]
    return sum(id in data["relevant_docs"] for id in data["queries"]["id"]) == asked


def _write(
    cache: ResultCache, task: Any, system: IndexSystem, parts: Sequence[Part], folder: Path
) -> Path:
    variant = system.variant
    meta = model_meta(system.encoder, variant.retriever, settings=variant.settings)
    runs = {}
    for part in parts:
        found = read_run(folder, part.collection, system.name, 2**31)
        run = {query: in_single_precision(dict(best)) for query, best in found.items()}
        runs[part.subset, part.split] = run
    model = _Answered(meta, runs)
    scores: dict[str, dict[str, Any]] = {}
    for part in parts:
        subset = task.evaluate(model, part.split, [part.subset], encode_kwargs={})
        scores.setdefault(part.split, {}).update(subset)
    result = mteb.TaskResult.from_task_results(task, scores, evaluation_time=0.0)
    # How long it took, results.json says part by part; parts may be of several runs.
    cache.save_to_cache(result.model_copy(update={"evaluation_time": None}), meta)
    return Path(cache.get_task_result_path(task.metadata.name, meta))
