"""Asking the shards of one generation over their replicas.

A question goes to one replica of each shard, in one message to each replica. Where that is gone it
goes to another; where it takes longer than nearly all questions of its kind did, another is asked
as well, and whoever is first has answered.
"""

from __future__ import annotations

import select
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from retrieval.cancellation import check_cancelled
from retrieval.errors import IndexCorrupted, RetrievalError, ShardUnavailable, StorageError
from retrieval.sharded.asking import Arguments
from retrieval.sharded.serving.messages import Ask
from retrieval.sharded.serving.replica_set import ReplicaSet, ReplicaState
from retrieval.sharded.serving.wire import Content, Link, WireError

DEADLINE_S = 30.0
"""A shard of which nobody answers for so long is away."""

FIRST_HEDGE_S = 1.0
"""While little is known of how long questions take, another replica is asked after that."""

_QUANTILE = 0.95
_REMEMBERED = 512
_LEAST_REMEMBERED = 40
_LOOKED_AT_EVERY = 8
_LEAST_HEDGE_S = 0.002
_AGAIN_S = 0.1
_LOOK_S = 0.25  # so often it is asked whether the answer is still wanted


class Delays:
    """How long questions of each kind take: after how long another replica is asked as well."""

    def __init__(self) -> None:
        self._taken: dict[str, deque[float]] = {}
        self._after: dict[str, float] = {}
        self._new: Counter[str] = Counter()  # since it was looked at them
        self._lock = threading.Lock()

    def after(self, method: str) -> float:
        """Seconds."""
        return self._after.get(method, FIRST_HEDGE_S)

    def tell(self, method: str, seconds: Sequence[float]) -> None:
        """Questions took so long."""
        with self._lock:
            taken = self._taken.setdefault(method, deque(maxlen=_REMEMBERED))
            taken.extend(seconds)
            self._new[method] += len(seconds)
            if len(taken) >= _LEAST_REMEMBERED and self._new[method] >= _LOOKED_AT_EVERY:
                self._new[method] = 0
                place = int(_QUANTILE * len(taken))
                self._after[method] = max(_LEAST_HEDGE_S, sorted(taken)[place])


class RoutedShards:
    """Shards that replicas hold; behind the protocol `Shards`.

    Attributes:
        numbers: see `Shards`.
        total: see `Shards`.
        waited: seconds from when the slowest replica was asked until it had sent its answer, of all
            calls of `ask` so far; it tells something where replicas run on this machine.
        rounds: how many such calls there were.
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
        """Say what is asked.

        Args:
            url: of the collection, for errors.
            generation: its number.
            sets: the replicas of each shard.
            numbers: of the shards that are asked.
            total: how many shards there are.
            delays: what is known of earlier questions.
            hedged: whether a second replica is asked where one takes long.
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

    def ask(self, method: str, given: Mapping[int, Arguments]) -> dict[int, Any]:
        """As the protocol says.

        Raises:
            ShardUnavailable: no replica of a shard answers.
        """
        if not given:
            return {}
        question = _Question(self, method, given)
        try:
            question.begin()
            return question.answers()
        finally:
            question.end()
            self.waited += question.slowest
            self.rounds += 1

    def away(self, number: int, why: str) -> ShardUnavailable:
        """The error that names a shard."""
        return ShardUnavailable(
            f"shard {number} of {self._url} is away ({why}); ask again in some seconds", number
        )


@dataclass(frozen=True, slots=True)
class _Sent:
    """A question that was sent: over which connection, to whom, when, and to which shards."""

    link: Link
    replica: ReplicaState
    since: float
    shards: list[int]


class _Question:
    """One call of `ask`: what was sent to whom, and what has come."""

    def __init__(self, routed: RoutedShards, method: str, given: Mapping[int, Arguments]) -> None:
        self._routed = routed
        self._method = method
        self._given = given
        # For some dozens of connections that are waited for once this is quicker than epoll.
        self._poll = select.poll()
        self._found: dict[int, Any] = {}
        self._sent: dict[int, _Sent] = {}  # by file descriptor
        self._tried: dict[int, list[ReplicaState]] = {}  # by shard
        self._why: dict[int, str] = {}
        self._contents: dict[int, Content] = {}  # by the arguments' identity: made once
        self._taken: list[float] = []
        self._began = time.monotonic()
        self.slowest = 0.0  # seconds from when a replica was asked until it sent its answer

    def begin(self) -> None:
        """Ask a replica of each group of shards."""
        self._send(sorted(self._given))

    def answers(self) -> dict[int, Any]:
        """What every shard answers, by ascending numbers."""
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
                hedge = now + max(wait, _AGAIN_S)  # who is silent now may be heard then
            check_cancelled()
            until = min(hedge, DEADLINE_S) - now
            for descriptor, _ in self._poll.poll(1000 * max(0.0, min(until, _LOOK_S))):
                self._receive(descriptor)
        return {number: self._found[number] for number in sorted(self._found)}

    def end(self) -> None:
        """Give back the connections that are waited for no more."""
        self._routed._delays.tell(self._method, self._taken)
        for one in self._sent.values():
            one.replica.let_be()
            one.replica.give_up(one.link)

    def _missing(self) -> list[int]:
        return [number for number in sorted(self._given) if number not in self._found]

    def _send(self, shards: Sequence[int], *, needed: bool = True) -> None:
        """Ask other replicas about these shards; raises if it is needed and one has none."""
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
                    why = self._why.get(number, "no replica of it is there")
                    raise self._routed.away(number, why)

    def _sent_to(self, replica: ReplicaState, shards: list[int]) -> bool:
        """Ask a replica about these shards; whether it was there."""
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
        """The question as it is sent: one for all if it is the same of all that is held."""
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
                raise WireError(f"{one.link.address}: what came is no answer of shards")
        except OSError as error:
            self._drop(descriptor)
            one.link.close()
            replica.lost(one.link.address)
            self._failed(one.shards, error)
            self._send([number for number in one.shards if number not in self._found])
            return
        if received is None:  # not whole yet, or an answer to what was asked before
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
            elif type(answer) in (StorageError, IndexCorrupted):  # another copy may be whole
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


_NOT_HELD = StorageError("its replica does not hold it any more")
