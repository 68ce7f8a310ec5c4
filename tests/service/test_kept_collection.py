"""A collection that a server keeps open is there for a request that began before the end."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest

from retrieval.service import kept_collection
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


def test_it_goes_on_following_whatever_a_look_at_its_storage_raised(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    raised: list[Exception] = [RuntimeError("can't start new thread"), ValueError(), OSError("off")]
    looked = threading.Event()

    class Failing(Opened):
        def refresh(self) -> None:
            if raised:
                raise raised.pop(0)
            looked.set()

    monkeypatch.setattr(kept_collection, "LOOK_S", 0.001)
    opened: Any = Failing()
    kept = KeptCollection("file:///nowhere", open=lambda url: opened)
    with caplog.at_level(logging.WARNING), kept.using():
        assert looked.wait(30)
    kept.close()
    said = [one.getMessage().partition(" can be read: ")[2] for one in caplog.records]
    assert said == ["can't start new thread", "ValueError", "off"]
