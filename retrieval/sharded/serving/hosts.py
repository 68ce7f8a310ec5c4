"""Where replicas run: processes of this machine."""

from __future__ import annotations

import multiprocessing
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Protocol

from retrieval.errors import StorageError
from retrieval.sharded.place import Place
from retrieval.sharded.serving.replica import Replica
from retrieval.sharded.serving.wire import Address

START_S = 300.0
"""A replica that does not listen within this time is not started; many start at a time."""


class Hosts(Protocol):
    """Where replicas run. Methods may be called by several threads."""

    def start(self, shard: int, copy: int) -> Address:
        """Where this replica of a shard listens, started if it is not running.

        Raises:
            StorageError: it cannot be started.
        """

    def close(self) -> None:
        """The router ends."""


class ProcessHosts:
    """Replicas in processes of this machine, which end with the router's."""

    def __init__(self, place: Place, *, encoder: str | None = None) -> None:
        """Say what they hold.

        Args:
            place: of the collection.
            encoder: what it was built with, if it is to be loaded from another place.
        """
        self._place = place
        self._encoder = encoder
        self._running: dict[tuple[int, int], BaseProcess] = {}

    def start(self, shard: int, copy: int) -> Address:
        """As the protocol says; what was running is ended."""
        self._end(self._running.pop((shard, copy), None))
        # Of a fork of a process with threads nothing is sure.
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe(duplex=False)
        process = context.Process(
            target=_run, args=[there, self._place, self._encoder], daemon=True
        )
        process.start()
        there.close()
        with here, suppress(EOFError):
            if here.poll(START_S):
                address: Address = here.recv()
                self._running[shard, copy] = process
                return address
        self._end(process)
        raise StorageError(f"the process of a replica of shard {shard} could not be started")

    def process(self, shard: int, copy: int) -> BaseProcess:
        """The process of a replica."""
        return self._running[shard, copy]

    def close(self) -> None:
        """As the protocol says: they end."""
        for process in self._running.values():
            process.kill()
        for process in self._running.values():
            process.join()

    def _end(self, process: BaseProcess | None) -> None:
        if process is not None:
            process.kill()
            process.join()


def _run(there: Connection, place: Place, encoder: str | None) -> None:
    replica = Replica(place, encoder=encoder)
    replica.end_with_lease()
    there.send(replica.address)
    there.close()
    multiprocessing.process.parent_process().join()  # type: ignore[union-attr]
