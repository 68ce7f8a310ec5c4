"""Servers of a collection killed while clients ask: what is answered, and how soon."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from retrieval.sharded.serving.replica import LEASE_S
from tests.sharded.kills_on_ray import Cluster
from tests.sharded.made import beside_one_index
from tests.sharded.router_kills import CLIENTS, HERE, PROCESSES, Outcome, run
from tests.sharded.samples import QUERIES, documents

DOCUMENTS = 300
SHARDS = 3
KILLS = 40
"""By SIGKILL, of each kind."""

SEED = 24


def router_kills() -> dict[str, Any]:
    """What clients see, by where the shards are searched and how many servers there are."""
    work = Path(tempfile.mkdtemp())
    try:
        made = documents(DOCUMENTS)
        with beside_one_index(work, SHARDS) as (sharded, one):
            sharded.add(made)
            one.add(made)
            expected = {
                query: [[hit.document_id, hit.passage.ordinal] for hit in one.search(query)]
                for query in QUERIES
            }

        def killed(where: str, servers: int) -> dict[str, Any]:
            url, cache = f"file://{work}/storage", work / "cache"
            return _told(run(url, cache, expected, KILLS, SEED, where=where, servers=servers))

        found = {
            "two servers, replicas in processes of each": killed(PROCESSES, 2),
            "one server that searches in its own process": killed(HERE, 1),
        }
        cluster = Cluster()
        try:
            for name, servers in (
                ("two servers, replicas on Ray", 2),
                ("one server, replicas on Ray", 1),
            ):
                found[name] = killed(cluster.address, servers) | _left(cluster)
        finally:
            cluster.stop()
        return {"clients": CLIENTS, "shards": SHARDS, **found}
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _left(cluster: Cluster) -> dict[str, Any]:
    """Replicas that run once all servers were killed, and how soon they had ended by themselves."""
    began, left = time.monotonic(), cluster.replicas()
    while cluster.replicas() and time.monotonic() - began < 2 * LEASE_S:
        time.sleep(0.5)
    return {
        "replicas": len(left),
        "replicas_that_no_server_asks_ended_after_seconds": time.monotonic() - began,
        "replicas_left": len(cluster.replicas()),
    }


def _told(seen: Outcome) -> dict[str, Any]:
    return {
        "kills": len(seen.resumed),
        "answers": seen.answers,
        "ranked_wrong": seen.wrong,
        "refused_or_cut_off": seen.refused,
        "orphans": seen.orphans,
        "seconds_until_all_clients_are_answered": _spread(seen.resumed),
        "seconds_until_the_server_started_again_answers": _spread(seen.restarted),
    }


def _spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "most": max(values)}
