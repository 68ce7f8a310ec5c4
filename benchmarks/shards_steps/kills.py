"""Replicas killed while a served collection is searched: what is answered, and how soon."""

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
"""By SIGKILL. Every fourth takes both replicas of a shard."""

WAIT_S = 60.0


def kills(folder: str) -> dict[str, Any]:
    """How many searches were refused and how many ranked wrong; seconds until all is answered."""
    (collection,) = load(folder, None)
    work = Path(tempfile.mkdtemp())
    try:
        return _killed(
            work,
            list(itertools.islice(collection.documents, DOCUMENTS)),
            [collection.queries[id] for id in sorted(collection.queries)[:QUERIES]],
        )
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _killed(work: Path, documents: list[Any], texts: list[str]) -> dict[str, Any]:
    url, cache, encoder = f"file://{work}/storage", work / "cache", load_encoder()
    with ShardedIndex.create(url, shards=SHARDS, encoder=encoder, cache=cache) as built:
        built.add(documents)
    with Index.create(work / "one", encoder=encoder) as one:
        one.add(documents)
        expected = {text: _ranked(one, text) for text in texts}
    made: list[ProcessHosts] = []

    def hosts(place: Place) -> ProcessHosts:
        made.append(ProcessHosts(place))
        return made[0]

    drawn = random.Random(24)
    wrong = refused = searches = 0
    resumed: list[float] = []
    with ServedCollection(url, hosts, replicas=REPLICAS, encoder=encoder, cache=cache) as served:
        everybody = [one for several in served._keeper.sets.values() for one in several.replicas]
        for number in range(KILLS):
            _until(everybody)
            shard = drawn.randrange(SHARDS)
            copies = range(REPLICAS) if number % 4 == 3 else [drawn.randrange(REPLICAS)]
            for copy in copies:
                pid = made[0].process(shard % made[0].groups(SHARDS), copy).pid
                assert pid is not None
                os.kill(pid, signal.SIGKILL)
            killed = time.monotonic()
            answered = False
            while not answered:
                searches += 1
                text = drawn.choice(texts)
                try:
                    wrong += _ranked(served, text) != expected[text]
                    answered = True
                except ShardUnavailable:
                    refused += 1
                    time.sleep(0.05)
            resumed.append(time.monotonic() - killed)
    both = resumed[3::4]
    single = [one for place, one in enumerate(resumed) if place % 4 != 3]
    return {
        "kills": KILLS,
        "shards": SHARDS,
        "replicas": REPLICAS,
        "searches": searches,
        "ranked_wrong": wrong,
        "refused": refused,
        "seconds_until_answered": {
            "one replica killed": _spread(single),
            "both killed": _spread(both),
        },
    }


def _until(everybody: list[Any]) -> None:
    began = time.monotonic()
    while not all(one.alive for one in everybody):
        if time.monotonic() - began > WAIT_S:
            raise RuntimeError("a replica was not started again")
        time.sleep(0.05)


def _ranked(index: Searching, text: str) -> list[tuple[str, int]]:
    return [(hit.document_id, hit.passage.ordinal) for hit in index.search(text)]


def _spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "most": max(values)}
