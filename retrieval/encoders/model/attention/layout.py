"""Where each sequence of a batch lies: nothing is padded, so sequences lie one after the other."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Layout:
    """Where each sequence lies in the flat tensors of one batch.

    Attributes:
        lengths: tokens of each sequence; none is zero.
        cu_seqlens: i32 [n + 1] on the device; sequence i owns rows cu_seqlens[i]:cu_seqlens[i + 1].
        key_lengths: how many leading tokens of each sequence may be attended to, where that is
            not all of them (ColBERT's query expansion without attention to the expansion), or None.
    """

    lengths: tuple[int, ...]
    cu_seqlens: Tensor
    key_lengths: tuple[int, ...] | None = None

    @classmethod
    def of(
        cls,
        lengths: Sequence[int],
        device: torch.device | str = "cpu",
        key_lengths: Sequence[int] | None = None,
    ) -> Layout:
        """The layout of sequences of these lengths, one after the other."""
        if any(length < 1 for length in lengths):
            raise ValueError("a sequence of no tokens: every sequence needs at least one")
        cu_seqlens = torch.tensor([0, *itertools.accumulate(lengths)], dtype=torch.int32)
        if key_lengths is not None and tuple(key_lengths) == tuple(lengths):
            key_lengths = None
        return cls(
            tuple(lengths),
            cu_seqlens.to(device, non_blocking=True),
            None if key_lengths is None else tuple(key_lengths),
        )

    @property
    def total(self) -> int:
        """Tokens in all."""
        return sum(self.lengths)

    @functools.cached_property
    def max_seqlen(self) -> int:
        """Tokens of the longest sequence; 0 for none."""
        return max(self.lengths, default=0)

    @functools.cached_property
    def positions(self) -> Tensor:
        """i64 [total]: each token's position in its own sequence."""
        device = self.cu_seqlens.device
        lengths = torch.tensor(self.lengths, device=device)
        starts = self.cu_seqlens[:-1].long()
        return torch.arange(self.total, device=device) - starts.repeat_interleave(
            lengths, output_size=self.total
        )

    @functools.cached_property
    def runs(self) -> tuple[tuple[int, int, int, int], ...]:
        """(first row, length, count, first sequence) of each run of equally long neighbours."""
        found, row, first = [], 0, 0
        for length, group in itertools.groupby(self.lengths):
            count = sum(1 for _ in group)
            found.append((row, length, count, first))
            row += length * count
            first += count
        return tuple(found)
