"""Opening a collection in shards on a cluster, for `retrieval serve`."""

from __future__ import annotations

from retrieval.sharded import Collection
from retrieval.sharded.serving.ray_hosts import RayHosts
from retrieval.sharded.serving.served_collection import ServedCollection


def served(
    url: str,
    *,
    ray: str,
    replicas: int = 1,
    partial: bool = False,
    encoder: str | None = None,
) -> Collection:
    """A collection whose shards are served by replicas on a Ray cluster.

    Args:
        url: the collection's URL.
        ray: the cluster's address, see `ray_cluster`; `local` starts one on this machine.
        replicas: number of replicas of each shard.
        partial: whether a search goes on without shards that are unavailable.
        encoder: the encoder that it was built with, if it is loaded from another place.

    Raises:
        MissingDependency: Ray is not installed.
        InputError: there is no cluster at the address.
    """
    return ServedCollection(
        url,
        lambda place: RayHosts(place, ray, encoder=encoder),
        replicas=replicas,
        partial=partial,
        encoder=encoder,
    )
