"""Servers that route queries killed while clients ask: what is answered, and how soon."""

from __future__ import annotations

import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

from tests.sharded.made import beside_one_index
from tests.sharded.router_kills import CLIENTS, Outcome, run
from tests.sharded.samples import QUERIES, documents

DOCUMENTS = 300
SHARDS = 3
KILLS = 40
"""By SIGKILL."""

SEED = 24


def router_kills() -> dict[str, Any]:
    """What clients of two servers see, each the router of replicas in processes of its own."""
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
        return _told(run(f"file://{work}/storage", work / "cache", expected, KILLS, SEED))
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _told(seen: Outcome) -> dict[str, Any]:
    return {
        "kills": len(seen.resumed),
        "clients": CLIENTS,
        "shards": SHARDS,
        "answers": seen.answers,
        "ranked_wrong": seen.wrong,
        "refused_or_cut_off": seen.refused,
        "orphans": seen.orphans,
        "seconds_until_all_clients_are_answered": _spread(seen.resumed),
        "seconds_until_the_server_started_again_answers": _spread(seen.restarted),
    }


def _spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "most": max(values)}
