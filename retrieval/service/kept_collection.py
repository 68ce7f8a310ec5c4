"""A collection in shards that a server keeps open, following its newest generation."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from retrieval.errors import RetrievalError, StorageError
from retrieval.sharded import Collection, ShardedIndex

_LOG = logging.getLogger(__name__)

LOOK_S = 2.0
"""Interval in which storage is checked for a newer generation."""


class KeptCollection:
    """The collection at a URL, for many requests in many threads.

    A request sees one generation. A newer one is downloaded in the background, while requests still
    use the one before.

    Attributes:
        place: its URL.
    """

    def __init__(
        self,
        url: str,
        *,
        encoder: str | None = None,
        open: Callable[[str], Collection] | None = None,
    ) -> None:
        """Configure it; nothing is opened yet.

        Args:
            url: the collection's URL.
            encoder: the encoder that it was built with, if it is loaded from another place.
            open: opens the collection; None opens it in this process.
        """
        self.place = url
        self._open = open or (lambda where: ShardedIndex.open(where, encoder=encoder))
        self._lock = threading.Lock()
        self._opened: Collection | None = None
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def using(self) -> Iterator[Collection]:
        """The collection, opened by the first request.

        Raises:
            IndexNotFound: there is no collection.
            RetrievalError: it cannot be opened.
        """
        with self._lock:
            if self._ended.is_set():
                raise StorageError(f"the server of {self.place} is shutting down")
            if self._opened is None:
                self._opened = self._open(self.place)
                self._thread = threading.Thread(
                    target=self._follow, name="generations", daemon=True
                )
                self._thread.start()
            opened = self._opened  # `close` may take it away as soon as the lock is let go
        yield opened

    def warm(self) -> None:
        """Open the collection, and load the model."""
        with suppress(RetrievalError, OSError), self.using() as opened:
            opened.search("ready", 1)

    def close(self) -> None:
        """Close it once running searches are done."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def _follow(self) -> None:
        told = ""
        while not self._ended.wait(LOOK_S):
            opened = self._opened
            if opened is None:
                return
            try:
                opened.refresh()
                told = ""
            except Exception as error:  # whatever it is, the next time may go well
                line = " ".join(str(error).split()) or type(error).__name__
                if line != told:  # logged once, however long the storage is unavailable
                    told = line
                    _LOG.warning("no newer generation of %s can be read: %s", self.place, told)
