"""Replicas are killed while a served collection is searched: correctness, and time to recover."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from retrieval.encoders import load_encoder
from retrieval.errors import ShardUnavailable
from retrieval.eval import load
from retrieval.index import Index
from retrieval.index.searching import Searching
from retrieval.sharded import ShardedIndex
from retrieval.sharded.place import Place
from retrieval.sharded.serving.hosts import ProcessHosts
from retrieval.sharded.serving.served_collection import ServedCollection

DOCUMENTS = 300
SHARDS, REPLICAS = 3, 2
QUERIES = 20
KILLS = 40
"""By SIGKILL. Every fourth kills both replicas of a shard."""

RESTART_TIMEOUT_S = 60.0


def kills(folder: str) -> dict[str, Any]:
    """Counts of refused and of wrongly ranked searches; seconds from a kill to an answer."""
    (collection,) = load(folder, None)
    work = Path(tempfile.mkdtemp())
    try:
        return _search_under_kills(
            work,
            list(itertools.islice(collection.documents, DOCUMENTS)),
            [collection.queries[id] for id in sorted(collection.queries)[:QUERIES]],
        )
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _search_under_kills(work: Path, documents: list[Any], queries: list[str]) -> dict[str, Any]:
    """Kill replicas of a served collection one after another, and search until answered."""
    url, cache, encoder = f"file://{work}/storage", work / "cache", load_encoder()
    with ShardedIndex.create(url, shards=SHARDS, encoder=encoder, cache=cache) as built:
        built.add(documents)
    with Index.create(work / "one", encoder=encoder) as one:
        one.add(documents)
        expected = {query: _ranking(one, query) for query in queries}
    process_hosts: list[ProcessHosts] = []

    def make_hosts(place: Place) -> ProcessHosts:
        process_hosts.append(ProcessHosts(place))
        return process_hosts[0]

    rng = random.Random(24)
    wrong = refused = searches = 0
    recovery_s: list[float] = []
    with ServedCollection(
        url, make_hosts, replicas=REPLICAS, encoder=encoder, cache=cache
    ) as served:
        replicas = [one for several in served._keeper.sets.values() for one in several.replicas]
        for kill_number in range(KILLS):
            _wait_until_alive(replicas)
            shard = rng.randrange(SHARDS)
            replica_numbers = range(REPLICAS) if kill_number % 4 == 3 else [rng.randrange(REPLICAS)]
            for replica in replica_numbers:
                pid = process_hosts[0].process(shard % process_hosts[0].groups(SHARDS), replica).pid
                assert pid is not None
                os.kill(pid, signal.SIGKILL)
            killed = time.monotonic()
            answered = False
            while not answered:
                searches += 1
                query = rng.choice(queries)
                try:
                    wrong += _ranking(served, query) != expected[query]
                    answered = True
                except ShardUnavailable:
                    refused += 1
                    time.sleep(0.05)
            recovery_s.append(time.monotonic() - killed)
    both_killed_s = recovery_s[3::4]
    one_killed_s = [seconds for kill, seconds in enumerate(recovery_s) if kill % 4 != 3]
    return {
        "kills": KILLS,
        "shards": SHARDS,
        "replicas": REPLICAS,
        "searches": searches,
        "ranked_wrong": wrong,
        "refused": refused,
        "seconds_until_answered": {
            "one replica killed": _spread(one_killed_s),
            "both killed": _spread(both_killed_s),
        },
    }


def _wait_until_alive(replicas: list[Any]) -> None:
    """Wait until every killed replica was started again."""
    started = time.monotonic()
    while not all(replica.alive for replica in replicas):
        if time.monotonic() - started > RESTART_TIMEOUT_S:
            raise RuntimeError("a replica was not started again")
        time.sleep(0.05)


def _ranking(index: Searching, query: str) -> list[tuple[str, int]]:
    """Document and passage of each hit, best first."""
    return [(hit.document_id, hit.passage.ordinal) for hit in index.search(query)]


def _spread(values: list[float]) -> dict[str, float]:
    """Median and maximum."""
    return {"median": statistics.median(values), "most": max(values)}
