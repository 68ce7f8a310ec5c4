"""One system on one collection: indexed, searched, measured, and kept for the next run."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.eval.datasets import Collection, write_run
from retrieval.eval.identical import without_identical
from retrieval.eval.machine import forget_peak, machine, peak_rss_mb
from retrieval.eval.measures import per_query
from retrieval.eval.plural import plural
from retrieval.eval.results import (
    Efficiency,
    file_name,
    run_path,
)
from retrieval.eval.summary import SystemOutcome
from retrieval.eval.systems.run_file import RunFile
from retrieval.eval.systems.system import Cost, Ranked, Settings, System, TimedSearch
from retrieval.files.whole import write_whole
from retrieval.types import ProgressCallback, ProgressUpdate

DEPTH = 100
TIMED_QUERIES = 100
"""So many queries are timed, one by one."""


_INDEXES, _STATE = "indexes", "state"


class Meter:
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


def units(collection: Collection) -> int:
    """What a system has to do on it: documents to index and queries to answer."""
    return len(collection.documents) + len(collection.queries)


@dataclass(frozen=True, slots=True)
class Measuring:
    """One collection, and how systems are measured on it."""

    collection: Collection
    out: Path
    measures: tuple[str, ...]
    k: int
    ignores_identical: bool
    meter: Meter

    def run(self, system: System) -> SystemOutcome:
        """Index, search, measure; or what was found before under the same protocol."""
        key = self._key(system)
        known = self._read(system, key)
        if known is None:
            known = self._run(system)
            self._write(system, key, known)
            self.meter.add(units(self.collection))
        else:
            self.meter.add(units(self.collection), skipped=True)
        return known

    def _run(self, system: System) -> SystemOutcome:
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
        ask = system.timed_search()
        times = [] if ask is None else _times(ask, list(asked.values()))
        peak = peak_rss_mb() if fresh and ask is not None else None
        path = self._run_path(system)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_run(path, run, system.name)
        return SystemOutcome(
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

    def _read(self, system: System, key: str) -> SystemOutcome | None:
        """What was found before; None if nothing was, or under another protocol, or no run is."""
        try:
            state = json.loads(self._state(system).read_text(encoding="utf-8"))
            if state["key"] != key or not self._run_path(system).is_file():
                return None
            return SystemOutcome(
                state["values"],
                _here(Efficiency(**state["cost"]), state["machine"]),
                Settings(**state["settings"]),
                tuple(state["warnings"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _run_path(self, system: System) -> Path:
        return run_path(self.out, self.collection.name, system.name)

    def _write(self, system: System, key: str, found: SystemOutcome) -> None:
        path = self._state(system)
        path.parent.mkdir(parents=True, exist_ok=True)
        state: dict[str, Any] = {"key": key, "values": found.per_query}
        state |= {"cost": asdict(found.cost), "settings": asdict(found.settings)}
        state |= {"warnings": found.warnings, "machine": machine().facts()}
        write_whole(path, json.dumps(state))


def _warnings(
    work: Measuring, system: System, run: Ranked, asked: Mapping[str, str]
) -> tuple[str, ...]:
    said = []
    silent = sum(not run.get(query) for query in asked)
    if silent:
        queries = plural(silent, "query, which counts", "queries, which count")
        said.append(f"{system.name} has no answer to {queries} as 0")
    limit = system.settings().max_tokens
    if limit is not None:
        said.append(f"{system.name} reads {limit} tokens of a document; the rest is dropped")
    if isinstance(system, RunFile):
        said += system.warnings
        ids = {document.id for document in work.collection.documents}
        strange = {document for scores in run.values() for document in scores} - ids
        if strange:
            documents = plural(len(strange), "document that is", "documents that are")
            said.append(
                f"{system.name} names {documents} not in the corpus (such as {min(strange)!r}); "
                "what is not judged counts as not relevant"
            )
        unasked = system.unasked(work.collection)
        if unasked:
            queries = plural(len(unasked), "query that is", "queries that are")
            said.append(
                f"{system.name} answers {queries} not asked here (such as {unasked[0]!r}); such "
                "answers do not count"
            )
    return tuple(said)


def _times(ask: TimedSearch, queries: Sequence[str]) -> list[float]:
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
