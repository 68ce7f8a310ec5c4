"""A replica: the process that holds one shard, at one generation or at two while it moves on."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from retrieval.errors import RetrievalError, StorageError
from retrieval.index.encoder import EncoderSlot
from retrieval.indexes import LexicalTotals
from retrieval.sharded.local import ShardCache
from retrieval.sharded.manifest import ShardRecord
from retrieval.sharded.open_shard import OpenShard, open_shard
from retrieval.sharded.place import Place
from retrieval.sharded.serving.wire import Address, Peer
from retrieval.store import Settings

LEASE_S = 60.0
"""A replica that no router has spoken to for so long ends."""

_BACKLOG = 128


@dataclass(frozen=True, slots=True)
class Load:
    """A generation that a replica is to hold.

    Attributes:
        generation: its number.
        shard: the number of the shard.
        record: of the shard.
        collection: the totals of the collection.
        settings: of the collection.
        files: of all its shards, whose copies on the disk stay.
    """

    generation: int
    shard: int
    record: ShardRecord
    collection: LexicalTotals
    settings: Settings
    files: frozenset[str]


@dataclass(frozen=True, slots=True)
class Keep:
    """The generations that a router asks for; what no router does, a replica lets go of.

    Attributes:
        router: who speaks.
        generations: their numbers.
    """

    router: str
    generations: frozenset[int]


class Ask(NamedTuple):
    """A question to the shard at a generation: a method of `OpenShard`, and what it takes.

    A tuple, since pickling those is quick, and a search asks many.
    """

    generation: int
    method: str
    arguments: tuple[Any, ...]


class Replica:
    """Holds a shard and answers whoever knows its key.

    Attributes:
        address: where.
    """

    def __init__(
        self, place: Place, *, encoder: str | None = None, host: str = "127.0.0.1"
    ) -> None:
        """Listen; it holds nothing until it is told to.

        Args:
            place: of the collection.
            encoder: what it was built with, if it is to be loaded from another place.
            host: an address of this machine that the router reaches.
        """
        self._place = place
        self._encoder = encoder
        self._held: Mapping[int, OpenShard] = {}
        self._loading = threading.Lock()
        self._changing = threading.Lock()  # guards `_held`; held for moments only
        self._heard = time.monotonic()
        self._asked_for: dict[str, tuple[float, frozenset[int]]] = {}  # by router, and since when
        self._peers: set[Peer] = set()
        self._socket = socket.create_server((host, 0), backlog=_BACKLOG)
        port: int = self._socket.getsockname()[1]
        self.address = Address(host, port, secrets.token_bytes(32))
        threading.Thread(target=self._accept, name="replica", daemon=True).start()

    def end_with_lease(self) -> None:
        """End this process once no router has spoken to it for `LEASE_S`."""

        def watch() -> None:
            while time.monotonic() - self._heard < LEASE_S:
                time.sleep(1.0)
            os._exit(0)

        threading.Thread(target=watch, name="lease", daemon=True).start()

    def close(self) -> None:
        """Answer nobody any more."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for peer in list(self._peers):
            peer.close()
        self._asked_for.clear()
        self._let_go()

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._socket.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._serve, args=[accepted], daemon=True).start()

    def _serve(self, accepted: socket.socket) -> None:
        # Whoever does not know the key, or goes away, ends this thread and nothing else.
        with suppress(Exception):
            peer = Peer(accepted, self.address.key)
            self._peers.add(peer)
            try:
                while True:
                    number, content = peer.receive()
                    self._heard = began = time.monotonic()
                    try:
                        answer, right = self._answered(content), True
                    except Exception as error:
                        answer, right = _sendable(error), False
                    spent = time.monotonic() - began
                    peer.answer(number, answer, right=right, seconds=spent)
            finally:
                self._peers.discard(peer)
                peer.close()

    def _answered(self, content: Load | Keep | Ask) -> Any:
        match content:
            case Ask(generation, method, arguments):
                shard = self._held.get(generation)
                if shard is None or method.startswith("_"):
                    raise StorageError(f"this replica does not hold generation {generation}")
                shard.snapshot.acquire()
                try:
                    return getattr(shard, method)(*arguments)
                finally:
                    shard.snapshot.release()
            case Load():
                self._load(content)
            case Keep(router, generations):
                self._asked_for[router] = time.monotonic(), generations
                self._let_go()
        return sorted(self._held)

    def _load(self, load: Load) -> None:
        with self._loading:  # which may take minutes, while questions are answered
            if load.generation in self._held:
                return
            cache = ShardCache(self._place.storage(), self._place.cache)
            slot = EncoderSlot(self._place.url, load.settings, self._encoder)
            opened = open_shard(
                load.shard, load.record, load.collection, load.settings, cache, slot
            )
            with self._changing:
                self._held = {**self._held, load.generation: opened}
            cache.forget_but(load.files)

    def _let_go(self) -> None:
        """Close what no router that was heard of lately asks for."""
        since = time.monotonic() - LEASE_S
        heard = [one for at, one in list(self._asked_for.values()) if at > since]
        generations = frozenset[int]().union(*heard)
        with self._changing:
            held, self._held = (
                self._held,
                {n: shard for n, shard in self._held.items() if n in generations},
            )
        for number, shard in held.items():
            if number not in generations:
                shard.close()


def _sendable(error: Exception) -> Exception:
    """The error, or where it may not survive the way its line."""
    if type(error).__module__ == RetrievalError.__module__ and len(error.args) == 1:
        return error
    return RuntimeError(f"{type(error).__name__}: {' '.join(str(error).split())}")
