"""An evaluation: every system on every collection, resumed where it was stopped."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.errors import InputError, RetrievalError
from retrieval.eval.baselines import RunFile
from retrieval.eval.building import Ask, Cost, Ranked, Settings, System, joined
from retrieval.eval.datasets import Collection, collections_in, load, write_run
from retrieval.eval.gather import Found, gathered
from retrieval.eval.identical import ignores, without_identical
from retrieval.eval.machine import forget_peak, machine, peak_rss_mb
from retrieval.eval.measures import MEASURES, check_measures, per_query
from retrieval.eval.results import (
    Efficiency,
    Results,
    Texts,
    file_name,
    forget_texts,
    read_run,
    run_path,
    write_results,
    write_texts,
)
from retrieval.eval.sampling import sampled
from retrieval.eval.wording import amount
from retrieval.files.claim import claimed
from retrieval.files.whole import write_whole
from retrieval.types import ProgressCallback, ProgressUpdate

DEPTH = 100
TIMED_QUERIES = 100
"""So many queries are timed, one by one."""

SHOWN = 10
"""So many documents of each ranking are kept for reports, and this many characters of each."""

SHOWN_CHARACTERS = 4000

_INDEXES, _STATE = "indexes", "state"


class _Meter:
    """Counts documents and queries, and how long they take."""

    def __init__(self, total: int, progress: ProgressCallback | None) -> None:
        self._total = total
        self._progress = progress
        self._done = 0
        self._skipped = 0  # was done before, and took no time now
        self._started = time.monotonic()

    def tell(self, stage: str, part: int = 0) -> None:
        """Say what is going on, `part` units into it."""
        if self._progress is None:
            return
        done = self._done + part
        worked, spent = done - self._skipped, time.monotonic() - self._started
        left = spent / worked * (self._total - done) if worked and spent > 1 else None
        self._progress(ProgressUpdate(stage, done, self._total, seconds_left=left))

    def add(self, units: int, *, skipped: bool = False) -> None:
        """So much is done."""
        self._done += units
        self._skipped += units if skipped else 0


def evaluate(
    sources: Sequence[str],
    systems: Sequence[System],
    out: Path,
    *,
    split: str | None = None,
    measures: Sequence[str] = MEASURES,
    k: int = DEPTH,
    queries: int | None = None,
    ignore_identical_ids: bool | None = None,
    keep_texts: bool = True,
    progress: ProgressCallback | None = None,
) -> Results:
    """Run every system on every collection and measure it.

    What is done is written to `out` at once: run it again after an interruption, and it goes on;
    what was done under another protocol is done again. A collection or a system that fails is
    named in `failed`, and the others go on.

    Args:
        sources: folders, or names that ir-datasets knows.
        systems: their names differ.
        out: the folder of results, made if need be.
        split: of the judgements; None is each collection's own.
        measures: as ir-measures names them.
        k: how many documents are retrieved for each query.
        queries: of each collection at most so many are asked, always the same; None is all.
        ignore_identical_ids: drop a document whose id is the query's own from the query's ranking,
            and retrieve one more; None does so where a query is a document, by id and words.
        keep_texts: keep texts of queries and documents beside the results, for reports; if not,
            those that were kept before go.
        progress: called with what is done of all collections and systems, documents indexed and
            queries answered; `stage` says which collection and system, and what they are at.

    Raises:
        InputError: nothing is to be done, a measure is not known, or every collection failed.
        IndexLocked: another process evaluates into the same folder.
        MissingDependency: ir-measures is not installed.
    """
    _check(sources, systems, measures, k, queries)
    with claimed(out):
        failed: dict[str, str] = {}
        collections = [sampled(one, queries) for one in _load(sources, split, failed)]
        pairs = _pairs(collections, systems, failed)
        meter = _Meter(sum(_units(collection) for collection, _ in pairs), progress)
        found: dict[str, dict[str, Found]] = {}
        ignoring: dict[str, bool] = {}
        results = None
        for collection in collections:
            ignoring[collection.name] = ignores(collection, ignore_identical_ids)
            alone = ignoring[collection.name]
            work = _Work(collection, out, tuple(measures), k, alone, meter)
            found[collection.name] = {}
            own = [system for of, system in pairs if of is collection]
            for system in own:
                try:
                    found[collection.name][system.name] = work.run(system)
                except Exception as wrong:  # whatever it is, the others are not to be lost
                    _fail(failed, collection.name, f"{system.name}: {_line(wrong)}")
                    meter.add(_units(collection))
            for system in own:
                system.close()
            try:
                if not keep_texts:
                    forget_texts(out, collection.name)
                elif found[collection.name]:
                    _keep_texts(collection, out, found[collection.name])
            except (RetrievalError, OSError) as wrong:
                _fail(failed, collection.name, f"texts for the report: {_line(wrong)}")
            results = gathered(collections, found, measures, k, failed, ignoring)
            write_results(out, results)
        if results is None or not results.rows:
            raise InputError("nothing could be measured: " + "; ".join(_failures(failed)))
        return results


def _check(
    sources: Sequence[str],
    systems: Sequence[System],
    measures: Sequence[str],
    k: int,
    queries: int | None,
) -> None:
    if not sources:
        raise InputError("no collection was given; give a folder or a name")
    if not systems:
        raise InputError("no system was given; give a retriever or a system")
    if not measures:
        raise InputError("no measure was given; give one such as nDCG@10")
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise InputError(f"k={k!r} retrieves no document; give a whole number of at least 1")
    if queries is not None and (not isinstance(queries, int) or queries < 1):
        raise InputError(f"queries={queries!r} asks none; give a whole number of at least 1")
    check_measures(measures)


def _load(sources: Sequence[str], split: str | None, failed: dict[str, str]) -> list[Collection]:
    found: dict[str, Collection] = {}
    for source in (part for given in sources for part in collections_in(given)):
        try:
            for collection in load(source, split):
                if collection.name in found:
                    raise InputError(
                        f"two collections are named {collection.name!r}; rename a folder, or "
                        "evaluate them into different folders"
                    )
                found[collection.name] = collection
        except Exception as wrong:  # whatever it is, the others are not to be lost
            failed[source] = _line(wrong)
    return list(found.values())


def _pairs(
    collections: Sequence[Collection], systems: Sequence[System], failed: dict[str, str]
) -> list[tuple[Collection, System]]:
    """What is to be run: a run file only where it has answers.

    Raises:
        InputError: a run file has none. Where a collection failed, it may be that one's, and is
            named among what failed.
    """
    pairs = []
    for system in systems:
        fit = [c for c in collections if not isinstance(system, RunFile) or system.answers(c)]
        if collections and not fit:
            names = ", ".join(collection.name for collection in collections)
            said = f"run {system.name!r} answers no query of {names}"
            if not failed:
                raise InputError(f"{said}; give the run of one of these collections")
            _fail(failed, system.name, said)
        pairs += [(collection, system) for collection in fit]
    return pairs


def _units(collection: Collection) -> int:
    return len(collection.documents) + len(collection.queries)


@dataclass(frozen=True, slots=True)
class _Work:
    """One collection, and how it is measured."""

    collection: Collection
    out: Path
    measures: tuple[str, ...]
    k: int
    ignores_identical: bool
    meter: _Meter

    def run(self, system: System) -> Found:
        """Index, search, measure; or what was found before under the same protocol."""
        key = self._key(system)
        known = self._read(system, key)
        if known is None:
            known = self._run(system)
            self._write(system, key, known)
            self.meter.add(_units(self.collection))
        else:
            self.meter.add(_units(self.collection), skipped=True)
        return known

    def _run(self, system: System) -> Found:
        label, documents = f"{self.collection.name}: {system.name}", len(self.collection.documents)
        fresh = forget_peak()
        self.meter.tell(f"{label}, indexing")
        folder = self.out / _INDEXES / file_name(self.collection.name)
        folder.mkdir(parents=True, exist_ok=True)
        cost = system.index(
            self.collection,
            folder,
            lambda now: self.meter.tell(f"{label}, indexing {now.done:,}/{now.total:,}", now.done),
        )
        self.meter.tell(f"{label}, searching", documents)
        asked = {id: text for id, text in self.collection.queries.items() if text.strip()}
        run = self._search(system, asked, label)
        values = per_query(self.collection.judgements, run, self.measures)
        ask = system.asking()
        times = [] if ask is None else _times(ask, list(asked.values()))
        peak = peak_rss_mb() if fresh and ask is not None else None
        path = self._run_path(system)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_run(path, run, system.name)
        return Found(
            values,
            _efficiency(self.collection, system.name, cost, times, peak),
            system.settings(),
            _warnings(self, system, run, asked),
        )

    def _search(self, system: System, asked: Mapping[str, str], label: str) -> Ranked:
        ids: list[str] = list(asked)
        run: Ranked = {}
        documents = len(self.collection.documents)
        k = self.k + self.ignores_identical
        for first in range(0, len(ids), 256):
            found = system.search({id: asked[id] for id in ids[first : first + 256]}, k)
            run |= without_identical(found, self.k) if self.ignores_identical else found
            self.meter.tell(f"{label}, searching {len(run):,}/{len(ids):,}", documents + len(run))
        return run

    def _key(self, system: System) -> str:
        parts = [self.collection.sha256, self.collection.split, self.collection.name]
        parts += [system.name, system.identity(), str(self.k), *self.measures]
        parts += ["identical ids ignored"] * self.ignores_identical
        parts += list(self.collection.queries)
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def _state(self, system: System) -> Path:
        name = f"{file_name(self.collection.name)}.{file_name(system.name, dots=True)}.json"
        return self.out / _STATE / name

    def _read(self, system: System, key: str) -> Found | None:
        """What was found before; None if nothing was, or under another protocol, or no run is."""
        try:
            state = json.loads(self._state(system).read_text(encoding="utf-8"))
            if state["key"] != key or not self._run_path(system).is_file():
                return None
            return Found(
                state["values"],
                _here(Efficiency(**state["cost"]), state["machine"]),
                Settings(**state["settings"]),
                tuple(state["warnings"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _run_path(self, system: System) -> Path:
        return run_path(self.out, self.collection.name, system.name)

    def _write(self, system: System, key: str, found: Found) -> None:
        path = self._state(system)
        path.parent.mkdir(parents=True, exist_ok=True)
        state: dict[str, Any] = {"key": key, "values": found.values}
        state |= {"cost": asdict(found.cost), "settings": asdict(found.settings)}
        state |= {"warnings": found.warnings, "machine": machine().facts()}
        write_whole(path, json.dumps(state))


def _warnings(
    work: _Work, system: System, run: Ranked, asked: Mapping[str, str]
) -> tuple[str, ...]:
    said = []
    silent = sum(not run.get(query) for query in asked)
    if silent:
        queries = amount(silent, "query, which counts", "queries, which count")
        said.append(f"{system.name} has no answer to {queries} as 0")
    limit = system.settings().max_tokens
    if limit is not None:
        said.append(f"{system.name} reads {limit} tokens of a document; the rest is dropped")
    if isinstance(system, RunFile):
        said += system.warnings
        ids = {document.id for document in work.collection.documents}
        strange = {document for scores in run.values() for document in scores} - ids
        if strange:
            documents = amount(len(strange), "document that is", "documents that are")
            said.append(
                f"{system.name} names {documents} not in the corpus (such as {min(strange)!r}); "
                "what is not judged counts as not relevant"
            )
        unasked = system.unasked(work.collection)
        if unasked:
            queries = amount(len(unasked), "query that is", "queries that are")
            said.append(
                f"{system.name} answers {queries} not asked here (such as {unasked[0]!r}); such "
                "answers do not count"
            )
    return tuple(said)


def _times(ask: Ask, queries: Sequence[str]) -> list[float]:
    """Milliseconds of each of the first queries, asked one by one."""
    times = []
    for text in queries[:1]:
        ask(text)  # the first pays for what is loaded once
    for text in queries[:TIMED_QUERIES]:
        started = time.perf_counter()
        ask(text)
        times.append(1e3 * (time.perf_counter() - started))
    return times


def _efficiency(
    collection: Collection, system: str, cost: Cost, times: list[float], peak: float | None
) -> Efficiency:
    p50, p95, p99 = np.percentile(times, [50, 95, 99]).tolist() if times else (None, None, None)
    size = cost.index_bytes
    return Efficiency(
        collection=collection.name,
        system=system,
        build_s=cost.build_s,
        tokens_per_s=cost.tokens_per_s,
        index_bytes_per_document=None if size is None else size / len(collection.documents),
        qps=1e3 * len(times) / sum(times) if times else None,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        peak_rss_mb=peak,
    )


def _here(cost: Efficiency, measured_on: Mapping[str, str]) -> Efficiency:
    """What holds on this machine: of what was measured on another, the size alone."""
    if measured_on == machine().facts():
        return cost
    return Efficiency(
        cost.collection, cost.system, index_bytes_per_document=cost.index_bytes_per_document
    )


def _keep_texts(collection: Collection, out: Path, found: Mapping[str, Found]) -> None:
    """The texts of the queries, and of the documents that a system ranks high or that answer."""
    shown = {d for grades in collection.judgements.values() for d, g in grades.items() if g > 0}
    for system in found:
        for best in read_run(out, collection.name, system, SHOWN).values():
            shown.update(document for document, _ in best)
    documents = {}
    for document in collection.documents:
        if document.id in shown:
            documents[document.id] = joined(document)[:SHOWN_CHARACTERS]
    write_texts(out, collection.name, Texts(collection.queries, documents, collection.judgements))


def _fail(failed: dict[str, str], name: str, why: str) -> None:
    """Put one more reason to those that the collection has."""
    failed[name] = f"{failed[name]}; {why}" if name in failed else why


def _failures(failed: Mapping[str, str]) -> list[str]:
    return [f"{name} ({message})" for name, message in failed.items()]


def _line(error: BaseException) -> str:
    said = " ".join(str(error).split())
    return said if isinstance(error, RetrievalError) else f"{type(error).__name__}: {said}"
