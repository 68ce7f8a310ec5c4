"""Servers of a collection are killed under clients: correctness, and time to recover."""

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
    """What clients see, by where shards are searched and by the number of servers."""
    work = Path(tempfile.mkdtemp())
    try:
        generated = documents(DOCUMENTS)
        with beside_one_index(work, SHARDS) as (sharded, single):
            sharded.add(generated)
            single.add(generated)
            expected = {
                query: [[hit.document_id, hit.passage.ordinal] for hit in single.search(query)]
                for query in QUERIES
            }

        def run_kills(location: str, servers: int) -> dict[str, Any]:
            url, cache = f"file://{work}/storage", work / "cache"
            return _outcome_row(
                run(url, cache, expected, KILLS, SEED, where=location, servers=servers)
            )

        result = {
            "two servers, replicas in processes of each": run_kills(PROCESSES, 2),
            "one server that searches in its own process": run_kills(HERE, 1),
        }
        cluster = Cluster()
        try:
            for name, servers in (
                ("two servers, replicas on Ray", 2),
                ("one server, replicas on Ray", 1),
            ):
                result[name] = run_kills(cluster.address, servers) | _orphaned_replicas(cluster)
        finally:
            cluster.stop()
        return {"clients": CLIENTS, "shards": SHARDS, **result}
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _orphaned_replicas(cluster: Cluster) -> dict[str, Any]:
    """Replicas alive once all servers were killed, and how soon they ended by themselves."""
    started, before = time.monotonic(), cluster.replicas()
    while cluster.replicas() and time.monotonic() - started < 2 * LEASE_S:
        time.sleep(0.5)
    return {
        "replicas": len(before),
        "replicas_that_no_server_asks_ended_after_seconds": time.monotonic() - started,
        "replicas_left": len(cluster.replicas()),
    }


def _outcome_row(outcome: Outcome) -> dict[str, Any]:
    """An outcome as a JSON object."""
    return {
        "kills": len(outcome.resumed),
        "answers": outcome.answers,
        "ranked_wrong": outcome.wrong,
        "refused_or_cut_off": outcome.refused,
        "orphans": outcome.orphans,
        "seconds_until_all_clients_are_answered": _spread(outcome.resumed),
        "seconds_until_the_server_started_again_answers": _spread(outcome.restarted),
    }


def _spread(values: list[float]) -> dict[str, float]:
    """Median and maximum."""
    return {"median": statistics.median(values), "most": max(values)}
