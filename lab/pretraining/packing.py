"""Packs: sequences one after the other in a flat batch, filled up to a budget of tokens.

Nothing is padded and nothing is cut to fit: of the sequences that wait, those are taken that fill
the gap best (ModernBERT packs greedily by best fit, too). The sequences of a pack do not see each
other, because attention goes by their lengths.

The order is decided by a seed and the epoch alone, so that a run which goes on needs two numbers
and the few sequences that were waiting.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lab.text.tokens import Documents
from retrieval.errors import InputError
from retrieval.ragged import offsets_of

POOL_SIZE = 512
"""Sequences among which the one that fills a gap best is chosen."""


@dataclass(frozen=True, slots=True)
class PackerState:
    """How far a packer has come.

    Attributes:
        epoch: from 0.
        taken: sequences of this epoch's order that were taken.
        waiting: numbers of sequences that were taken and are in no pack yet.
    """

    epoch: int = 0
    taken: int = 0
    waiting: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Pack:
    """One flat batch.

    Attributes:
        ids: i64 [T], special tokens included, the sequences one after the other.
        lengths: tokens of each sequence, ascending.
        fill: T as a share of the budget.
    """

    ids: NDArray[np.int64]
    lengths: tuple[int, ...]
    fill: float


class Packer:
    """Packs without end; each sequence comes once an epoch, in an order of its own each epoch.

    A document of more than `max_tokens` tokens, [CLS] and [SEP] included, is cut into as few
    sequences of near-equal lengths as that takes.

    Args:
        budget: tokens of a pack at most.
        ends: the ids of [CLS] and [SEP].
        seed: decides the order, together with the epoch.
        state: where to continue.

    Raises:
        InputError: a sequence may be longer than a pack, or there is no text.
    """

    def __init__(
        self,
        documents: Documents,
        max_tokens: int,
        budget: int,
        *,
        ends: tuple[int, int],
        seed: tuple[int, ...],
        state: PackerState | None = None,
    ) -> None:
        if not 3 <= max_tokens <= budget:
            raise InputError(
                f"sequences of up to {max_tokens} tokens in packs of {budget}: "
                "expected 3 or more, and packs that hold the longest sequence"
            )
        self._documents, self._budget, self._ends, self._seed = documents, budget, ends, seed
        self._starts, self._sizes = split_documents(np.diff(documents.offsets), max_tokens - 2)
        if not len(self._sizes):
            raise InputError("there is no token of text to learn from: every text is empty")
        state = state or PackerState()
        self._epoch, self._taken = state.epoch, state.taken
        self._waiting = list(state.waiting)
        self._order = self._shuffled()

    @property
    def state(self) -> PackerState:
        """The state from which another packer continues."""
        return PackerState(self._epoch, self._taken, tuple(self._waiting))

    def plan(self) -> NDArray[np.int64]:
        """The numbers of the next pack's sequences, by ascending length."""
        room, chosen = self._budget, []
        while True:
            self._take()
            size = int(self._sizes[self._waiting[0]]) + 2
            if size > room:
                break
            chosen.append(self._waiting.pop(0))
            room -= size
        while True:
            sizes = self._sizes[self._waiting] + 2
            best = int(np.argmax(np.where(sizes <= room, sizes, -1)))
            if sizes[best] > room:
                break
            room -= int(sizes[best])
            chosen.append(self._waiting.pop(best))
            self._take()
        numbers = np.array(chosen, dtype=np.int64)
        # Attention runs equally long neighbours in one call.
        return numbers[np.argsort(self._sizes[numbers], kind="stable")]

    def fetch(self, numbers: NDArray[np.int64]) -> Pack:
        """The tokens of a planned pack."""
        cls_id, sep_id = self._ends
        sizes = self._sizes[numbers]
        ids = np.empty(int(sizes.sum()) + 2 * len(numbers), dtype=np.int64)
        row = 0
        for start, size in zip(self._starts[numbers], sizes, strict=True):
            ids[row], ids[row + size + 1] = cls_id, sep_id
            ids[row + 1 : row + size + 1] = self._documents.ids[start : start + size]
            row += size + 2
        return Pack(ids, tuple((sizes + 2).tolist()), len(ids) / self._budget)

    def _take(self) -> None:
        """Take sequences until enough are waiting."""
        enough = min(POOL_SIZE, len(self._sizes))
        while len(self._waiting) < enough:
            if self._taken == len(self._order):
                self._epoch, self._taken = self._epoch + 1, 0
                self._order = self._shuffled()
            more = self._order[self._taken : self._taken + enough - len(self._waiting)]
            self._waiting.extend(more.tolist())
            self._taken += len(more)

    def _shuffled(self) -> NDArray[np.int64]:
        return np.random.default_rng([*self._seed, self._epoch]).permutation(len(self._sizes))


def split_documents(
    lengths: NDArray[np.int64], room: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split concatenated documents into sequences of at most `room` tokens.

    Args:
        lengths: i64 [n], tokens of each document.
        room: most tokens of a sequence.

    Returns:
        Starts and lengths of the sequences, i64 [s] each. Those of a document differ by at most one
        token in length; an empty document has none.
    """
    parts = -(-lengths // room)
    owner = np.repeat(np.arange(len(lengths)), parts)
    part_index = np.arange(int(parts.sum())) - offsets_of(parts)[owner]
    short, longer = np.divmod(lengths[owner], parts[owner])
    sizes = short + (part_index < longer)
    # Together the sequences are the documents, in their order.
    return offsets_of(sizes)[:-1], sizes
