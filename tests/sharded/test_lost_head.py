"""A server outlives the head of its Ray cluster, and answers again once there is another."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")

from ray.cluster_utils import Cluster

from retrieval.errors import ShardUnavailable
from retrieval.sharded.serving.ray_hosts import RayHosts
from retrieval.sharded.serving.served_collection import ServedCollection

from ..index.fake_encoder import FakeEncoder
from .made import beside_one_index
from .samples import QUERIES, documents, shown
from .serving_samples import until

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

PORT = 26379


def started() -> Any:
    """A cluster of one machine, which this process does not join."""
    return Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 1,
            "include_dashboard": False,
            "gcs_server_port": PORT,
            # Ray waits for so long before it ends what has lost the head; a minute by default.
            "_system_config": {"gcs_rpc_server_reconnect_timeout_s": 3},
        },
    )


def test_the_head_is_lost(tmp_path: Path) -> None:
    made = documents(24)
    with beside_one_index(tmp_path, shards=2) as (sharded, one):
        sharded.add(made)
        one.add(made)
        expected = {query: shown(one.search(query)) for query in QUERIES[:3]}
    cluster = started()
    try:
        with ServedCollection(
            f"file://{tmp_path}/storage",
            lambda place: RayHosts(place, cluster.address),
            encoder=FakeEncoder(),
            cache=tmp_path / "cache",
        ) as served:

            def right() -> bool:
                with contextlib.suppress(ShardUnavailable):
                    return all(shown(served.search(q)) == expected[q] for q in expected)
                return False

            assert right()
            hosts = served._keeper._hosts
            assert isinstance(hosts, RayHosts)
            before = hosts._member
            assert before is not None
            cluster.remove_node(cluster.head_node, allow_graceful=False)
            until(lambda: not before.is_there, 120)
            with contextlib.suppress(ShardUnavailable):
                assert shown(served.search(QUERIES[0])) == expected[QUERIES[0]]
            cluster.shutdown()
            cluster = started()
            until(right, 180)
            assert hosts._member is not before
    finally:
        cluster.shutdown()
