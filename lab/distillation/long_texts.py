"""Long texts to learn from, although the teacher reads only short ones.

Neighbouring windows of a corpus mostly come from one document. Joined, they are one long text for
the student. The teacher reads each window separately, and its concatenated vectors are the targets:
a token far into a long text should have the vector that it has near its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lab.distillation.teacher import Targets, TokenTeacher
from lab.text.corpus import TokenCorpus

LENGTHS = (512, 1024, 2048, 4096, 8192)
"""Tokens of a long text."""


@dataclass(frozen=True, slots=True)
class LongTexts:
    """Long texts joined from windows.

    Attributes:
        texts: ids of each long text, special tokens included.
        windows: ids of each window, special tokens included, in order.
        kept: bool [W], which of the windows' tokens are part of the long texts.
    """

    texts: list[NDArray[Any]]
    windows: list[NDArray[Any]]
    kept: NDArray[np.bool_]

    def targets(self, teacher: TokenTeacher) -> Targets:
        """The teacher's vectors of the windows, for each token of the long texts."""
        window_targets = teacher(self.windows)
        kept = torch.from_numpy(self.kept).to(window_targets.hidden.device)
        return Targets(window_targets.hidden[kept], [])


def join_windows(runs: Sequence[Sequence[NDArray[Any]]]) -> LongTexts:
    """Join each run of windows, none of which is empty, into one long text.

    The first window's [CLS] and the last one's [SEP] are kept, the others dropped.
    """
    texts: list[NDArray[Any]] = []
    windows: list[NDArray[Any]] = []
    kept: list[NDArray[np.bool_]] = []
    for parts in runs:
        inner = [part[1:-1] for part in parts]
        texts.append(np.concatenate([parts[0][:1], *inner, parts[-1][-1:]]))
        windows += parts
        for index, part in enumerate(parts):
            keep = np.ones(len(part), np.bool_)
            keep[0] = index == 0
            keep[-1] = index == len(parts) - 1
            kept.append(keep)
    return LongTexts(texts, windows, np.concatenate(kept))


def runs_of_texts(
    corpus: TokenCorpus,
    budget: int,
    *,
    seed: int,
    lengths: Sequence[int] = LENGTHS,
    odds: float = 0.5,
) -> Iterator[list[NDArray[np.int64]]]:
    """Runs of neighbouring texts' numbers, about `budget` tokens per batch, without end.

    A batch has one length, and each length is drawn `odds` times as often as the one before it. A
    length above the budget makes a batch of one run. A run ends with the corpus.
    """
    rng = np.random.default_rng(seed)
    weights = odds ** np.arange(len(lengths))
    weights /= weights.sum()
    while True:
        length = int(rng.choice(lengths, p=weights))
        count = max(1, budget // length)
        starts = rng.integers(0, len(corpus), count)
        yield [_run(corpus, int(start), length) for start in starts]


def _run(corpus: TokenCorpus, start: int, length: int) -> NDArray[np.int64]:
    end = int(np.searchsorted(corpus.offsets, corpus.offsets[start] + length, side="right")) - 1
    return np.arange(start, min(max(end, start + 1), len(corpus)))
