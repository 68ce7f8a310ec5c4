"""Replicas in threads of the test's own process: started, slow, hung, killed and broken at will."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from retrieval.errors import StorageError
from retrieval.sharded.place import Place
from retrieval.sharded.serving.replica import Ask, Replica
from retrieval.sharded.serving.wire import Address


class Watched(Replica):
    """A replica that counts what it is asked, and takes its time if it is told to."""

    delay = 0.0

    def __init__(self, place: Place) -> None:
        self.asked = 0
        super().__init__(place)

    def _answered(self, content: Any) -> Any:
        if isinstance(content, Ask):
            self.asked += 1
            time.sleep(self.delay)
        return super()._answered(content)


class ThreadHosts:
    """Where such replicas run; shards are put into so many groups, each of its own by default."""

    def __init__(self, place: Place, groups: int = 1 << 20) -> None:
        self._place = place
        self._groups = groups
        self._lock = threading.Lock()
        self.running: dict[tuple[int, int], Watched] = {}
        self.starts = 0
        self.forbidden: set[int] = set()

    def groups(self, shards: int) -> int:
        """As `Hosts` says."""
        return min(shards, self._groups)

    def start(self, group: int, copy: int) -> Address:
        """As `Hosts` says."""
        if group in self.forbidden:
            raise StorageError("the machine is gone")
        replica = Watched(self._place)
        with self._lock:
            self.starts += 1
            self.running[group, copy] = replica
        return replica.address

    def kill(self, group: int, copy: int = 0) -> None:
        """End a replica as if its process ended."""
        self.running.pop((group, copy)).close()

    def close(self) -> None:
        """As `Hosts` says."""
        for replica in self.running.values():
            replica.close()


def until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until this is true."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds, "it never became true"
        time.sleep(0.02)
