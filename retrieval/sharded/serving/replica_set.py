"""One shard's replicas as the router sees them: who is alive, and connections to each."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass, field

from retrieval.sharded.serving.wire import Address, Link

_FREE_LINKS = 32
"""More are not kept open to a replica while nobody asks."""


@dataclass(eq=False)
class ReplicaState:
    """A replica.

    Attributes:
        shard: the number of its shard.
        copy: which of the shard's replicas it is.
        address: where it listens; None if it is not started.
        alive: whether it is to be asked.
        holds: the generations that it holds.
        under_way: how many questions it has not answered yet.
        tended: held while it is seen to.
    """

    shard: int
    copy: int
    address: Address | None = None
    alive: bool = False
    holds: frozenset[int] = frozenset()
    under_way: int = 0
    tended: threading.Lock = field(default_factory=threading.Lock)
    _links: list[Link] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def link(self) -> Link:
        """A connection that nobody else uses; give it back by `put`, or close it.

        Raises:
            OSError: there is nobody.
        """
        with self._lock:
            busy = []
            free = None
            while self._links and free is None:
                one = self._links.pop()
                try:
                    if one.is_free():
                        free = one
                    else:
                        busy.append(one)  # an answer that another gave earlier is on its way
                except OSError:
                    one.close()
            self._links += busy
            address = self.address
        if free is not None:
            return free
        if address is None:
            raise ConnectionError("it is not started")
        return Link(address)

    def put(self, link: Link) -> None:
        """Give a connection back."""
        with self._lock:
            if len(self._links) < _FREE_LINKS:
                self._links.append(link)
                return
        link.close()

    def started(self, address: Address) -> None:
        """It listens here now, and holds nothing yet."""
        self.lost()
        self.address = address

    def lost(self, address: Address | None = None) -> None:
        """It is not to be asked any more, until it is ready again.

        Args:
            address: where it was asked; it may have been started anew elsewhere since.
        """
        if address is not None and address != self.address:
            return
        self.alive = False
        with self._lock:
            left, self._links = self._links, []
        self.holds = frozenset()
        for link in left:
            link.close()

    def ready(self, generations: Collection[int]) -> None:
        """It is to be asked, about these generations."""
        self.holds = frozenset(generations)
        self.alive = True


class ReplicaSet:
    """The replicas of one shard."""

    def __init__(self, shard: int, copies: int) -> None:
        self.replicas = tuple(ReplicaState(shard, copy) for copy in range(copies))
        self._turn = 0

    def choose(self, generation: int, tried: Collection[ReplicaState] = ()) -> ReplicaState | None:
        """The replica to ask next: the one with least to do, in turns; None if there is none."""
        self._turn += 1
        able = [
            one
            for one in self.replicas
            if one.alive and generation in one.holds and one not in tried
        ]
        turns = [able[(self._turn + at) % len(able)] for at in range(len(able))]
        return min(turns, key=lambda one: one.under_way, default=None)
