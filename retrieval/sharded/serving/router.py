"""Asking the shards of one generation over their replicas.

A request goes to one replica of each shard, in one message per replica. If that replica is gone, it
goes to another; if it takes longer than nearly all requests of its kind did, another is asked as
well, and the first answer is used.
"""

from __future__ import annotations

import select
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from retrieval.cancellation import check_cancelled
from retrieval.errors import IndexCorrupted, RetrievalError, ShardUnavailable, StorageError
from retrieval.sharded.asking import Arguments
from retrieval.sharded.serving.messages import Ask
from retrieval.sharded.serving.replica_set import ReplicaSet, ReplicaState
from retrieval.sharded.serving.wire import Content, Link, WireError

DEADLINE_S = 30.0
"""A shard is unavailable if no replica answers for so long."""

FIRST_HEDGE_S = 1.0
"""Delay before another replica is asked, while there are few measurements."""

_QUANTILE = 0.95
_REMEMBERED = 512
_LEAST_REMEMBERED = 40
_LOOKED_AT_EVERY = 8
_LEAST_HEDGE_S = 0.002
_AGAIN_S = 0.1
_LOOK_S = 0.25  # interval of checks for cancellation


class Delays:
    """How long requests of each kind take, which determines when another replica is asked."""

    def __init__(self) -> None:
        self._taken: dict[str, deque[float]] = {}
        self._after: dict[str, float] = {}
        self._new: Counter[str] = Counter()  # since the delay was last computed
        self._lock = threading.Lock()

    def after(self, method: str) -> float:
        """Seconds after which another replica is asked."""
        return self._after.get(method, FIRST_HEDGE_S)

    def tell(self, method: str, seconds: Sequence[float]) -> None:
        """Record how long requests took."""
        with self._lock:
            taken = self._taken.setdefault(method, deque(maxlen=_REMEMBERED))
            taken.extend(seconds)
            self._new[method] += len(seconds)
            if len(taken) >= _LEAST_REMEMBERED and self._new[method] >= _LOOKED_AT_EVERY:
                self._new[method] = 0
                place = int(_QUANTILE * len(taken))
                self._after[method] = max(_LEAST_HEDGE_S, sorted(taken)[place])


class RoutedShards:
    """Implements `Shards` for shards on replicas.

    Attributes:
        numbers: see `Shards`.
        total: see `Shards`.
        waited: seconds from asking the slowest replica until it had sent its answer, summed over
            all calls of `ask`; meaningful if replicas run on this machine.
        rounds: number of those calls.
    """

    def __init__(
        self,
        url: str,
        generation: int,
        sets: Mapping[int, ReplicaSet],
        numbers: Sequence[int],
        total: int,
        delays: Delays,
        *,
        hedged: bool = True,
    ) -> None:
        """Set what can be asked.

        Args:
            url: the collection's URL, for errors.
            generation: the number of the generation.
            sets: the replicas of each shard.
            numbers: numbers of the shards that can be asked.
            total: total number of shards.
            delays: statistics of earlier requests.
            hedged: whether to ask a second replica when one takes long.
        """
        self._url = url
        self._generation = generation
        self._sets = sets
        self._delays = delays
        self._hedged = hedged
        self.numbers = tuple(numbers)
        self.total = total
        self.waited = 0.0
        self.rounds = 0

    def ask(
        self,
        method: str,
        given: Mapping[int, Arguments],
        meanwhile: Callable[[], None] | None = None,
    ) -> dict[int, Any]:
        """As the protocol says.

        Raises:
            ShardUnavailable: no replica of a shard answers.
        """
        question = _Question(self, method, given)
        try:
            question.begin()
            if meanwhile is not None:
                meanwhile()
            return question.answers()
        finally:
            question.end()
            self.waited += question.slowest
            self.rounds += bool(given)

    def away(self, number: int, why: str) -> ShardUnavailable:
        """The error that names a shard."""
        return ShardUnavailable(
            f"shard {number} of {self._url} is unavailable ({why}); ask again in some seconds",
            number,
        )


@dataclass(frozen=True, slots=True)
class _Sent:
    """A request that was sent: connection, replica, time, and shards."""

    link: Link
    replica: ReplicaState
    since: float
    shards: list[int]


