"""A server of a collection, to be killed.

python -m tests.sharded.router_process URL CACHE PORT processes|here|RAY
"""

from __future__ import annotations

import sys
from pathlib import Path

from retrieval.server import running
from retrieval.sharded import Collection, ShardedIndex
from retrieval.sharded.place import Place
from retrieval.sharded.serving.hosts import Hosts, ProcessHosts
from retrieval.sharded.serving.ray_hosts import RayHosts
from retrieval.sharded.serving.served_collection import ServedCollection

from ..index.fake_encoder import FakeEncoder
from .router_kills import HERE, PROCESSES


def main() -> None:
    """Serve until killed."""
    url, cache, port, shards = sys.argv[1:]

    def hosts(place: Place) -> Hosts:
        return ProcessHosts(place) if shards == PROCESSES else RayHosts(place, shards)

    def opened(where: str) -> Collection:
        if shards == HERE:
            return ShardedIndex.open(where, encoder=FakeEncoder(), cache=Path(cache))
        return ServedCollection(where, hosts, encoder=FakeEncoder(), cache=Path(cache))

    running.serve([url], port=int(port), read_only=True, open_collection=opened)


if __name__ == "__main__":
    main()
