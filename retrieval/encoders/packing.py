"""Which texts go through the network together: batches of a bounded number of tokens.

Nothing is padded, so a batch costs what its tokens cost and is bounded by their number, not by the
number of texts. Texts of one length stand side by side, since attention runs equally long
neighbours in one call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

Indices = NDArray[np.int64]


def pack(lengths: Sequence[int] | NDArray[np.int64], budget: int) -> Iterator[Indices]:
    """Group texts by length into batches of at most `budget` tokens, the longest first.

    The longest go first so that memory that does not suffice shows at once.

    Args:
        lengths: tokens of each text.
        budget: tokens of a batch; a text that alone has more is a batch of its own.

    Yields:
        i64 positions in `lengths` of one batch; every position once in all.
    """
    if budget < 1:
        raise ValueError(f"a budget of {budget} tokens, expected 1 or more")
    sizes = np.asarray(lengths, dtype=np.int64)
    order = np.argsort(-sizes, kind="stable")
    ends = np.cumsum(sizes[order])
    first, spent = 0, 0
    while first < len(order):
        last = max(first + 1, int(np.searchsorted(ends, spent + budget, side="right")))
        yield order[first:last]
        first, spent = last, int(ends[last - 1])


def token_batches(
    items: Iterable[T], length: Callable[[T], int], budget: int, *, limit: int = 1 << 14
) -> Iterator[list[T]]:
    """Cut a stream into consecutive runs of about `budget` tokens, in bounded memory.

    Args:
        items: read lazily; one run is held at a time.
        length: tokens of an item.
        budget: a run ends with the item that reaches it.
        limit: items of a run at most.
    """
    run: list[T] = []
    tokens = 0
    for item in items:
        run.append(item)
        tokens += length(item)
        if tokens >= budget or len(run) >= limit:
            yield run
            run, tokens = [], 0
    if run:
        yield run


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Cut a stream into consecutive runs of `size` items, the last one perhaps shorter."""
    return token_batches(items, lambda _: 1, size, limit=size)
