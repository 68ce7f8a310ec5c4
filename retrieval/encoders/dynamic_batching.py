"""Dynamic batching: calls of several threads that come together are encoded together.

While the network is busy, calls wait in a queue; once it is free, all that wait and fit a budget
of tokens are one batch. A call that finds it free is run at once, so nobody waits for others to
come: what batching adds to a call's latency is the end of the batch under way, and that of one of
the other side of the encoder, whose calls take turns with its own. A call of more tokens than the
budget goes through it piece by piece, and lets others in between; where batches are begun before
they are done, as on a GPU, its next piece is begun before it waits for the one before.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from retrieval.cancellation import CancelledError, current
from retrieval.encoders.packing import Indices, pack
from retrieval.ragged import offsets_of, rows_of
from retrieval.types import Embeddings, EncoderSide

T = TypeVar("T")
Item = TypeVar("Item")
"""A text as the network takes it."""

Later = Callable[[], Embeddings]
"""Waits for embeddings that are under way; called by one thread or by several."""


@dataclass(eq=False, slots=True)
class _Call(Generic[Item]):
    """Texts of one call, or a piece of them.

    Attributes:
        ahead: whether it is a piece of a call that begins its next piece before it waits for this.
        woken: set when it has begun, or when its thread is to start the next batch.
        made: waits for its embeddings, once they are under way.
        error: what went wrong in encoding them, if anything did.
    """

    items: Sequence[Item]
    tokens: int
    cancelled: threading.Event | None
    ahead: bool = False
    woken: threading.Event = field(default_factory=threading.Event)
    made: Later | None = None
    error: Exception | None = None

    @property
    def done(self) -> bool:
        return self.made is not None or self.error is not None


class DynamicBatching(Generic[Item]):
    """Runs one batch at a time. The thread whose call is the first of a batch runs it."""

    def __init__(self, run: Callable[[EncoderSide, Sequence[Item]], Later], *, budget: int) -> None:
        """Say what runs a batch.

        Args:
            run: begins with texts of one side, and gives what waits for their embeddings, in the
                order given. An encoder that holds this gives a method of its own by `weakly`.
            budget: tokens of a batch; one text that has more is a batch of its own.
        """
        self._run = run
        self._budget = budget
        self._lock = threading.Lock()
        self._busy = False
        self._waiting: dict[EncoderSide, deque[_Call[Item]]] = {
            "query": deque(),
            "document": deque(),
        }

    def encode(
        self, side: EncoderSide, items: Sequence[Item], length: Callable[[Item], int]
    ) -> Embeddings:
        """Embeddings of texts of one side, in the order given.

        Args:
            length: tokens of a text.

        Raises:
            CancelledError: see `retrieval.cancellation`.
        """
        lengths = [length(item) for item in items]
        if sum(lengths) <= self._budget:
            return self._piece(side, items, sum(lengths))()
        pieces = list(pack(lengths, self._budget))
        made: list[Embeddings] = []
        before: Later | None = None
        for piece in pieces:
            own, tokens = [items[at] for at in piece], sum(lengths[at] for at in piece)
            begun = self._piece(side, own, tokens, ahead=True)
            if before is not None:
                made.append(before())
            before = begun
        assert before is not None
        return assembled(pieces, [*made, before()])

    def _piece(
        self, side: EncoderSide, items: Sequence[Item], tokens: int, *, ahead: bool = False
    ) -> Later:
        call = _Call(items, tokens, current(), ahead)
        with self._lock:
            # Whoever is busy hands over under this lock: a call that waits is always woken.
            leads, self._busy = not self._busy, True
            self._waiting[side].append(call)
        if not leads:
            call.woken.wait()
        if not call.done:
            self._lead(side)
        if call.error is not None:
            raise call.error
        assert call.made is not None
        return call.made

    def _lead(self, side: EncoderSide) -> None:
        """Run the batch that this thread's call, the first of its side, begins; hand over."""
        batch = self._take(side)
        others = batch[1:]
        try:
            self._answer(side, batch)
        finally:
            with self._lock:
                # This thread may have been interrupted; the others' calls are run by another.
                left = [call for call in others if not call.done]
                self._waiting[side].extendleft(reversed(left))
                self._hand_over(side)
            for call in others:
                if call.done:
                    call.woken.set()

    def _take(self, side: EncoderSide) -> list[_Call[Item]]:
        """The calls of the next batch: the first that waits, and those after it that fit."""
        batch: list[_Call[Item]] = []
        with self._lock:
            waiting, left = self._waiting[side], self._budget
            while waiting and (not batch or waiting[0].tokens <= left):
                call = waiting.popleft()
                left -= call.tokens
                batch.append(call)
        return batch

    def _answer(self, side: EncoderSide, batch: Sequence[_Call[Item]]) -> None:
        wanted = []
        for call in batch:
            if call.cancelled is not None and call.cancelled.is_set():
                call.error = CancelledError()
            else:
                wanted.append(call)
        # Others that come meanwhile are to be one batch: the network is busy until this is done,
        # but for pieces of long calls, which would leave it idle in between.
        ahead = all(call.ahead for call in wanted)
        if len(wanted) > 1:
            try:
                made = self._begin(side, [item for call in wanted for item in call.items], ahead)
            except Exception:  # of whom, it does not say: each is run alone
                pass
            else:
                first = 0
                for call in wanted:
                    call.made = partial(_part_later, made, first, first + len(call.items))
                    first += len(call.items)
                return
        for call in wanted:
            try:
                call.made = self._begin(side, call.items, ahead)
            except Exception as error:
                call.error = error

    def _begin(self, side: EncoderSide, items: Sequence[Item], ahead: bool) -> Later:
        """Begin a batch, and see it done unless others may be begun before."""
        later = _Once(self._run(side, items))
        if not ahead:
            later()
        return later

    def _hand_over(self, last: EncoderSide) -> None:
        """Wake the first of those that wait, of the other side if one waits there."""
        other: EncoderSide = "document" if last == "query" else "query"
        waiting = self._waiting[other] or self._waiting[last]
        if waiting:
            waiting[0].woken.set()
        else:
            self._busy = False


