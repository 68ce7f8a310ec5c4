"""A server that is the router of a collection, to be killed.

python -m tests.sharded.router_process URL CACHE [RAY]
"""

from __future__ import annotations

import sys
from pathlib import Path

from retrieval.server import running
from retrieval.sharded.place import Place
from retrieval.sharded.serving.hosts import Hosts, ProcessHosts
from retrieval.sharded.serving.ray_hosts import RayHosts
from retrieval.sharded.serving.served_collection import ServedCollection

from ..index.fake_encoder import FakeEncoder


def main() -> None:
    """Serve until killed; the first line that is printed says where."""
    url, cache, *ray = sys.argv[1:]

    def hosts(place: Place) -> Hosts:
        return RayHosts(place, ray[0]) if ray else ProcessHosts(place)

    running.serve(
        [url],
        port=0,
        read_only=True,
        open_collection=lambda where: ServedCollection(
            where, hosts, encoder=FakeEncoder(), cache=Path(cache)
        ),
        on_start=lambda at: print(at, flush=True),
    )


if __name__ == "__main__":
    main()
