"""A batch of texts that several processes have read, each some of them, put together again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from retrieval.train.distributed import Ranks
from retrieval.train.goals import Goal


class Gather:
    """Vectors of all processes' texts, from each process's own."""

    def __init__(self, ranks: Ranks, texts: NDArray[np.int64], lengths: NDArray[np.int64]) -> None:
        """Take the numbers of this process's texts, i64 [r], and the lengths of all, i64 [n]."""
        starts = np.cumsum(lengths) - lengths
        rows = [np.arange(starts[text], starts[text] + lengths[text]) for text in texts]
        self._ranks, self._texts, self._count = ranks, texts, len(lengths)
        self._rows = np.concatenate([np.zeros(0, np.int64), *rows])
        self._total = int(lengths.sum())

    def texts(self, own: Tensor) -> Tensor:
        """[r, D] to [n, D]."""
        return self._ranks.gathered(own[: len(self._texts)], self._texts, self._count)

    def tokens(self, own: Tensor) -> Tensor:
        """[t, d] to [T, d]."""
        return self._ranks.gathered(own[: len(self._rows)], self._rows, self._total)

    def goal(self, own: Goal) -> Goal:
        """A teacher's vectors of all texts."""
        return Goal(
            None if own.hidden is None else self.tokens(own.hidden),
            None if own.pooled is None else self.texts(own.pooled),
        )
