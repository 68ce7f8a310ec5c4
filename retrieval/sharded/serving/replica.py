"""A replica: a process that serves shards at one generation, or at two during an update."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from retrieval.errors import InputError, RetrievalError, StorageError
from retrieval.index.encoder import EncoderSlot
from retrieval.sharded.asking import Arguments
from retrieval.sharded.local import ShardCache
from retrieval.sharded.open_shard import OpenShard, open_shard
from retrieval.sharded.place import Place
from retrieval.sharded.serving.messages import METHODS, Ask, Keep, Load
from retrieval.sharded.serving.wire import Address, Content, Peer, WireError
from retrieval.store import Settings

LEASE_S = 60.0
"""A replica ends when no router has contacted it for this long, and it loads nothing."""

_LOOK_S = 1.0

GREETED_AT_ONCE = 64
"""Maximum concurrent connections that are not authenticated yet."""

_BACKLOG = 128
_AGAIN_S = 0.1
"""Wait after a connection could not be accepted, until file descriptors or threads may be free."""

_LOG = logging.getLogger(__name__)


class Replica:
    """Serves one or several shards to routers that know its key.

    Attributes:
        address: its address.
    """

    def __init__(
        self, place: Place, *, encoder: str | None = None, host: str = "127.0.0.1"
    ) -> None:
        """Listen; nothing is loaded until a router asks.

        Args:
            place: the collection's place.
            encoder: the encoder that it was built with, if it is loaded from another place.
            host: an address of this machine that the router can reach.
        """
        self._place = place
        self._encoder = encoder
        self._held: Mapping[tuple[int, int], OpenShard] = {}  # by generation and shard
        self._slots: dict[Settings, EncoderSlot] = {}  # one encoder for all shards
        self._loading = threading.Lock()
        self._changing = threading.Lock()  # guards `_held`; held only briefly
        self._heard = time.monotonic()
        self._asked_for: dict[str, tuple[float, frozenset[int]]] = {}  # by router, with the time
        self._greeting = threading.BoundedSemaphore(GREETED_AT_ONCE)
        self._peers: set[Peer] = set()
        self._closed = threading.Event()
        self._socket = socket.create_server((host, 0), backlog=_BACKLOG)
        port: int = self._socket.getsockname()[1]
        self.address = Address(host, port, secrets.token_bytes(32))
        threading.Thread(target=self._accept, name="replica", daemon=True).start()

    def end_with_lease(self) -> None:
        """End this process once no router has contacted it for `LEASE_S`."""

        def watch() -> None:
            # While it loads a shard, the router that asked for that waits, and sends nothing else.
            while self._loading.locked() or time.monotonic() - self._heard < LEASE_S:
                time.sleep(_LOOK_S)
            os._exit(0)

        threading.Thread(target=watch, name="lease", daemon=True).start()

    def close(self) -> None:
        """Stop answering."""
        self._closed.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for peer in list(self._peers):
            peer.close()
        self._asked_for.clear()
        self._let_go()

    def _accept(self) -> None:
        """Accept connections until the replica is closed, even if one of them fails."""
        told = ""
        while True:
            self._greeting.acquire()
            try:
                self._take()
                told = ""
            except (OSError, RuntimeError) as error:
                self._greeting.release()
                if self._closed.is_set():
                    return
                if str(error) != told:  # log once, however long files or threads run short
                    told = str(error)
                    _LOG.warning("a connection could not be taken (%s); it goes on", told)
                self._closed.wait(_AGAIN_S)

    def _take(self) -> None:
        """Accept a connection, and serve it in its own thread."""
        accepted, _ = self._socket.accept()
        try:
            threading.Thread(
                target=self._serve, args=[accepted], name="connection", daemon=True
            ).start()
        except BaseException:
            accepted.close()
            raise

    def _serve(self, accepted: socket.socket) -> None:
        """Answer one router until it disconnects; any other client only causes a log line."""
        try:
            try:
                peer = Peer(accepted, self.address.key)
            finally:
                self._greeting.release()
            self._peers.add(peer)
            try:
                while True:
                    self._answer(peer, peer.receive())
            finally:
                self._peers.discard(peer)
                peer.close()
        except WireError as error:
            _LOG.warning("%s", error)
        except (OSError, EOFError):
            pass  # it disconnected

    def _answer(self, peer: Peer, question: Any) -> None:
        self._heard = time.monotonic()
        try:
            content, right = Content.of(self._answered(question)), True
        except Exception as error:
            content, right = Content.of(_sendable(error)), False
        peer.answer(content, right=right)

    def _answered(self, question: Any) -> Any:
        match question:
            case Ask(generation, method, arguments):
                if method not in METHODS:
                    raise InputError(f"{method!r} is not a method that a shard answers")
                held = {number: one for (of, number), one in self._held.items() if of == generation}
                if not held:
                    raise StorageError(f"this replica has not loaded generation {generation}")
                if not isinstance(arguments, Mapping):
                    arguments = dict.fromkeys(held, arguments)
                return {
                    number: _told(held.get(number), method, own)
                    for number, own in arguments.items()
                }
            case Load():
                self._load(question)
            case Keep(router, generations):
                self._asked_for[router] = time.monotonic(), generations
                self._let_go()
            case _:
                raise InputError(f"a {type(question).__name__} is not a request")
        return [list(key) for key in sorted(self._held)]

    def _load(self, load: Load) -> None:
        with self._loading:  # may take minutes; requests are answered meanwhile
            if (load.generation, load.shard) in self._held:
                return
            cache = ShardCache(self._place.storage(), self._place.cache)
            settings = load.settings
            if settings not in self._slots:
                self._slots[settings] = EncoderSlot(self._place.url, settings, self._encoder)
            slot = self._slots[settings]
            try:
                opened = open_shard(load.shard, load.record, load.collection, settings, cache, slot)
            finally:
                self._heard = time.monotonic()  # before the lease looks at it again
            with self._changing:
                self._held = {**self._held, (load.generation, load.shard): opened}
            cache.forget_but(load.files)

    def _let_go(self) -> None:
        """Close generations that no recently active router uses."""
        since = time.monotonic() - LEASE_S
        heard = [one for at, one in list(self._asked_for.values()) if at > since]
        generations = frozenset[int]().union(*heard)
        with self._changing:
            held, self._held = (
                self._held,
                {key: shard for key, shard in self._held.items() if key[0] in generations},
            )
        for (generation, _), shard in held.items():
            if generation not in generations:
                shard.close()


def _told(shard: OpenShard | None, method: str, arguments: Arguments) -> Any:
    """A shard's answer, or the error that it raised."""
    if shard is None:
        return StorageError("this replica has not loaded the shard at this generation")
    shard.snapshot.acquire()
    try:
        return getattr(shard, method)(*arguments)
    except Exception as error:
        return _sendable(error)
    finally:
        shard.snapshot.release()


def _sendable(error: Exception) -> RetrievalError:
    """The error to send; an unexpected one is logged and sent as text."""
    if isinstance(error, RetrievalError):
        return error
    said = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if isinstance(error, OSError | MemoryError):
        return StorageError(f"{socket.gethostname()}: {said}")
    _LOG.error("a question failed", exc_info=error)
    return RetrievalError(f"a replica failed ({said}); its own output has the traceback")
