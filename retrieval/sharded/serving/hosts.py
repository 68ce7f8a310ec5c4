"""Where replicas run: processes on this machine."""

from __future__ import annotations

import multiprocessing
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Protocol

from retrieval.errors import StorageError
from retrieval.sharded.place import Place
from retrieval.sharded.serving.replica import Replica
from retrieval.sharded.serving.wire import Address
from retrieval.threads import logical_cores

START_S = 300.0
"""Time limit for a replica to start listening; many start at the same time."""


class Hosts(Protocol):
    """Where replicas run. Methods may be called by several threads."""

    def groups(self, shards: int) -> int:
        """How many groups so many shards are divided into; a replica serves one group.

        Shard n is in group n modulo that number, which never changes for a collection.
        """

    def start(self, group: int, copy: int) -> Address:
        """The address of this replica of a group of shards, started if it is not running.

        Raises:
            StorageError: it cannot be started.
        """

    def close(self) -> None:
        """Called when the router ends."""


class ProcessHosts:
    """Replicas in processes on this machine, which end with the router's process.

    There are no more groups than cores. A search then asks each process about all of its shards in
    one request; with more processes, each request would wake one that has to wait for a core.
    """

    def __init__(self, place: Place, *, encoder: str | None = None) -> None:
        """Set what the replicas serve.

        Args:
            place: the collection's place.
            encoder: the encoder that it was built with, if it is loaded from another place.
        """
        self._place = place
        self._encoder = encoder
        self._most = logical_cores()
        self._lock = threading.Lock()  # guards the attributes below
        self._running: dict[tuple[int, int], BaseProcess] = {}  # also while starting
        self._closed = False

    def groups(self, shards: int) -> int:
        """As the protocol says."""
        return min(shards, self._most)

    def start(self, group: int, copy: int) -> Address:
        """As the protocol says; a running process is stopped first."""
        with self._lock:
            before = self._running.pop((group, copy), None)
        if before is not None:
            _end(before)
        # Forking a process with threads is not safe.
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe(duplex=False)
        with here:
            process: BaseProcess = context.Process(
                target=_run, args=[there, self._place, self._encoder], daemon=True
            )
            with there, self._lock:
                if self._closed:
                    raise StorageError("no replica is started any more: the router ends")
                process.start()
                self._running[group, copy] = process  # early, so that `close` stops it, too
            with suppress(EOFError):
                if here.poll(START_S):
                    address: Address = here.recv()
                    return address
        with self._lock:
            if self._running.get((group, copy)) is process:
                del self._running[group, copy]
        _end(process)
        raise StorageError("the process of a replica could not be started")

    def process(self, group: int, copy: int) -> BaseProcess:
        """The process of a replica."""
        with self._lock:
            return self._running[group, copy]

    def close(self) -> None:
        """As the protocol says: the processes are stopped, and no more are started."""
        with self._lock:
            self._closed = True
            running, self._running = self._running, {}
        for process in running.values():
            process.kill()
        for process in running.values():
            process.join()


def _end(process: BaseProcess) -> None:
    process.kill()
    process.join()


def _run(there: Connection, place: Place, encoder: str | None) -> None:
    replica = Replica(place, encoder=encoder)
    replica.end_with_lease()
    there.send(replica.address)
    there.close()
    router = multiprocessing.process.parent_process()
    assert router is not None
    router.join()
