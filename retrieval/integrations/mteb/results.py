"""Figures in MTEB's format: MTEB scores the runs that `retrieval eval` wrote."""

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
"""Folder within the results, for `mteb.ResultCache`."""


@dataclass(frozen=True, slots=True)
class _Answered:
    """A model for MTEB's search protocol that returns stored runs.

    Attributes:
        runs: scores by subset and split.
    """

    mteb_model_meta: ModelMeta
    runs: Mapping[tuple[str, str], Scores]

    def index(self, corpus: Any, **kwargs: Any) -> None:
        """Do nothing."""

    def search(self, queries: Any, *, hf_split: str, hf_subset: str, **kwargs: Any) -> Scores:
        """The stored run."""
        run = self.runs[hf_subset, hf_split]
        return {id: run.get(id, {}) for id in map(str, queries["id"])}


def write_results(
    folder: Path, sources: Sequence[str], systems: Sequence[System], results: Results
) -> list[Path]:
    """Write measurements on MTEB tasks as MTEB's results, in addition to ours.

    `mteb.ResultCache(folder / "mteb")` reads them. A retriever gets no result for a task if it
    failed on a part of it, or if only some of the task's splits or queries were run.

    Args:
        folder: the folder of the results.
        sources: the sources given to `evaluate`; those that are not MTEB's are skipped.
        systems: the systems; only retrievers of an index are written.
        results: the result of `evaluate`.

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
    """Whether every query that MTEB measures was run."""
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
    # results.json has the time of each part, which may be of several runs.
    cache.save_to_cache(result.model_copy(update={"evaluation_time": None}), meta)
    return Path(cache.get_task_result_path(task.metadata.name, meta))
