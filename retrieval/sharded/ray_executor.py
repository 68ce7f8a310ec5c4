"""Running the tasks of a build on a Ray cluster, as plain tasks that are retried when they die.

Everything that matters is in storage, so nothing on the cluster has to outlive a build. Results are
    small: no documents pass through Ray's object store, and vectors only from encoding actors.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from retrieval.errors import InputError, MissingDependency, RetrievalError, StorageError
from retrieval.sharded.encoding_actors import ON_GPUS, ActorKind, EncodingActors
from retrieval.sharded.executors import ENDED
from retrieval.store import Settings
from retrieval.threads import logical_cores, share_cores
from retrieval.types import Encoder

Task = TypeVar("Task")
Result = TypeVar("Result")

LOCAL = "local"
"""The address that means starting a cluster on this machine."""

RETRIES = 5
"""How often a task is retried if its process or machine dies."""

_CONNECT_SECONDS = 10.0
_LOOK_SECONDS = 1.0
_STARTS = 3
_OBJECT_STORE = 100 << 20
"""Bytes of shared memory for a cluster started here; Ray requires at least 75 MiB."""

_VECTOR_STORE = 1 << 30
"""The same if vectors pass through it: some 30 MB per task."""

STARTED_WITH = {
    # Ray's default niceness of 15 would stall a build on a machine with other work.
    "RAY_worker_niceness": "0",
    # On a busy machine, Ray gives up if one of its parts takes half a minute to start.
    "RAY_agent_register_timeout_ms": "300000",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""Environment variables for a cluster started here, unless they are set already."""


class RayCluster:
    """Runs tasks on the cluster that this process is connected to."""

    here = False
    shares_disk = False

    def __init__(self, encode_on: ActorKind | None = None) -> None:
        """Use the connected cluster.

        Args:
            encode_on: the actors that encode for the tasks; None lets each task encode.
        """
        self._encode_on = encode_on
        self._actors: EncodingActors | None = None

    def encoder(self, settings: Settings) -> Encoder | None:
        """See `Executor`."""
        if self._encode_on is None:
            return None
        self.stop_encoding()
        self._actors = EncodingActors(settings, self._encode_on)
        return self._actors.encoder()

    def stop_encoding(self) -> None:
        """Stop the actors, if there are any."""
        if self._actors is not None:
            self._actors.stop()
            self._actors = None

    def run(
        self, function: Callable[[Task], Result], tasks: Sequence[Task]
    ) -> Iterator[tuple[int, Result]]:
        """See `Executor`."""
        import ray
        from ray import exceptions

        resources: Any = ray.cluster_resources
        cores = max(1, int(resources().get("CPU", 1)))
        at_once = min(cores, len(tasks))

        def done_by(task: Task) -> Result:
            # Otherwise each would start as many threads as its machine has cores.
            share_cores(-(-at_once * logical_cores() // cores))
            return function(task)

        remote: Any = ray.remote(num_cpus=1, max_retries=RETRIES)(done_by)
        waiting = {remote.remote(task): number for number, task in enumerate(tasks)}
        try:
            while waiting:
                # With short timeouts, so that Ctrl-C works promptly.
                done, _ = ray.wait(list(waiting), timeout=_LOOK_SECONDS, fetch_local=False)
                for one in done:
                    yield waiting.pop(one), ray.get(one)
        except exceptions.RayTaskError as error:
            raise _cause(error) from None
        except exceptions.RayError as error:
            raise StorageError(f"{ENDED} ({type(error).__name__})") from error
        finally:
            for one in waiting:
                ray.cancel(one)


def _cause(error: Any) -> BaseException:
    """The error that a task raised, as if raised here."""
    cause = error.cause
    if isinstance(cause, RetrievalError):
        return cause
    line = " ".join(f"{type(cause).__name__}: {cause}".split())
    return StorageError(f"a task of the build failed ({line:.300}); run it again")


@contextmanager
def ray_cluster(
    address: str, workers: int | None = None, *, on_gpus: bool = False
) -> Iterator[RayCluster]:
    """A connection to a cluster, or a cluster started on this machine for the block.

    A process that is connected already stays connected.

    Args:
        address: `host:port` of a cluster that this machine is part of, `ray://host:port` of any
            other, or `local`.
        workers: number of processes of a cluster started here; None is one per core.
        on_gpus: whether actors on its GPUs encode for the tasks.

    Raises:
        InputError: nothing answers at the address, or Ray cannot use it.
        MissingDependency: Ray is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingDependency(
            "a cluster needs Ray: pip install 'modernbert-retrieval[ray]'"
        ) from error
    cluster = RayCluster(ON_GPUS if on_gpus else None)
    if ray.is_initialized():
        try:
            yield cluster
        finally:
            cluster.stop_encoding()
        return
    own: dict[str, Any] = {}
    if address == LOCAL:
        for name, value in STARTED_WITH.items():
            os.environ.setdefault(name, value)
        own = {"num_cpus": workers, "include_dashboard": False}
        own["object_store_memory"] = _OBJECT_STORE if not on_gpus else _VECTOR_STORE
    else:
        _answers(address)
    _connect(address, own)
    try:
        yield cluster
    finally:
        ray.shutdown()  # also stops the actors


def _connect(address: str, own: Mapping[str, Any]) -> None:
    import ray

    for left in reversed(range(_STARTS if address == LOCAL else 1)):
        try:
            # Workers' output is not forwarded; their errors come back as the tasks' errors.
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **own)
            return
        except Exception as error:
            ray.shutdown()
            if left:  # a node has half a minute to start, which is not enough on a busy machine
                continue
            line = " ".join(str(error).split())
            raise InputError(
                f"Ray cannot be used at {address} ({type(error).__name__}: {line:.200}); give the "
                f"host:port of a cluster that this machine is part of, or local{_token(address)}"
            ) from error


def _token(address: str) -> str:
    """A hint about tokens: if one is missing, Ray only says that it fails."""
    if address == LOCAL or os.environ.get("RAY_AUTH_MODE", "").lower() == "token":
        return ""
    return "; if the cluster asks for a token, set RAY_AUTH_MODE=token and provide it here too"


def _answers(address: str) -> None:
    """InputError if nothing listens at an address; Ray itself would retry for minutes."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if not (colon and host and port.isdecimal()):
        raise InputError(
            f"{address!r} is not an address of Ray; give host:port, ray://host:port or local"
        )
    try:
        socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
    except OSError as error:
        raise InputError(
            f"no Ray cluster answers at {address} ({error.strerror or error}); start one with "
            "`ray start --head`, or use local for one on this machine"
        ) from error
