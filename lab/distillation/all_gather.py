"""A batch of texts that several processes have read, each some of them, put together again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lab.distillation.teacher_outputs import TeacherOutput
from lab.running.distributed import Ranks
from retrieval.ragged import offsets_of, rows_of


class Gather:
    """Vectors of all processes' texts, from each process's own."""

    def __init__(self, ranks: Ranks, texts: NDArray[np.int64], lengths: NDArray[np.int64]) -> None:
        """Take the numbers of this process's texts, i64 [r], and the lengths of all, i64 [n]."""
        self._ranks, self._texts, self._count = ranks, texts, len(lengths)
        self._rows = rows_of(offsets_of(lengths), np.asarray(texts, np.int64))
        self._total = int(lengths.sum())

    def texts(self, own: Tensor) -> Tensor:
        """[r, D] to [n, D]."""
        return self._ranks.gathered(own[: len(self._texts)], self._texts, self._count)

    def tokens(self, own: Tensor) -> Tensor:
        """[t, d] to [T, d]."""
        return self._ranks.gathered(own[: len(self._rows)], self._rows, self._total)

    def teacher_output(self, own: TeacherOutput) -> TeacherOutput:
        """A teacher's vectors of all texts."""
        return TeacherOutput(
            None if own.hidden is None else self.tokens(own.hidden),
            None if own.pooled is None else self.texts(own.pooled),
        )
