"""Where replicas run: actors of a Ray cluster.

Ray places them, on whichever machines there are; what they are asked goes over their own wire. An
actor has a name, so that a router that is started again finds those that run, and ends by itself
when no router speaks to it any more.
"""

from __future__ import annotations

import hashlib
from contextlib import ExitStack, suppress
from typing import Any

from retrieval import __version__
from retrieval.errors import StorageError
from retrieval.sharded.place import Place
from retrieval.sharded.ray_executor import LOCAL, ray_cluster
from retrieval.sharded.serving.replica import Replica
from retrieval.sharded.serving.wire import Address

START_S = 120.0
"""An actor that does not listen within this time is not started."""

_NAMESPACE = "retrieval"


class RayHosts:
    """Replicas as actors of a Ray cluster, one in each, spread over its machines."""

    def __init__(self, place: Place, address: str = LOCAL, *, encoder: str | None = None) -> None:
        """Join a cluster.

        Args:
            place: of the collection; machines have the same keys to its storage.
            address: see `ray_cluster`.
            encoder: what the collection was built with, if it is to be loaded from another place.

        Raises:
            MissingDependency: Ray is not installed.
            InputError: there is no cluster at the address.
        """
        self._joined = ExitStack()
        self._joined.enter_context(ray_cluster(address))
        import ray

        self._ray = ray
        self._place = place
        self._encoder = encoder
        told = repr((__version__, place.url, sorted(place.options.items()), encoder))
        self._name = hashlib.sha256(told.encode()).hexdigest()[:16]
        self._actors: dict[tuple[int, int], Any] = {}
        self._known: dict[tuple[int, int], Address] = {}

    def start(self, shard: int, copy: int) -> Address:
        """As `Hosts` says: an actor that runs already is taken, one that does not answer ended."""
        ray = self._ray
        for last in (False, True):
            try:
                actor = self._actor(shard, copy)
                address: Address = ray.get(actor.address.remote(), timeout=START_S)
            except (ray.exceptions.RayError, ValueError) as error:
                with suppress(ray.exceptions.RayError, ValueError):
                    ray.kill(self._actors[shard, copy])
                if last:
                    raise StorageError(
                        f"Ray starts no replica of shard {shard} ({_line(error)}); see its "
                        "dashboard or `ray status`"
                    ) from error
            else:
                known = self._known.get((shard, copy))
                if known == address and not last:
                    # It listened there before and is not to be had: it hangs, or is cut off.
                    ray.kill(actor)
                    continue
                self._known[shard, copy] = address
                return address
        raise AssertionError

    def close(self) -> None:
        """As `Hosts` says: actors of a shared cluster stay for a while, for the next router."""
        self._joined.close()

    def _actor(self, shard: int, copy: int) -> Any:
        made = self._ray.remote(ReplicaActor).options(
            name=f"{self._name}-{shard}-{copy}",
            namespace=_NAMESPACE,
            lifetime="detached",
            get_if_exists=True,
            num_cpus=0,  # as many as it takes, on however few cores
            max_restarts=0,  # the router starts it again, and tells it what to hold
            scheduling_strategy="SPREAD",
        )
        actor = self._actors[shard, copy] = made.remote(self._place, self._encoder)
        return actor


class ReplicaActor:
    """The actor: a replica that listens at its machine's address."""

    def __init__(self, place: Place, encoder: str | None) -> None:
        """Start to listen."""
        import ray

        own_address: Any = ray.util.get_node_ip_address
        host: str = own_address()
        self._replica = Replica(place, encoder=encoder, host=host)
        self._replica.end_with_lease()

    def address(self) -> Address:
        """Where it listens, and what one has to know."""
        return self._replica.address


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
