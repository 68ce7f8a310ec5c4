"""What the router adds to its slowest shard, and what a shard takes."""

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

import numpy as np

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
WARM_UP = 20


class Waiting(ServedCollection):
    """A served collection that keeps what asked its shards."""

    asked: list[RoutedShards]

    def _routed(self, manifest: Manifest) -> RoutedShards:
        made = super()._routed(manifest)
        self.asked.append(made)
        return made


def router(folder: str) -> dict[str, Any]:
    """Over `SHARDS` shards in processes: milliseconds of a search, and beyond its slowest shards.

    A search asks shards in rounds, each of which takes as long as its slowest process: from the
    moment at which that was asked until it sent its answer, by the clock that processes of a
    machine share. So what a shard waits for a core is its own. All else is the router's: the
    query's parts before and between rounds, sending to those before the slowest, receiving,
    fusing, and what the router itself waits for a core. Asked again, a query's words are known
    already, as most of a query's words are where many have asked before.
    """
    with (
        _built(folder, SHARDS) as (url, cache, texts, made),
        Waiting(url, cache=cache) as collection,
    ):
        first, again = (_routed(collection, texts, made) for _ in range(2))
        processes = len(set(collection._keeper.sets.values()))
    return {
        "shards": SHARDS,
        "processes": processes,
        "queries": len(texts) - WARM_UP,
        **first,
        "words_known": again,
    }


def _routed(collection: Waiting, texts: list[str], made: Embeddings) -> dict[str, Any]:
    """What the router takes for these queries, but for the first few."""
    whole, beyond, own, rounds = [], [], [], []
    for place, text in enumerate(texts):
        collection.asked = []
        began, worked = time.perf_counter(), time.thread_time()
        _search(collection, text, made, place)
        spent = time.perf_counter() - began
        waited = sum(one.waited for one in collection.asked)
        whole.append(1000 * spent)
        beyond.append(1000 * (spent - waited))
        own.append(1000 * (time.thread_time() - worked))
        rounds.append(sum(one.rounds for one in collection.asked))
    return {
        "search_ms": _quantiles(whole[WARM_UP:]),
        "beyond_the_slowest_ms": _quantiles(beyond[WARM_UP:]),
        "router_processor_ms": _quantiles(own[WARM_UP:]),
        "rounds": statistics.mean(rounds[WARM_UP:]),
    }


def service(folder: str) -> dict[str, Any]:
    """Of one shard that holds the whole collection: processor milliseconds of a search."""
    spent = []
    with (
        _built(folder, 1) as (url, cache, texts, made),
        ShardedIndex.open(url, cache=cache) as collection,
    ):
        for place, text in enumerate(texts):
            began = time.process_time()
            _search(collection, text, made, place)
            spent.append(1000 * (time.process_time() - began))
        passages = collection.status().passages
    return {
        "passages": passages,
        "queries": len(texts) - WARM_UP,
        "search_ms": _quantiles(spent[WARM_UP:]),
        "samples_ms": [round(one, 3) for one in spent[WARM_UP:]],
    }


def parallel(folder: str) -> dict[str, Any]:
    """Over shards in this process, in turns: a search that asks them in threads, and one by one."""
    taken: dict[str, list[float]] = {"threads": [], "one by one": []}
    with (
        _built(folder, FEW_SHARDS) as (url, cache, texts, made),
        ShardedIndex.open(url, cache=cache) as collection,
        ThreadPoolExecutor(1) as one_thread,
    ):
        usual = asking.threads
        for place, text in enumerate(texts):
            for name, pool in (("threads", usual), ("one by one", lambda: one_thread)):
                with patch.object(asking, "threads", pool):
                    began = time.perf_counter()
                    _search(collection, text, made, place)
                    taken[name].append(1000 * (time.perf_counter() - began))
    medians = {name: statistics.median(values[WARM_UP:]) for name, values in taken.items()}
    return {
        "shards": FEW_SHARDS,
        "cores": os.cpu_count(),
        "median_ms": medians,
        "ratio": medians["one by one"] / medians["threads"],
    }


@contextmanager
def _built(folder: str, shards: int) -> Iterator[tuple[str, Path, list[str], Embeddings]]:
    """A collection of so many shards, and its queries with their embeddings."""
    (collection,) = load(folder, None)
    work = Path(tempfile.mkdtemp())
    try:
        url = f"file://{work}/storage"
        encoder = load_encoder()
        cache = work / "cache"
        with ShardedIndex.create(url, shards=shards, encoder=encoder, cache=cache) as built:
            built.add(collection.documents)
        texts = [collection.queries[id] for id in sorted(collection.queries)]
        texts = (texts * (1 + (QUERIES + WARM_UP) // len(texts)))[: QUERIES + WARM_UP]
        yield url, cache, texts, encoder.encode_queries(texts)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _search(index: Searching, text: str, made: Embeddings, place: int) -> None:
    """Ask for ten hits by words and by vectors that are there."""
    assert made.dense is not None and made.tokens is not None and made.offsets is not None
    tokens = made.tokens[made.offsets[place] : made.offsets[place + 1]]
    index.search(text, vector=made.dense[place], tokens=tokens)


def _quantiles(values: list[float]) -> dict[str, float]:
    return {
        "p50": statistics.median(values),
        "p95": float(np.quantile(values, 0.95)),
        "p99": float(np.quantile(values, 0.99)),
    }
