"""Where replicas run: processes of this machine."""

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
"""A replica that does not listen within this time is not started; many start at a time."""


class Hosts(Protocol):
    """Where replicas run. Methods may be called by several threads."""

    def groups(self, shards: int) -> int:
        """Into how many groups so many shards are put: a replica holds those of one.

        Shard n is of group n modulo that. It is always the same for a collection.
        """

    def start(self, group: int, copy: int) -> Address:
        """Where this replica of a group of shards listens, started if it is not running.

        Raises:
            StorageError: it cannot be started.
        """

    def close(self) -> None:
        """The router ends."""


class ProcessHosts:
    """Replicas in processes of this machine, which end with the router's.

    There are no more groups than cores: a search then asks a process for what all its shards say,
    where each question to a process of its own would wake one that waits for the others' core.
    """

    def __init__(self, place: Place, *, encoder: str | None = None) -> None:
        """Say what they hold.

        Args:
            place: of the collection.
            encoder: what it was built with, if it is to be loaded from another place.
        """
        self._place = place
        self._encoder = encoder
        self._most = logical_cores()
        self._lock = threading.Lock()  # guards what follows
        self._running: dict[tuple[int, int], BaseProcess] = {}  # those that only begin, too
        self._closed = False

    def groups(self, shards: int) -> int:
        """As the protocol says."""
        return min(shards, self._most)

    def start(self, group: int, copy: int) -> Address:
        """As the protocol says; what was running is ended."""
        with self._lock:
            before = self._running.pop((group, copy), None)
        if before is not None:
            _end(before)
        # Of a fork of a process with threads nothing is sure.
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
                self._running[group, copy] = process  # before it is heard: `close` ends it, too
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
        """As the protocol says: they end, and none is started any more."""
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
