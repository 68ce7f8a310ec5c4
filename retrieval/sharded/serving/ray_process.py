"""The process that joins a Ray cluster for a router, and starts replicas there as actors."""

from __future__ import annotations

import hashlib
import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from retrieval import __version__
from retrieval.errors import RetrievalError, StorageError
from retrieval.sharded.place import Place
from retrieval.sharded.ray_executor import ray_cluster
from retrieval.sharded.serving.replica import Replica
from retrieval.sharded.serving.wire import Address

JOINED = "joined"
"""The first message once the cluster is joined; otherwise an error is sent."""

END = None
"""The message to leave the cluster. A pipe that its other end closes is not seen as closed as long
as a thread there waits for something to come."""

START_S = 120.0
"""Time limit for an actor to start listening."""

_NAMESPACE = "retrieval"
_AT_ONCE = 16
_ASK_S = 5.0


def joined(there: Connection, place: Place, address: str, encoder: str | None) -> None:
    """Start replicas as requested over the pipe, until `END` comes or its other end is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's, which closes the pipe
    try:
        with ray_cluster(address), ThreadPoolExecutor(_AT_ONCE) as threads:
            actors, sending = Actors(place, encoder), threading.Lock()
            there.send(JOINED)

            def start(number: int, shard: int, copy: int) -> None:
                said: Address | RetrievalError
                try:
                    said = actors.start(shard, copy)
                except RetrievalError as error:
                    said = error
                with sending, suppress(OSError):
                    there.send((number, said))

            with suppress(OSError, EOFError):
                while (asked := there.recv()) is not END:
                    threads.submit(start, *asked)
    except RetrievalError as error:
        there.send(error)


class Actors:
    """Replicas as actors of the cluster that this process has joined."""

    def __init__(self, place: Place, encoder: str | None) -> None:
        """Set what they serve."""
        import ray

        self._ray = ray
        self._place = place
        self._encoder = encoder
        told = repr((__version__, place.url, sorted(place.options.items()), encoder))
        self._name = hashlib.sha256(told.encode()).hexdigest()[:16]
        self._known: dict[tuple[int, int], Address] = {}
        self._placing = threading.Lock()
        self._machines: dict[tuple[int, int], str] = {}

    def start(self, shard: int, copy: int) -> Address:
        """Like `Hosts.start`."""
        ray = self._ray
        for last in (False, True):
            actor = None
            try:
                actor = self._actor(shard, copy)
                address: Address = ray.get(actor.address.remote(), timeout=START_S)
                self._machines[shard, copy] = ray.get(actor.machine.remote(), timeout=_ASK_S)
            except (ray.exceptions.RayError, ValueError) as error:
                with suppress(ray.exceptions.RayError, ValueError):
                    if actor is not None:
                        ray.kill(actor)
                if last:
                    raise StorageError(
                        f"Ray starts no replica of shard {shard} ({_line(error)}); see its "
                        "dashboard or `ray status`"
                    ) from error
            else:
                known = self._known.get((shard, copy))
                if known == address and not last:
                    # It was listening there but does not answer: it hangs, or is cut off.
                    ray.kill(actor)
                    continue
                self._known[shard, copy] = address
                return address
        raise AssertionError

    def _actor(self, shard: int, copy: int) -> Any:
        """The actor of a replica: the running one, or a new one."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        name = self._name_of(shard, copy)
        with suppress(ValueError):
            return self._ray.get_actor(name, namespace=_NAMESPACE)
        made = self._ray.remote(ReplicaActor).options(
            name=name,
            namespace=_NAMESPACE,
            lifetime="detached",
            get_if_exists=True,
            num_cpus=0,  # any number of them, on however few cores
            max_restarts=0,  # the router restarts it, and tells it what to load
            # With soft affinity, actors that need no core are placed anywhere (Ray 2.60).
            scheduling_strategy=NodeAffinitySchedulingStrategy(
                self._machine_for(shard, copy), soft=False
            ),
        )
        return made.remote(self._place, self._encoder)

    def _machine_for(self, shard: int, copy: int) -> str:
        """The machine for a new replica: one without another copy of its shard, if there is one.

        Ray's own "SPREAD" may put both copies on one machine, and they would be lost together.
        """
        listed: Any = self._ray.nodes
        nodes: list[dict[str, Any]] = [node for node in listed() if node["Alive"]]
        # A head is often given no cores, to keep work off it.
        working = [node for node in nodes if node["Resources"].get("CPU")] or nodes
        with self._placing:
            self._ask_copies(shard)
            others = {place: at for place, at in self._machines.items() if place != (shard, copy)}
            copies = Counter(at for (one, _), at in others.items() if one == shard)
            held = Counter(others.values())
            names: list[str] = [node["NodeID"] for node in working]
            chosen = min(names, key=lambda name: (copies[name], held[name]))
            self._machines[shard, copy] = chosen
        return chosen

    def _ask_copies(self, shard: int) -> None:
        """Find out where replicas of a shard run that another router started."""
        begin = self._name_of(shard, "")
        for named in self._ray.util.list_named_actors(all_namespaces=True):
            name, copy = named["name"], named["name"].removeprefix(begin)
            if named["namespace"] != _NAMESPACE or not name.startswith(begin):
                continue
            if copy.isdecimal() and (shard, int(copy)) not in self._machines:
                with suppress(self._ray.exceptions.RayError, ValueError):
                    actor = self._ray.get_actor(name, namespace=_NAMESPACE)
                    machine: Any = self._ray.get(actor.machine.remote(), timeout=_ASK_S)
                    self._machines[shard, int(copy)] = machine

    def _name_of(self, shard: int, copy: int | str) -> str:
        return f"{self._name}-{shard}-{copy}"


class ReplicaActor:
    """The actor: a replica that listens at its machine's address."""

    def __init__(self, place: Place, encoder: str | None) -> None:
        """Start listening."""
        import ray

        own_address: Any = ray.util.get_node_ip_address
        host: str = own_address()
        self._replica = Replica(place, encoder=encoder, host=host)
        self._replica.end_with_lease()

    def address(self) -> Address:
        """Its address, with the key."""
        return self._replica.address

    def machine(self) -> str:
        """The cluster node that it runs on."""
        import ray

        node: str = ray.get_runtime_context().get_node_id()
        return node


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
