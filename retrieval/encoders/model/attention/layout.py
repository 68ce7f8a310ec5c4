"""Where each sequence of a batch lies: nothing is padded, so sequences lie one after the other."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


def on_device(tensor: Tensor, device: torch.device | str) -> Tensor:
    """The tensor on the device; from page-locked memory, so that nobody waits for the copy."""
    if torch.device(device).type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


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
            on_device(cu_seqlens, device),
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
        starts = self.cu_seqlens[:-1].long()
        return torch.arange(self.total, device=starts.device) - starts.repeat_interleave(
            self.counts, output_size=self.total
        )

    @functools.cached_property
    def counts(self) -> Tensor:
        """i64 [n] on the device: tokens of each sequence."""
        return self.cu_seqlens.diff().long()

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

    def blocks(self, size: int) -> Tensor:
        """Blocks of up to `size` rows of one sequence each, for programs that take one apiece.

        Returns:
            i32 [b, 4] on the device: a block's first row; and of its sequence the first row, the
            row after the last that may be attended to, and the row after its last.
        """
        if size not in self._blocks:
            lengths = np.array(self.lengths, np.int64)
            stops = np.cumsum(lengths)
            starts = stops - lengths
            keys = lengths if self.key_lengths is None else np.array(self.key_lengths, np.int64)
            counts = -(-lengths // size)
            owner = np.repeat(np.arange(len(lengths)), counts)
            number = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
            columns = (starts[owner] + number * size, starts[owner], (starts + keys)[owner])
            table = torch.from_numpy(np.stack([*columns, stops[owner]], axis=1).astype(np.int32))
            self._blocks[size] = on_device(table, self.cu_seqlens.device)
        return self._blocks[size]

    @functools.cached_property
    def _blocks(self) -> dict[int, Tensor]:
        return {}
