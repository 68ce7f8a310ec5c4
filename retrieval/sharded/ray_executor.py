"""The tasks of a build on a Ray cluster: plain tasks, which are run again where they ended.

The storage holds all that matters, so nothing of the cluster need outlive a build. Results are
small: no documents travel through Ray's object store, and vectors only from encoding actors.
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
"""The address that starts a cluster on this machine."""

RETRIES = 5
"""How often a task is run again whose process or machine ended."""

_CONNECT_SECONDS = 10.0
_LOOK_SECONDS = 1.0
_STARTS = 3
_OBJECT_STORE = 100 << 20
"""Bytes of shared memory of a cluster that is started here; Ray asks for 75 MiB at least."""

_VECTOR_STORE = 1 << 30
"""The same where vectors travel by it: some 30 MB are under way for each task."""

STARTED_WITH = {
    # Ray lets its workers run behind all else (15): beside other work a build would stand still.
    "RAY_worker_niceness": "0",
    # On a busy machine a part of Ray that takes half a minute to start ends all of it.
    "RAY_agent_register_timeout_ms": "300000",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""Settings of a cluster that is started here, but for those that the environment has already."""


class RayCluster:
    """Runs tasks on the cluster that this process is connected to."""

    here = False
    shares_disk = False

    def __init__(self, encode_on: ActorKind | None = None) -> None:
        """Take the cluster into use.

        Args:
            encode_on: what actors encode on for the tasks; None lets each task encode.
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
        """End the actors, if there are any."""
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
            # Else each would start as many threads as its machine has cores.
            share_cores(-(-at_once * logical_cores() // cores))
            return function(task)

        remote: Any = ray.remote(num_cpus=1, max_retries=RETRIES)(done_by)
        waiting = {remote.remote(task): number for number, task in enumerate(tasks)}
        try:
            while waiting:
                # In short turns, so that Ctrl-C is not kept waiting.
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
    """What a task raised, as it would have been raised here."""
    cause = error.cause
    if isinstance(cause, RetrievalError):
        return cause
    line = " ".join(f"{type(cause).__name__}: {cause}".split())
    return StorageError(f"a task of the build failed ({line:.300}); run it again")


@contextmanager
def ray_cluster(
    address: str, workers: int | None = None, *, on_gpus: bool = False
) -> Iterator[RayCluster]:
    """A connection to a cluster, or a cluster of this machine for the time of the block.

    A process that is connected already stays so.

    Args:
        address: `host:port` of a cluster that this machine is part of, `ray://host:port` of any
            other, or `local`.
        workers: how many processes of a cluster that is started here; None is one a core.
        on_gpus: whether actors on its GPUs encode for the tasks.

    Raises:
        InputError: nothing answers at that address, or Ray cannot use it.
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
        ray.shutdown()  # which ends the actors


def _connect(address: str, own: Mapping[str, Any]) -> None:
    import ray

    for left in reversed(range(_STARTS if address == LOCAL else 1)):
        try:
            # What a worker prints is its own; what it raises comes back as the task's error.
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **own)
            return
        except Exception as error:
            ray.shutdown()
            if left:  # a node has half a minute to start, which is too little on a busy machine
                continue
            line = " ".join(str(error).split())
            raise InputError(
                f"Ray cannot be used at {address} ({type(error).__name__}: {line:.200}); give the "
                f"host:port of a cluster that this machine is part of, or local{_token(address)}"
            ) from error


def _token(address: str) -> str:
    """What else may be wrong: Ray says no more of a token that it lacks than that it fails."""
    if address == LOCAL or os.environ.get("RAY_AUTH_MODE", "").lower() == "token":
        return ""
    return "; if the cluster asks for a token, set RAY_AUTH_MODE=token and have it here, too"


def _answers(address: str) -> None:
    """InputError if nothing listens at an address: Ray itself would try for minutes."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if not (colon and host and port.isdecimal()):
        raise InputError(
            f"{address!r} is no address of a Ray cluster; give host:port, ray://host:port or local"
        )
    try:
        socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
    except OSError as error:
        raise InputError(
            f"no Ray cluster answers at {address} ({error.strerror or error}); start one with "
            "`ray start --head`, or give local for one on this machine"
        ) from error
