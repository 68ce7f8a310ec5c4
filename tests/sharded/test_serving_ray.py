"""Replicas as actors of a Ray cluster of several nodes, which runs on this machine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ray = pytest.importorskip("ray")

from ray.cluster_utils import Cluster  # noqa: E402

from retrieval.index import Index  # noqa: E402
from retrieval.sharded.serving.ray_hosts import RayHosts  # noqa: E402
from retrieval.sharded.serving.served_collection import ServedCollection  # noqa: E402

from ..index.fake_encoder import FakeEncoder  # noqa: E402
from .made import beside_one_index  # noqa: E402
from .samples import QUERIES, documents, shown  # noqa: E402
from .serving_samples import until  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head and two machines, as Ray sees them."""
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes = [made.add_node(num_cpus=2) for _ in range(2)]
    made.connect(namespace="retrieval")
    yield made, nodes
    ray.shutdown()
    made.shutdown()


def kill_an_actor() -> None:
    """End the first replica of shard 0."""
    names = ray.util.list_named_actors(all_namespaces=True)
    (name,) = [one["name"] for one in names if one["name"].endswith("-0-0")]
    ray.kill(ray.get_actor(name, namespace="retrieval"))


def machine_of(shard: int, copy: int) -> str:
    names = ray.util.list_named_actors(all_namespaces=True)
    (name,) = [one["name"] for one in names if one["name"].endswith(f"-{shard}-{copy}")]
    machine: str = ray.get(ray.get_actor(name, namespace="retrieval").machine.remote())
    return machine


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Index]]:
    place = tmp_path_factory.mktemp("ray")
    with beside_one_index(place, shards=2) as (sharded, one):
        sharded.add(documents(40))
        one.add(documents(40))
        yield place, one


def opened(place: Path, address: str, replicas: int = 2) -> ServedCollection:
    return ServedCollection(
        f"file://{place}/storage",
        lambda where: RayHosts(where, address),
        replicas=replicas,
        encoder=FakeEncoder(),
        cache=place / "cache",
    )


def test_actors_and_machines_are_killed_and_a_router_starts_again(
    cluster: Any, built: tuple[Path, Index]
) -> None:
    place, one = built
    expected = {query: shown(one.search(query)) for query in QUERIES}
    made, nodes = cluster

    def rightly_ranked(collection: ServedCollection) -> None:
        for query in QUERIES:
            assert shown(collection.search(query)) == expected[query]

    first = opened(place, made.address)
    rightly_ranked(first)
    replicas = [one for several in first._keeper.sets.values() for one in several.replicas]

    # An actor's process: its shard's other replica answers, and it is started again.
    before = replicas[0].address
    kill_an_actor()
    rightly_ranked(first)
    until(lambda: replicas[0].alive and replicas[0].address != before, 120)
    rightly_ranked(first)

    # The router: the next one finds the actors that run, and starts none.
    known = {(one.group, one.copy): one.address for one in replicas}
    first._keeper._ended.set()  # as if its process were gone: nothing is said to anybody
    began = time.monotonic()
    with opened(place, made.address) as second:
        rightly_ranked(second)
        print(f"\na second router answers after {time.monotonic() - began:.1f} s")
        again = [one for several in second._keeper.sets.values() for one in several.replicas]
        assert {(one.group, one.copy): one.address for one in again} == known

        # No machine has both copies of a shard, whichever router started them.
        for shard in range(2):
            assert len({machine_of(shard, copy) for copy in range(2)}) == 2

        # A machine: what ran there is started on the other.
        made.remove_node(nodes[0])
        rightly_ranked(second)
        until(lambda: all(one.alive for one in again), 120)
        rightly_ranked(second)