class _Question:
    """One call of `ask`: the requests sent, and the answers received."""

    def __init__(self, routed: RoutedShards, method: str, given: Mapping[int, Arguments]) -> None:
        self._routed = routed
        self._method = method
        self._given = given
        # For waiting once on some dozens of connections, poll is quicker than epoll.
        self._poll = select.poll()
        self._found: dict[int, Any] = {}
        self._sent: dict[int, _Sent] = {}  # by file descriptor
        self._tried: dict[int, list[ReplicaState]] = {}  # by shard
        self._why: dict[int, str] = {}
        # by the arguments' identity, so that each is encoded once
        self._contents: dict[int, Content] = {}
        self._taken: list[float] = []
        self._began = time.monotonic()
        self.slowest = 0.0  # seconds from asking a replica until it sent its answer

    def begin(self) -> None:
        """Ask a replica of each group of shards."""
        self._send(sorted(self._given))

    def answers(self) -> dict[int, Any]:
        """Every shard's answer, by ascending numbers."""
        wait = self._routed._delays.after(self._method) if self._routed._hedged else DEADLINE_S
        hedge = wait
        while len(self._found) < len(self._given):
            now = time.monotonic() - self._began
            if now > DEADLINE_S:
                number = self._missing()[0]
                for one in self._sent.values():
                    if number in one.shards:
                        one.replica.lost(one.link.address)
                raise self._routed.away(number, f"no answer within {DEADLINE_S:g} s")
            if now >= hedge:
                self._send(self._missing(), needed=False)
                # a replica that is silent now may have answered by then
                hedge = now + max(wait, _AGAIN_S)
            check_cancelled()
            until = min(hedge, DEADLINE_S) - now
            for descriptor, _ in self._poll.poll(1000 * max(0.0, min(until, _LOOK_S))):
                self._receive(descriptor)
        return {number: self._found[number] for number in sorted(self._found)}

    def end(self) -> None:
        """Return the connections whose answers are no longer awaited."""
        self._routed._delays.tell(self._method, self._taken)
        for one in self._sent.values():
            one.replica.let_be()
            one.replica.give_up(one.link)

    def _missing(self) -> list[int]:
        return [number for number in sorted(self._given) if number not in self._found]

    def _send(self, shards: Sequence[int], *, needed: bool = True) -> None:
        """Ask other replicas about these shards; raises if `needed` and a shard has no replica."""
        of_sets: dict[ReplicaSet, list[int]] = {}
        for number in shards:
            of_sets.setdefault(self._routed._sets[number], []).append(number)
        for several, left in of_sets.items():
            while left:
                chosen = several.choose(self._routed._generation, left, self._tried, needed=needed)
                if chosen is None:
                    break
                replica, own = chosen
                for number in own:
                    self._tried.setdefault(number, []).append(replica)
                if self._sent_to(replica, own):
                    left = [number for number in left if number not in own]
            under_way = {number for one in self._sent.values() for number in one.shards}
            for number in left:
                if needed and number not in under_way:
                    why = self._why.get(number, "it has no running replica")
                    raise self._routed.away(number, why)

    def _sent_to(self, replica: ReplicaState, shards: list[int]) -> bool:
        """Ask a replica about these shards; returns whether it could be reached."""
        address = replica.address
        content = self._content(replica, shards)
        since = time.monotonic()
        try:
            link = replica.link()
            try:
                link.send(content)
            except BaseException:
                link.close()
                raise
        except OSError as error:
            self._failed(shards, error)
            replica.lost(address)
            return False
        replica.asked()
        self._sent[link.fileno()] = _Sent(link, replica, since, shards)
        self._poll.register(link, select.POLLIN)
        return True

    def _content(self, replica: ReplicaState, shards: list[int]) -> Content:
        """The encoded request: one for all loaded shards, if their arguments are the same."""
        first = self._given[shards[0]]
        generation = self._routed._generation
        same = all(self._given[number] is first for number in shards)
        if not same or len(shards) < len(replica.held(generation)):
            own = {number: self._given[number] for number in shards}
            return Content.of(Ask(generation, self._method, own))
        content = self._contents.get(id(first))
        if content is None:
            content = Content.of(Ask(generation, self._method, first))
            self._contents[id(first)] = content
        return content

    def _receive(self, descriptor: int) -> None:
        one = self._sent[descriptor]
        replica = one.replica
        try:
            received = one.link.receive()
            if received is not None and received.right and not isinstance(received.value, dict):
                raise WireError(f"{one.link.address}: the answer is not one of shards")
        except OSError as error:
            self._drop(descriptor)
            one.link.close()
            replica.lost(one.link.address)
            self._failed(one.shards, error)
            self._send([number for number in one.shards if number not in self._found])
            return
        if received is None:  # incomplete, or an answer to an earlier request
            return
        self._drop(descriptor)
        replica.put(one.link)
        waiting = [number for number in one.shards if number not in self._found]
        if received.right:
            self._taken.append(time.monotonic() - one.since)
            said = received.value
        else:
            said = dict.fromkeys(waiting, received.value)
        again = []
        for number in waiting:
            answer = said.get(number, _NOT_HELD)
            if not isinstance(answer, RetrievalError):
                self._found[number] = answer
                self.slowest = max(self.slowest, received.sent - one.since)
            elif type(answer) in (StorageError, IndexCorrupted):  # another replica may be intact
                self._why[number] = str(answer)
                again.append(number)
            else:
                raise answer
        if again:
            self._send(again)

    def _failed(self, shards: Sequence[int], error: OSError) -> None:
        self._why |= dict.fromkeys(shards, str(error) or type(error).__name__)

    def _drop(self, descriptor: int) -> None:
        self._poll.unregister(descriptor)
        self._sent.pop(descriptor).replica.let_be()


_NOT_HELD = StorageError("its replica no longer has it loaded")
