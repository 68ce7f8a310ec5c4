"""Latency that the router adds to its slowest shard, and the CPU time of a shard."""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from timing import percentile

from retrieval.encoders import load_encoder
from retrieval.eval import load
from retrieval.index.searching import Searching
from retrieval.sharded import ShardedIndex, asking
from retrieval.sharded.manifest import Manifest
from retrieval.sharded.serving.router import RoutedShards
from retrieval.sharded.serving.served_collection import ServedCollection
from retrieval.types import Embeddings

SHARDS = 16
FEW_SHARDS = 4
QUERIES = 200
WARMUP = 20


class RecordingCollection(ServedCollection):
    """A served collection that keeps the `RoutedShards` of each search."""

    recorded: list[RoutedShards]

    def _routed(self, manifest: Manifest) -> RoutedShards:
        routed = super()._routed(manifest)
        self.recorded.append(routed)
        return routed


def router(folder: str) -> dict[str, Any]:
    """Milliseconds of a search over `SHARDS` shards in processes, and beyond their slowest.

    A search asks shards in rounds, each as long as its slowest process: from when that process was
    asked until it sent its answer, by the monotonic clock that all processes of a machine share. A
    shard's wait for a core counts as its own. All else counts as the router's: work before and
    between rounds, sending to the processes before the slowest, receiving, fusing, and its own wait
    for a core. A second pass over the same queries finds their words known, as most words are in a
    collection that many have searched.
    """
    with (
        _sharded_collection(folder, SHARDS) as (url, cache, queries, embeddings),
        RecordingCollection(url, cache=cache) as collection,
    ):
        first, second = (_measure_routing(collection, queries, embeddings) for _ in range(2))
        processes = len(set(collection._keeper.sets.values()))
    return {
        "shards": SHARDS,
        "processes": processes,
        "queries": len(queries) - WARMUP,
        **first,
        "words_known": second,
    }


def _measure_routing(
    collection: RecordingCollection, queries: list[str], embeddings: Embeddings
) -> dict[str, Any]:
    """Latencies of these queries in milliseconds, without those of the warmup."""
    total_ms, beyond_ms, router_cpu_ms, rounds = [], [], [], []
    for position, query in enumerate(queries):
        collection.recorded = []
        started, cpu_started = time.perf_counter(), time.thread_time()
        _search(collection, query, embeddings, position)
        elapsed = time.perf_counter() - started
        slowest = sum(routed.waited for routed in collection.recorded)
        total_ms.append(1000 * elapsed)
        beyond_ms.append(1000 * (elapsed - slowest))
        router_cpu_ms.append(1000 * (time.thread_time() - cpu_started))
        rounds.append(sum(routed.rounds for routed in collection.recorded))
    return {
        "search_ms": _percentiles(total_ms[WARMUP:]),
        "beyond_the_slowest_ms": _percentiles(beyond_ms[WARMUP:]),
        "router_processor_ms": _percentiles(router_cpu_ms[WARMUP:]),
        "rounds": statistics.mean(rounds[WARMUP:]),
    }


def service(folder: str) -> dict[str, Any]:
    """CPU milliseconds of a search in one shard that holds the whole collection."""
    cpu_ms = []
    with (
        _sharded_collection(folder, 1) as (url, cache, queries, embeddings),
        ShardedIndex.open(url, cache=cache) as collection,
    ):
        for position, query in enumerate(queries):
            started = time.process_time()
            _search(collection, query, embeddings, position)
            cpu_ms.append(1000 * (time.process_time() - started))
        passages = collection.status().passages
    return {
        "passages": passages,
        "queries": len(queries) - WARMUP,
        "search_ms": _percentiles(cpu_ms[WARMUP:]),
        "samples_ms": [round(sample, 3) for sample in cpu_ms[WARMUP:]],
    }


def parallel(folder: str) -> dict[str, Any]:
    """Median latency over shards of this process, asked in threads and one by one.

    Both are measured for each query, in an order that alternates: whichever comes second finds the
    query's words known.
    """
    samples_ms: dict[str, list[float]] = {"threads": [], "one by one": []}
    with (
        _sharded_collection(folder, FEW_SHARDS) as (url, cache, queries, embeddings),
        ShardedIndex.open(url, cache=cache) as collection,
        ThreadPoolExecutor(1) as one_thread,
    ):
        pools = [("threads", asking._THREADS.here), ("one by one", lambda: one_thread)]
        for position, query in enumerate(queries):
            for name, pool in pools if position % 2 else reversed(pools):
                with patch.object(asking._THREADS, "here", pool):
                    started = time.perf_counter()
                    _search(collection, query, embeddings, position)
                    samples_ms[name].append(1000 * (time.perf_counter() - started))
    medians = {name: statistics.median(samples[WARMUP:]) for name, samples in samples_ms.items()}
    return {
        "shards": FEW_SHARDS,
        "cores": os.cpu_count(),
        "median_ms": medians,
        "ratio": medians["one by one"] / medians["threads"],
    }


@contextmanager
def _sharded_collection(
    folder: str, shards: int
) -> Iterator[tuple[str, Path, list[str], Embeddings]]:
    """A collection in so many shards, and its queries with their embeddings."""
    (collection,) = load(folder, None)
    work = Path(tempfile.mkdtemp())
    try:
        url = f"file://{work}/storage"
        encoder = load_encoder()
        cache = work / "cache"
        with ShardedIndex.create(url, shards=shards, encoder=encoder, cache=cache) as built:
            built.add(collection.documents)
        queries = [collection.queries[id] for id in sorted(collection.queries)]
        queries = (queries * (1 + (QUERIES + WARMUP) // len(queries)))[: QUERIES + WARMUP]
        yield url, cache, queries, encoder.encode_queries(queries)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _search(index: Searching, query: str, embeddings: Embeddings, position: int) -> None:
    """Search for ten hits by the query's words and its precomputed vectors."""
    assert (
        embeddings.dense is not None
        and embeddings.tokens is not None
        and embeddings.offsets is not None
    )
    tokens = embeddings.tokens[embeddings.offsets[position] : embeddings.offsets[position + 1]]
    index.search(query, vector=embeddings.dense[position], tokens=tokens)


def _percentiles(samples: list[float]) -> dict[str, float]:
    return {f"p{percent}": percentile(samples, percent) for percent in (50, 95, 99)}
