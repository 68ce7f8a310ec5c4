"""The vectors of a batch of texts, gathered from the processes that share it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lab.distillation.teacher_outputs import TeacherOutput
from lab.running.distributed import Ranks
from retrieval.ragged import offsets_of, rows_of


class Gather:
    """Gathers the vectors of all processes' texts."""

    def __init__(self, ranks: Ranks, texts: NDArray[np.int64], lengths: NDArray[np.int64]) -> None:
        """Args: the numbers of this process's texts, i64 [r]; the lengths of all texts, i64 [n]."""
        self._ranks, self._texts, self._count = ranks, texts, len(lengths)
        self._rows = rows_of(offsets_of(lengths), np.asarray(texts, np.int64))
        self._total = int(lengths.sum())

    def texts(self, local: Tensor) -> Tensor:
        """Vectors of texts: [r, D] to [n, D]."""
        return self._ranks.gather(local[: len(self._texts)], self._texts, self._count)

    def tokens(self, local: Tensor) -> Tensor:
        """Vectors of tokens: [t, d] to [T, d]."""
        return self._ranks.gather(local[: len(self._rows)], self._rows, self._total)

    def teacher_output(self, local: TeacherOutput) -> TeacherOutput:
        """A teacher's vectors of all texts."""
        return TeacherOutput(
            None if local.hidden is None else self.tokens(local.hidden),
            None if local.pooled is None else self.texts(local.pooled),
        )
