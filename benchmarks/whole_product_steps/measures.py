"""The steps that measure an index of one size, each run in a process of its own."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from environment import subprocess_environment
from timing import cpu_seconds, memory_mib, percentile

from retrieval.index import Index
from retrieval.index.ready import of_each
from retrieval.types import RETRIEVERS
from whole_product_steps.corpus import (
    PASSAGE_TOKENS,
    batches_from_child,
    load_queries,
    passage_batches,
)

K = 10
_OVERLAP_QUERIES = 50  # compared with an exhaustive search
_ENCODED_PASSAGES = 2_000  # passages whose encoding is timed


def build(work: Path, size: int, *, repeats: int) -> dict[str, Any]:
    """Build the index of so many passages from precomputed vectors; continues a partial build."""
    folder = work / f"index-{size}"
    totals = _AddingTotals(work / f"building-{size}.json", new=not folder.exists())
    with (
        Index.open(folder)
        if folder.exists()
        else Index.create(folder, passage_tokens=PASSAGE_TOKENS) as index,
        # Each document is one passage and they come in order, so its length is where to continue.
        batches_from_child(work, size, len(index)) as batches,
    ):
        stopwatch, generation_before = _Stopwatch(), index.generation
        with index.writing() as writer:  # one commit, as when a folder is indexed
            settings = writer.store.settings
            for documents, embeddings in batches:
                stopwatch.lap()
                for document, prepared in zip(
                    documents, of_each(documents, None, embeddings, settings), strict=True
                ):
                    writer.put(document, ready=prepared)
                token_vectors = 0 if embeddings.tokens is None else len(embeddings.tokens)
                totals.add(len(documents), token_vectors, *stopwatch.lap())
            stopwatch.lap()
        if index.generation > generation_before:
            totals.add(0, 0, *stopwatch.lap())
    # Reopened, so that the write-ahead log has been merged into the database and counts once.
    with Index.open(folder) as index:
        status = index.status()
        report = index.measure(load_queries(work)[:1], k=1, depth=1)
        tokens = sum(len(index.encoder.token_spans(one.text)) + 2 for one in index.documents())
        encoding_us = _encoding_cost(index)
    bytes_by_part = dict(status.bytes_by_part)
    return {
        "passages": status.passages,
        "tokens": tokens,
        "token_vectors": report.tokens,
        "adding": totals.totals,
        "encoding_processor_us_a_token": encoding_us,
        # CPU time of encoding and adding, over that of encoding alone, for the same text.
        "over_encoding": 1
        + (1e6 * totals.totals["processor_s"] / max(1, totals.totals["token_vectors"]))
        * (report.tokens / max(1, tokens))
        / encoding_us,
        "bytes": status.bytes,
        "bytes_a_token": status.bytes / max(1, tokens),
        "bytes_a_token_by_part": {k: v / max(1, tokens) for k, v in bytes_by_part.items()},
        "bytes_a_token_vector": status.bytes / max(1, report.tokens),
        "segments": status.segments,
        "regimes": dict(status.regimes),
    }


class _Stopwatch:
    """Wall and CPU seconds between laps."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), cpu_seconds()

    def lap(self) -> tuple[float, float]:
        """Wall and CPU seconds since the last lap; starts the next one."""
        wall, cpu = self._wall, self._cpu
        self._wall, self._cpu = time.perf_counter(), cpu_seconds()
        return self._wall - wall, self._cpu - cpu


class _AddingTotals:
    """What adding cost over all processes that built an index, kept in a file beside it.

    Attributes:
        totals: passages, token vectors, wall and CPU seconds; peaks of resident memory in MiB.
    """

    def __init__(self, file: Path, *, new: bool) -> None:
        self._file = file
        self.totals: dict[str, float] = dict.fromkeys(
            ("passages", "token_vectors", "s", "processor_s", "memory_mb", "own_memory_mb"), 0
        )
        if not new and file.exists():
            self.totals = json.loads(file.read_text(encoding="utf-8"))

    def add(self, passages: int, token_vectors: int, wall_s: float, cpu_s: float) -> None:
        """Count one more batch."""
        self.totals["passages"] += passages
        self.totals["token_vectors"] += token_vectors
        self.totals["s"] += wall_s
        self.totals["processor_s"] += cpu_s
        memory = memory_mib()
        self.totals["memory_mb"] = max(self.totals["memory_mb"], memory.get("VmHWM", 0))
        self.totals["own_memory_mb"] = max(self.totals["own_memory_mb"], memory.get("RssAnon", 0))
        self._file.write_text(json.dumps(self.totals), encoding="utf-8")


