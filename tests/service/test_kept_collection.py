"""A collection that a server keeps open is there for a request that began before the end."""

from __future__ import annotations

import threading
from typing import Any

from retrieval.service.kept_collection import KeptCollection


class Opened:
    def close(self) -> None:
        """Nothing is held."""


class ThenClosed:
    """A lock that, once it is let go, is too late for the collection."""

    def __init__(self, kept: KeptCollection) -> None:
        self._kept, self._lock = kept, threading.Lock()
        self._left = False

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        if not self._left:
            self._left = True
            self._kept.close()


def test_a_request_that_has_begun_has_its_collection() -> None:
    opened: Any = Opened()
    kept = KeptCollection("file:///nowhere", open=lambda url: opened)
    lock: Any = ThenClosed(kept)
    kept._lock = lock
    with kept.using() as found:
        assert found is opened
