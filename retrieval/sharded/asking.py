"""Asking many shards at once, wherever they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from typing import Any, Protocol

from retrieval.sharded.open_shard import OpenShard
from retrieval.threads import ThreadPool

Arguments = tuple[Any, ...]


class Shards(Protocol):
    """The non-empty shards of one generation, by number.

    Attributes:
        numbers: the shards that can be asked, ascending.
        total: number of the collection's shards, empty ones included.
    """

    @property
    def numbers(self) -> Sequence[int]:
        """See above."""

    @property
    def total(self) -> int:
        """See above."""

    def ask(
        self,
        method: str,
        given: Mapping[int, Arguments],
        meanwhile: Callable[[], None] | None = None,
    ) -> dict[int, Any]:
        """Ask shards, all at once; returns their answers by ascending numbers.

        Args:
            method: a method of `OpenShard`.
            given: the method's arguments for each shard that is asked. Arguments that are the same
                object are sent once, and must not be changed.
            meanwhile: called once, after shards were asked and before their answers are waited for.

        Raises:
            RetrievalError: raised by a shard.
        """


class LocalShards:
    """Shards that this process has opened, asked in threads.

    Attributes:
        numbers: see `Shards`.
        total: see `Shards`.
    """

    def __init__(self, shards: Mapping[int, OpenShard], total: int) -> None:
        """Args: opened shards, by ascending numbers; the total number of shards."""
        self._shards = shards
        self.numbers: Sequence[int] = tuple(shards)
        self.total = total

    def ask(
        self,
        method: str,
        given: Mapping[int, Arguments],
        meanwhile: Callable[[], None] | None = None,
    ) -> dict[int, Any]:
        """As the protocol says."""
        if len(given) < 2:
            if meanwhile is not None:
                meanwhile()
            return {n: getattr(self._shards[n], method)(*own) for n, own in given.items()}
        waiting = {
            number: _THREADS.here().submit(
                copy_context().run, getattr(self._shards[number], method), *given[number]
            )
            for number in sorted(given)
        }
        try:
            if meanwhile is not None:
                meanwhile()
            return {number: one.result() for number, one in waiting.items()}
        except BaseException:
            for one in waiting.values():
                one.cancel()
            raise


_THREADS = ThreadPool("shard")
"""One pool for all collections of a process: more threads than cores gain nothing."""