def _encoding_cost(index: Index) -> float:
    """CPU microseconds that the encoder takes per token of the index's texts."""
    texts = [
        document.text
        for document in islice(index.documents(), 0, None, max(1, len(index) // _ENCODED_PASSAGES))
    ]
    index.encoder.encode_documents(texts[:64])  # warmup
    started = cpu_seconds()
    index.encoder.encode_documents(texts)
    spent = cpu_seconds() - started
    return 1e6 * spent / sum(len(index.encoder.token_spans(text)) + 2 for text in texts)


def search(work: Path, size: int, *, repeats: int) -> dict[str, Any]:
    """Time to open and to the first hit, then each retriever's latencies once warm."""
    queries = load_queries(work)
    started = time.perf_counter()
    with Index.open(work / f"index-{size}") as index:
        opened = time.perf_counter()
        index.search(queries[0], K)
        answered = time.perf_counter()
        row: dict[str, Any] = {
            "open_s": opened - started,
            "open_and_first_hit_s": answered - started,
        }
        for retriever in RETRIEVERS:
            row[retriever] = latencies(
                lambda q, r=retriever: index.search(q, K, retriever=r), queries
            )
        return row | {"memory_mb": memory_mib()}  # while it is open: closing unmaps its files


def overlap(work: Path, size: int, *, repeats: int) -> dict[str, Any]:
    """Overlap@10 of each retriever with an exhaustive comparison of every stored vector."""
    with Index.open(work / f"index-{size}") as index:
        report = index.measure(load_queries(work)[:_OVERLAP_QUERIES], k=K, depth=K)
    return {
        "late_overlap_at_10": report.recall_at_k,
        "dense_overlap_at_10": report.dense_recall_at_k,
        "hybrid_overlap_at_10": report.hybrid_recall_at_k,
    }


def change(work: Path, size: int, *, repeats: int) -> dict[str, Any]:
    """Latency of adding and of deleting one document; `repeats` single adds beside one add."""
    queries = load_queries(work)[:50]
    row: dict[str, Any] = {}
    samples = max(5, repeats // 100)
    new_batches = passage_batches(work, size + 2 * repeats + samples + 1, first=size)
    new_documents = iter([document for documents, _ in new_batches for document in documents])
    with _TemporaryCopy(work, size) as folder, Index.open(folder) as index:
        index.search(queries[0], K)
        index.add([next(new_documents)])  # warmup: writing imports modules of its own

        def search_once(query: str) -> object:
            return index.search(query, K)

        row["search"] = latencies(search_once, queries)
        row["add_one"] = latencies(
            lambda one: index.add([one]), [next(new_documents) for _ in range(samples)]
        )
        row["delete_one"] = latencies(lambda n: index.delete([f"p{n}"]), range(samples))
        one_by_one = [next(new_documents) for _ in range(repeats)]
        row["single_adds"] = time_once(lambda: [index.add([one]) for one in one_by_one])
        row["segments_after_single_adds"] = index.status().segments
        row["search_after_single_adds"] = latencies(search_once, queries)
        together = [next(new_documents) for _ in range(repeats)]
        row["one_add_of_as_many"] = time_once(lambda: index.add(together))
    for key in ("ms", "processor_ms"):
        search_p50 = row["search"][f"p50_{key}"]
        row[f"add_one_in_searches_by_{key}"] = row["add_one"][f"p50_{key}"] / search_p50
        row[f"delete_one_in_searches_by_{key}"] = row["delete_one"][f"p50_{key}"] / search_p50
    for key in ("s", "processor_s"):
        row[f"single_adds_ratio_by_{key}"] = row["single_adds"][key] / max(
            row["one_add_of_as_many"][key], 1e-9
        )
    return row | {"adds": repeats}


class _TemporaryCopy:
    """A copy of an index that hard-links its segments, which are never written to again."""

    def __init__(self, work: Path, size: int) -> None:
        self._source, self._copy = work / f"index-{size}", work / f"changed-{size}"

    def __enter__(self) -> Path:
        shutil.rmtree(self._copy, ignore_errors=True)
        shutil.copytree(self._source, self._copy, ignore=shutil.ignore_patterns("segments"))
        shutil.copytree(self._source / "segments", self._copy / "segments", copy_function=os.link)
        return self._copy

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._copy, ignore_errors=True)


def cold(work: Path, size: int, *, repeats: int) -> dict[str, Any]:
    """Latencies of whole processes: `retrieval search`, beside one that only imports numpy."""
    queries, folder = load_queries(work), str(work / f"index-{size}")
    search_command = [sys.executable, "-m", "retrieval", "search", "--index", folder]
    repeats_each = max(1, repeats // 100)

    def run(command: Sequence[str]) -> object:
        return subprocess.run(
            command, check=True, capture_output=True, env=subprocess_environment()
        )

    row: dict[str, Any] = {}
    for name, commands in {
        "retrieval_search": [
            [*search_command, queries[n % len(queries)]] for n in range(repeats_each + 1)
        ],
        "retrieval_search_lexical": [
            [*search_command, "--retriever", "lexical", queries[n % len(queries)]]
            for n in range(repeats_each + 1)
        ],
        "import_numpy": [[sys.executable, "-c", "import numpy"]] * (repeats_each + 1),
    }.items():
        run(commands[0])
        row[name] = latencies(run, commands[1:], who=resource.RUSAGE_CHILDREN)
    for key in ("ms", "processor_ms"):
        numpy = row["import_numpy"][f"p50_{key}"]
        row[f"in_imports_of_numpy_by_{key}"] = row["retrieval_search"][f"p50_{key}"] / numpy
    return row


def latencies(
    work: Callable[[Any], object], items: Sequence[Any], *, who: int = resource.RUSAGE_SELF
) -> dict[str, float]:
    """Call `work` on each item; percentiles of wall and CPU milliseconds per call.

    Args:
        work: what is measured.
        items: its arguments, one call each.
        who: whose CPU time counts, this process's or its children's.
    """
    wall_ms, cpu_ms = [], []
    for item in items:
        started, cpu_before = time.perf_counter(), cpu_seconds(who)
        work(item)
        wall_ms.append(1000 * (time.perf_counter() - started))
        cpu_ms.append(1000 * (cpu_seconds(who) - cpu_before))
    return {
        "p50_ms": percentile(wall_ms, 50),
        "p95_ms": percentile(wall_ms, 95),
        "p50_processor_ms": percentile(cpu_ms, 50),
    }


def time_once(work: Callable[[], object]) -> dict[str, float]:
    """Wall and CPU seconds of one call."""
    started, cpu_before = time.perf_counter(), cpu_seconds()
    work()
    return {
        "s": time.perf_counter() - started,
        "processor_s": cpu_seconds() - cpu_before,
    }
