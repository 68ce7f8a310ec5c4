"""A few kills of routers; `benchmarks/shards.py --only router_kills` does forty."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from .made import beside_one_index
from .router_kills import run
from .samples import QUERIES, documents

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]


def test_clients_go_on_at_another_router_and_nothing_is_left_behind(tmp_path: Path) -> None:
    made = documents(24)
    with beside_one_index(tmp_path, shards=2) as (sharded, one):
        sharded.add(made)
        one.add(made)
        expected = {
            query: [[hit.document_id, hit.passage.ordinal] for hit in one.search(query)]
            for query in QUERIES[:4]
        }
    seen = run(f"file://{tmp_path}/storage", tmp_path / "cache", expected, kills=3, seed=24)
    assert len(seen.resumed) == len(seen.restarted) == 3
    assert seen.answers >= 3
    assert seen.wrong == 0
    assert seen.orphans == 0
