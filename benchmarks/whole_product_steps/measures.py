"""What is measured of an index of one size, each in a process of its own."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from environment import as_installed

from retrieval.index import Index
from retrieval.index.ready import of_each
from retrieval.types import RETRIEVERS
from whole_product_steps.corpus import PASSAGE_TOKENS, asked, batches, made_elsewhere

K = 10
_COMPARED = 50  # queries that every vector is compared with
_ENCODED = 2_000  # passages whose encoding is timed
_MEMORY = re.compile(r"^(VmRSS|VmHWM|RssAnon):\s*(\d+) kB", re.MULTILINE)


def build(work: Path, size: int, *, repeats: int) -> dict[str, Any]:
    """The index of so many passages, by vectors that are there already; a part may be there."""
    folder = work / f"index-{size}"
    spent = _Spent(work / f"building-{size}.json", new=not folder.exists())
    with (
        Index.open(folder)
        if folder.exists()
        else Index.create(folder, passage_tokens=PASSAGE_TOKENS) as index,
        # Each is one passage, and they come in order.
        made_elsewhere(work, size, len(index)) as rest,
    ):
        since, before = _Since(), index.generation
        with index.writing() as writer:  # one call, as when a folder is indexed
            settings = writer.store.settings
            for documents, made in rest:
                since.begin()
                for document, ready in zip(
                    documents, of_each(documents, None, made, settings), strict=True
                ):
                    writer.put(document, ready=ready)
                token_vectors = 0 if made.tokens is None else len(made.tokens)
                spent.add(len(documents), token_vectors, *since.begin())
            since.begin()
        if index.generation > before:
            spent.add(0, 0, *since.begin())
    # Opened anew: what is written ahead of the database has gone into it by then.
    with Index.open(folder) as index:
        status = index.status()
        report = index.measure(asked(work)[:1], k=1, depth=1)
        tokens = sum(len(index.encoder.token_spans(one.text)) + 2 for one in index.documents())
        encoding = _encoding(index)
    parts = dict(status.bytes_by_part)
    return {
        "passages": status.passages,
        "tokens": tokens,
        "token_vectors": report.tokens,
        "adding": spent.all,
        "encoding_processor_us_a_token": encoding,
        # The whole build over the encoding of the same text, by the processor's time.
        "over_encoding": 1
        + (1e6 * spent.all["processor_s"] / max(1, spent.all["token_vectors"]))
        * (report.tokens / max(1, tokens))
        / encoding,
        "bytes": status.bytes,
        "bytes_a_token": status.bytes / max(1, tokens),
        "bytes_a_token_by_part": {k: v / max(1, tokens) for k, v in parts.items()},
        "bytes_a_token_vector": status.bytes / max(1, report.tokens),
        "segments": status.segments,
        "regimes": dict(status.regimes),
    }


class _Since:
    """Seconds by the clock and of the processor since it was last asked."""

    def __init__(self) -> None:
        self._clock, self._own = time.perf_counter(), _processor(resource.RUSAGE_SELF)

    def begin(self) -> tuple[float, float]:
        """What has passed, and begin anew."""
        clock, own = self._clock, self._own
        self._clock, self._own = time.perf_counter(), _processor(resource.RUSAGE_SELF)
        return self._clock - clock, self._own - own


class _Spent:
    """What adding took, in all processes that worked at an index; kept beside it.

    Attributes:
        all: passages, token vectors, seconds by the clock and of the processor, megabytes at most.
    """

    def __init__(self, file: Path, *, new: bool) -> None:
        self._file = file
        self.all: dict[str, float] = dict.fromkeys(
            ("passages", "token_vectors", "s", "processor_s", "memory_mb", "own_memory_mb"), 0
        )
        if not new and file.exists():
            self.all = json.loads(file.read_text(encoding="utf-8"))

    def add(self, passages: int, token_vectors: int, seconds: float, processor: float) -> None:
        """A batch more."""
        self.all["passages"] += passages
        self.all["token_vectors"] += token_vectors
        self.all["s"] += seconds
        self.all["processor_s"] += processor
        now = memory()
        self.all["memory_mb"] = max(self.all["memory_mb"], now.get("VmHWM", 0))
        self.all["own_memory_mb"] = max(self.all["own_memory_mb"], now.get("RssAnon", 0))
        self._file.write_text(json.dumps(self.all), encoding="utf-8")


def _encoding(index: Index) -> float:
    """Microseconds of the processor that the encoder takes for a token of the index's texts."""
    texts = [one.text for one in islice(index.documents(), 0, None, max(1, len(index) // _ENCODED))]
    index.encoder.encode_documents(texts[:64])  # warm
    began = _processor(resource.RUSAGE_SELF)
    index.encoder.encode_documents(texts)
    used = _processor(resource.RUSAGE_SELF) - began
    return 1e6 * used / sum(len(index.encoder.token_spans(text)) + 2 for text in texts)


def search(work: Path, size: int, *, repeats: int) -> dict[str, Any]:
    """Opening, the first hit, and each retriever's time once warm."""
    queries = asked(work)
    started = time.perf_counter()
    with Index.open(work / f"index-{size}") as index:
        opened = time.perf_counter()
        index.search(queries[0], K)
        first = time.perf_counter()
        row: dict[str, Any] = {"open_s": opened - started, "open_and_first_hit_s": first - started}
        for retriever in RETRIEVERS:
            row[retriever] = timed(lambda q, r=retriever: index.search(q, K, retriever=r), queries)
        return row | {"memory_mb": memory()}  # while it is open: what it mapped goes with it


def overlap(work: Path, size: int, *, repeats: int) -> dict[str, Any]:
    """How many of the ten best are those of comparing every stored vector."""
    with Index.open(work / f"index-{size}") as index:
        report = index.measure(asked(work)[:_COMPARED], k=K, depth=K)
    return {
        "late_overlap_at_10": report.recall_at_k,
        "dense_overlap_at_10": report.dense_recall_at_k,
        "hybrid_overlap_at_10": report.hybrid_recall_at_k,
    }


def change(work: Path, size: int, *, repeats: int) -> dict[str, Any]:
    """Adding and deleting one document, and `repeats` single adds against one add of as many."""
    queries = asked(work)[:50]
    row: dict[str, Any] = {}
    ones = max(5, repeats // 100)
    more = batches(work, size + 2 * repeats + ones + 1, first=size)
    texts = iter([document for documents, _ in more for document in documents])
    with _Copy(work, size) as folder, Index.open(folder) as index:
        index.search(queries[0], K)
        index.add([next(texts)])  # warm: what only writing needs is imported

        def search_once(query: str) -> object:
            return index.search(query, K)

        row["search"] = timed(search_once, queries)
        row["add_one"] = timed(lambda one: index.add([one]), [next(texts) for _ in range(ones)])
        row["delete_one"] = timed(lambda n: index.delete([f"p{n}"]), range(ones))
        single = [next(texts) for _ in range(repeats)]
        row["single_adds"] = _once(lambda: [index.add([one]) for one in single])
        row["segments_after_single_adds"] = index.status().segments
        row["search_after_single_adds"] = timed(search_once, queries)
        together = [next(texts) for _ in range(repeats)]
        row["one_add_of_as_many"] = _once(lambda: index.add(together))
    for key in ("ms", "processor_ms"):
        one = row["search"][f"p50_{key}"]
        row[f"add_one_in_searches_by_{key}"] = row["add_one"][f"p50_{key}"] / one
        row[f"delete_one_in_searches_by_{key}"] = row["delete_one"][f"p50_{key}"] / one
    for key in ("s", "processor_s"):
        row[f"single_adds_ratio_by_{key}"] = row["single_adds"][key] / max(
            row["one_add_of_as_many"][key], 1e-9
        )
    return row | {"adds": repeats}


class _Copy:
    """A copy of an index, whose segments are links: they are never written again."""

    def __init__(self, work: Path, size: int) -> None:
        self._from, self._to = work / f"index-{size}", work / f"changed-{size}"

    def __enter__(self) -> Path:
        shutil.rmtree(self._to, ignore_errors=True)
        shutil.copytree(self._from, self._to, ignore=shutil.ignore_patterns("segments"))
        shutil.copytree(self._from / "segments", self._to / "segments", copy_function=os.link)
        return self._to

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._to, ignore_errors=True)


def cold(work: Path, size: int, *, repeats: int) -> dict[str, Any]:
    """Whole processes: `retrieval search`, beside one that imports numpy."""
    queries, folder = asked(work), str(work / f"index-{size}")
    own = [sys.executable, "-m", "retrieval", "search", "--index", folder]
    times = max(1, repeats // 100)

    def run(command: Sequence[str]) -> object:
        return subprocess.run(command, check=True, capture_output=True, env=as_installed())

    row: dict[str, Any] = {}
    for name, commands in {
        "retrieval_search": [[*own, queries[n % len(queries)]] for n in range(times + 1)],
        "retrieval_search_lexical": [
            [*own, "--retriever", "lexical", queries[n % len(queries)]] for n in range(times + 1)
        ],
        "import_numpy": [[sys.executable, "-c", "import numpy"]] * (times + 1),
    }.items():
        run(commands[0])
        row[name] = timed(run, commands[1:], whose=resource.RUSAGE_CHILDREN)
    for key in ("ms", "processor_ms"):
        numpy = row["import_numpy"][f"p50_{key}"]
        row[f"in_imports_of_numpy_by_{key}"] = row["retrieval_search"][f"p50_{key}"] / numpy
    return row


def timed(
    work: Callable[[Any], object], items: Sequence[Any], *, whose: int = resource.RUSAGE_SELF
) -> dict[str, float]:
    """Milliseconds of the clock and of the processor that each of the items takes."""
    wall, own = [], []
    for item in items:
        began, used = time.perf_counter(), _processor(whose)
        work(item)
        wall.append(1000 * (time.perf_counter() - began))
        own.append(1000 * (_processor(whose) - used))
    wall.sort()
    return {
        "p50_ms": statistics.median(wall),
        "p95_ms": wall[min(len(wall) - 1, int(0.95 * len(wall)))],
        "p50_processor_ms": statistics.median(own),
    }


def _once(work: Callable[[], object]) -> dict[str, float]:
    began, used = time.perf_counter(), _processor(resource.RUSAGE_SELF)
    work()
    return {
        "s": time.perf_counter() - began,
        "processor_s": _processor(resource.RUSAGE_SELF) - used,
    }


def _processor(whose: int) -> float:
    used = resource.getrusage(whose)
    return used.ru_utime + used.ru_stime


def memory() -> dict[str, int]:
    """Megabytes: held now, at most so far, and of its own, without mapped files; Linux alone."""
    status = Path("/proc/self/status")
    if not status.exists():
        return {}
    return {name: int(kb) // 1024 for name, kb in _MEMORY.findall(status.read_text())}
