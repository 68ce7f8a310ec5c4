"""A few kills of servers; `benchmarks/shards.py --only router_kills` does forty of each kind."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from .kills_on_ray import Cluster
from .made import beside_one_index
from .router_kills import HERE, PROCESSES, Outcome, Ranking, run
from .samples import QUERIES, documents

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Mapping[str, Ranking]]]:
    place = tmp_path_factory.mktemp("killed")
    with beside_one_index(place, shards=2) as (sharded, one):
        sharded.add(documents(24))
        one.add(documents(24))
        yield (
            place,
            {
                query: [[hit.document_id, hit.passage.ordinal] for hit in one.search(query)]
                for query in QUERIES[:4]
            },
        )


def killed(
    made: tuple[Path, Mapping[str, Ranking]], where: str, servers: int, kills: int = 3
) -> Outcome:
    place, expected = made
    url = f"file://{place}/storage"
    return run(url, place / "cache", expected, kills, 24, where=where, servers=servers)


@pytest.mark.parametrize(("where", "servers"), [(PROCESSES, 2), (HERE, 1)])
def test_clients_are_answered_again_and_nothing_is_left_behind(
    made: tuple[Path, Mapping[str, Ranking]], where: str, servers: int
) -> None:
    seen = killed(made, where, servers)
    assert len(seen.resumed) == len(seen.restarted) == 3
    assert seen.answers >= 3
    assert seen.wrong == 0
    assert seen.orphans == 0


def test_a_server_started_again_on_ray_takes_the_actors_that_run(
    made: tuple[Path, Mapping[str, Ranking]],
) -> None:
    pytest.importorskip("ray")
    cluster = Cluster()
    try:
        first = killed(made, cluster.address, 1, kills=1)
        replicas = sorted(cluster.replicas())
        again = killed(made, cluster.address, 2, kills=2)
        assert sorted(cluster.replicas()) == replicas
    finally:
        cluster.stop()
    assert len(replicas) == 2
    for seen in (first, again):
        assert seen.answers >= 1
        assert seen.wrong == 0
        assert seen.orphans == 0