def weakly(
    method: Callable[[EncoderSide, Sequence[Item]], T],
) -> Callable[[EncoderSide, Sequence[Item]], T]:
    """A method, for what its own object holds: without a reference back to the object.

    With one the two would keep each other, and an encoder its memory, until the next garbage
    collection. Whoever calls has the object.
    """
    bound = weakref.WeakMethod(method)

    def call(side: EncoderSide, items: Sequence[Item]) -> T:
        found = bound()
        assert found is not None
        return found(side, items)

    return call


def at_once(
    run: Callable[[EncoderSide, Sequence[Item]], Embeddings],
) -> Callable[[EncoderSide, Sequence[Item]], Later]:
    """What runs a batch, of what has its embeddings when it returns."""

    def begin(side: EncoderSide, items: Sequence[Item]) -> Later:
        made = run(side, items)
        return lambda: made

    return begin


class _Once:
    """What waits for embeddings, for several threads: one waits, all get the same."""

    def __init__(self, later: Later) -> None:
        self._later = later
        self._made: Embeddings | None = None
        self._lock = threading.Lock()

    def __call__(self) -> Embeddings:
        with self._lock:
            if self._made is None:
                self._made = self._later()
            return self._made


def _part_later(later: Later, first: int, end: int) -> Embeddings:
    return part_of(later(), first, end)


def part_of(made: Embeddings, first: int, end: int) -> Embeddings:
    """The embeddings of texts `first` to `end`, in arrays of their own."""
    return Embeddings(
        None if made.dense is None else made.dense[first:end].copy(),
        *_rows_of(made.tokens, made.offsets, first, end),
        *_rows_of(made.windows, made.window_offsets, first, end),
        None if made.tokens_read is None else made.tokens_read[first:end].copy(),
    )


def assembled(places: Sequence[Indices], parts: Sequence[Embeddings]) -> Embeddings:
    """The embeddings of all texts in their order.

    Args:
        places: of each part's texts among all, i64 [n].
        parts: their embeddings, in the order of the places.
    """
    order = np.argsort(np.concatenate(places))
    dense = [one.dense for one in parts if one.dense is not None]
    read = [one.tokens_read for one in parts if one.tokens_read is not None]
    return Embeddings(
        np.concatenate(dense)[order] if dense else None,
        *_rows_assembled(order, [(one.tokens, one.offsets) for one in parts]),
        *_rows_assembled(order, [(one.windows, one.window_offsets) for one in parts]),
        np.concatenate(read)[order] if read else None,
    )


_Rows = tuple[NDArray[np.float32] | None, NDArray[np.int64] | None]


def _rows_of(
    rows: NDArray[np.float32] | None, offsets: NDArray[np.int64] | None, first: int, end: int
) -> _Rows:
    if rows is None or offsets is None:
        return None, None
    own = offsets[first : end + 1]
    return rows[own[0] : own[-1]].copy(), own - own[0]


def _rows_assembled(order: Indices, parts: Sequence[_Rows]) -> _Rows:
    rows = [one for one, _ in parts if one is not None]
    lengths = [np.diff(offsets) for _, offsets in parts if offsets is not None]
    if not rows or not lengths:
        return None, None
    counts = np.concatenate(lengths)
    return np.concatenate(rows)[rows_of(offsets_of(counts), order)], offsets_of(counts[order])
