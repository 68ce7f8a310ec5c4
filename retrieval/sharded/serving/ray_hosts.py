"""Where replicas run: actors of a Ray cluster.

Replicas of a shard are on different machines, if there are several; requests to them use their own
wire protocol. An actor has a name, so that a restarted router finds those that run, and it ends by
itself when no router contacts it any more.

Ray ends a process that has joined a cluster when the cluster's head is lost. So a separate process
joins (`ray_process`), and the server continues: over the wire with replicas that still run, and on
the cluster once there is a head again.
"""

from __future__ import annotations

import itertools
import multiprocessing
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from retrieval.errors import RetrievalError, StorageError
from retrieval.sharded.place import Place
from retrieval.sharded.ray_executor import LOCAL
from retrieval.sharded.serving.ray_process import END, JOINED, joined
from retrieval.sharded.serving.wire import Address

AGAIN_S = 5.0
"""Time before trying again to join a cluster after a failure."""

_END_S = 10.0


class RayHosts:
    """Replicas as actors of a Ray cluster, one per actor, spread over its machines."""

    def __init__(self, place: Place, address: str = LOCAL, *, encoder: str | None = None) -> None:
        """Join a cluster.

        Args:
            place: the collection's place; all machines need the same storage keys.
            address: see `ray_cluster`.
            encoder: the encoder that it was built with, if it is loaded from another place.

        Raises:
            MissingDependency: Ray is not installed.
            InputError: there is no cluster at the address.
        """
        self._told = (place, address, encoder)
        self._lock = threading.Lock()
        self._closed = False
        self._failed: tuple[float, RetrievalError] | None = None
        self._member: _Member | None = _Member(*self._told)

    def groups(self, shards: int) -> int:
        """As `Hosts` says: one per shard, so that Ray can spread them as machines come and go."""
        return shards

    def start(self, group: int, copy: int) -> Address:
        """As `Hosts` says: a running actor is reused, one that does not answer is killed."""
        return self._joined().start(group, copy)

    def close(self) -> None:
        """As `Hosts` says: actors on a shared cluster stay for a while, for the next router."""
        with self._lock:
            self._closed = True
            if self._member is not None:
                self._member.end()

    def _joined(self) -> _Member:
        """The process that has joined the cluster; a lost one is replaced."""
        with self._lock:
            if self._closed:
                raise StorageError("the cluster is not joined any more: the router ends")
            if self._member is not None and self._member.is_there:
                return self._member
            if self._failed is not None and time.monotonic() - self._failed[0] < AGAIN_S:
                raise self._failed[1]
            try:
                self._member = _Member(*self._told)
            except RetrievalError as error:
                self._failed = time.monotonic(), error
                raise
            return self._member


class _Member:
    """This process's handle of the process that has joined the cluster."""

    def __init__(self, place: Place, address: str, encoder: str | None) -> None:
        """Start it, and wait until it has joined; raises its errors."""
        context = multiprocessing.get_context("spawn")
        self._pipe, there = context.Pipe()
        self._process: BaseProcess = context.Process(
            target=joined, args=[there, place, address, encoder], daemon=True
        )
        self._process.start()
        there.close()
        self._numbers = itertools.count()
        self._sending = threading.Lock()
        self._waiting: dict[int, Future[Address]] = {}
        self.is_there = True
        try:
            said = self._pipe.recv()
        except EOFError:
            said = StorageError(f"Ray ended the process that joined the cluster at {address}")
        if said != JOINED:
            self.end()
            raise said
        threading.Thread(target=self._receive, name="ray", daemon=True).start()

    def start(self, shard: int, copy: int) -> Address:
        """Have it start a replica."""
        made: Future[Address] = Future()
        with self._sending:
            number = next(self._numbers)
            self._waiting[number] = made
            try:
                if not self.is_there:
                    raise OSError
                self._pipe.send((number, shard, copy))
            except OSError:
                self._waiting.pop(number, None)
                raise _lost() from None
        return made.result()

    def end(self) -> None:
        """Have it leave the cluster."""
        with self._sending, suppress(OSError):  # it may have ended
            self.is_there = False
            self._pipe.send(END)
        self._process.join(_END_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._pipe.close()

    def _receive(self) -> None:
        pipe: Connection = self._pipe
        while True:
            try:
                number, said = pipe.recv()
            except (OSError, EOFError):
                break
            made = self._waiting.pop(number)
            if isinstance(said, Address):
                made.set_result(said)
            else:
                made.set_exception(said)
        with self._sending:
            self.is_there = False
            left, self._waiting = self._waiting, {}
        for made in left.values():
            made.set_exception(_lost())


def _lost() -> StorageError:
    return StorageError("the Ray cluster is lost; it is joined again once its head is back")
