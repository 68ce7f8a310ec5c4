"""The replicas of a group of shards as the router sees them: liveness and connections."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from retrieval.sharded.serving.wire import Address, Link

_FREE_LINKS = 32
"""Maximum number of idle connections kept to a replica."""


@dataclass(eq=False)
class ReplicaState:
    """What the router knows about a replica.

    Attributes:
        group: the number of the group of shards that it serves, see `Hosts.groups`.
        copy: which of the group's replicas it is.
        address: where it listens; None if it is not started.
        alive: whether it can be asked.
        holds: the shards that it has loaded, by generation.
        under_way: number of unanswered requests.
        tended: lock, held while it is checked or restarted.
    """

    group: int
    copy: int
    address: Address | None = None
    alive: bool = False
    holds: Mapping[int, frozenset[int]] = field(default_factory=dict)
    under_way: int = 0
    tended: threading.Lock = field(default_factory=threading.Lock)
    _links: list[Link] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _given_up: bool = False  # whether some connection may have an abandoned request

    def asked(self) -> None:
        """Count a request that is sent to it."""
        with self._lock:
            self.under_way += 1

    def let_be(self) -> None:
        """Count a request no longer: it was answered, given up, or lost."""
        with self._lock:
            self.under_way -= 1

    def link(self) -> Link:
        """A connection for exclusive use; return it with `put`, or close it.

        Raises:
            OSError: the replica does not answer.
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
                        busy.append(one)  # an abandoned answer is still on its way
                except OSError:
                    one.close()
            self._links += busy
            address = self.address
        if free is not None:
            return free
        if address is None:
            raise ConnectionError("it is not started")
        return Link(address)

    def give_up(self, link: Link) -> None:
        """Return a connection whose answer is no longer wanted."""
        self._given_up = True
        self.put(link)

    def is_silent(self) -> bool:
        """Whether an abandoned answer has not arrived yet: the replica's machine may be cut off."""
        if not self._given_up:
            return False
        with self._lock:
            silent = False
            for one in list(self._links):
                try:
                    silent |= not one.is_free()
                except OSError:
                    self._links.remove(one)
                    one.close()
            self._given_up = silent
        return silent

    def put(self, link: Link) -> None:
        """Return a connection; one to where the replica was before it was restarted is closed."""
        with self._lock:
            if link.address == self.address and len(self._links) < _FREE_LINKS:
                self._links.append(link)
                return
        link.close()

    def started(self, address: Address) -> None:
        """Note that the replica listens at this address, with nothing loaded yet."""
        self.address = address
        self.lost()

    def lost(self, address: Address | None = None) -> None:
        """Note that the replica cannot be asked until it is ready again.

        Args:
            address: where it was asked; it may have been restarted elsewhere since.
        """
        if address is not None and address != self.address:
            return
        self.alive = False
        with self._lock:
            left, self._links = self._links, []
        self.holds = {}
        for link in left:
            link.close()

    def ready(self, held: Iterable[Sequence[int]]) -> None:
        """Note that the replica can be asked about these pairs of generation and shard."""
        holds: dict[int, set[int]] = {}
        for generation, shard in held:
            holds.setdefault(generation, set()).add(shard)
        self.holds = {generation: frozenset(shards) for generation, shards in holds.items()}
        self.alive = bool(holds)

    def held(self, generation: int) -> frozenset[int]:
        """The shards of a generation that the replica can be asked about."""
        return self.holds.get(generation, frozenset()) if self.alive else frozenset()


class ReplicaSet:
    """The replicas of one group of shards."""

    def __init__(self, group: int, copies: int) -> None:
        self.replicas = tuple(ReplicaState(group, copy) for copy in range(copies))
        self._turn = 0

    def holds(self, generation: int, shard: int) -> bool:
        """Whether there is a replica that can be asked about the shard."""
        return any(shard in one.held(generation) for one in self.replicas)

    def choose(
        self,
        generation: int,
        shards: Collection[int],
        tried: Mapping[int, Collection[ReplicaState]],
        *,
        needed: bool = True,
    ) -> tuple[ReplicaState, list[int]] | None:
        """The replica to ask next, and about which of these shards; None if there is none.

        Replicas that are not silent are preferred; of those, the ones with the most of these shards
        loaded; of those, the ones with the fewest unanswered requests, in turn.

        Args:
            generation: the number of the generation.
            shards: shards of the group.
            tried: the replicas that were already asked, by shard.
            needed: whether to fall back to a silent replica.
        """
        self._turn += 1
        able = []
        for at in range(len(self.replicas)):
            one = self.replicas[(self._turn + at) % len(self.replicas)]
            held = one.held(generation)
            own = [n for n in shards if n in held and one not in tried.get(n, ())]
            if own:
                able.append((one, own))
        if len(able) > 1 or not needed:
            heard = [(one, own) for one, own in able if not one.is_silent()]
            able = heard if heard or not needed else able
        return min(able, key=lambda it: (-len(it[1]), it[0].under_way), default=None)
