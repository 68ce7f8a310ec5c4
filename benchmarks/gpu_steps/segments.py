"""Random late-interaction segments on a device, in the size that the run asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gpu_steps.reporting import Run
from retrieval.ragged import offsets_of

DIM = 96
"""Dimensions of the embedded model's token vectors."""

LANES = 16


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """What both kinds of segments have, and the queries that search them.

    Attributes:
        bounds: i64 [n + 1], first tokens of the passages, on the CPU.
        offsets: the same on the device.
        rows: i64 [n], all passages.
        query: i8 [M, d], the tokens of all queries.
        factors: f32 [M], the scales of the queries' tokens.
        query_bounds: i64 [B + 1], first tokens of the queries.
    """

    bounds: NDArray[np.int64]
    offsets: torch.Tensor
    rows: torch.Tensor
    query: torch.Tensor
    factors: torch.Tensor
    query_bounds: torch.Tensor

    @property
    def longest(self) -> int:
        """Tokens of the longest passage."""
        return int(np.diff(self.bounds).max())

    @property
    def passages(self) -> int:
        """Number of passages."""
        return len(self.rows)

    @property
    def tokens(self) -> int:
        """Number of tokens of all passages."""
        return int(self.bounds[-1])

    @property
    def queries(self) -> int:
        """Number of queries."""
        return len(self.query_bounds) - 1

    @property
    def dim(self) -> int:
        """Dimensions of a token vector."""
        return int(self.query.shape[1])


@dataclass(frozen=True, slots=True, eq=False)
class ExactSegment(Segment):
    """Token vectors in 8 bits: codes i8 [T, d] and scales f32 [T]."""

    codes: torch.Tensor
    scales: torch.Tensor

    @property
    def nbytes(self) -> int:
        """Bytes of the vectors."""
        return int(self.codes.nbytes + self.scales.nbytes)

    @property
    def arguments(self) -> tuple[Any, ...]:
        """Arguments of `retrieval.indexes.gpu.max_sim`."""
        stored = (self.codes, self.scales, self.offsets, self.rows)
        return (*stored, self.query, self.factors, self.query_bounds)

    @classmethod
    def random(cls, run: Run) -> ExactSegment:
        """Random passages of about the run's length."""
        parts = _random_parts(run)
        tokens = int(parts["bounds"][-1])
        codes = _random_bytes(run, torch.int8, (tokens, DIM))
        scales = torch.full((tokens,), 1 / 127 / DIM**0.5, device=run.device)
        return cls(**parts, codes=codes, scales=scales)


@dataclass(frozen=True, slots=True, eq=False)
class CompressedSegment(Segment):
    """Token vectors as a centroid and 4 bits per dimension.

    Attributes:
        codes: u16 [T], centroid of each token.
        residuals: u8 [T, d / 2].
        centroids: i8 [K, d].
        classes: u8 [K].
        levels: i8 [C, 16].
        tables: u8 [K, lanes] for each query.
    """

    codes: torch.Tensor
    residuals: torch.Tensor
    centroids: torch.Tensor
    classes: torch.Tensor
    levels: torch.Tensor
    tables: list[torch.Tensor]

    @property
    def nbytes(self) -> int:
        """Bytes of the vectors."""
        return int(2 * len(self.codes) + self.residuals.nbytes)

    @property
    def arguments(self) -> tuple[Any, ...]:
        """Arguments of `retrieval.indexes.gpu.max_sim_compressed`."""
        codec = (self.codes, self.residuals, self.centroids, self.classes, self.levels)
        searched = (self.offsets, self.rows, self.query, self.factors, self.query_bounds)
        return codec + searched

    @classmethod
    def random(cls, run: Run) -> CompressedSegment:
        """Random passages of about the run's length, with a typical number of centroids."""
        parts = _random_parts(run)
        tokens = int(parts["bounds"][-1])
        count = 64 if run.dry else 32_768
        lanes = -(-run.sizes.query_tokens // LANES) * LANES
        levels = torch.arange(-8, 8, dtype=torch.int8, device=run.device)
        return cls(
            **parts,
            codes=torch.randint(0, count, (tokens,), device=run.device).to(torch.uint16),
            residuals=_random_bytes(run, torch.uint8, (tokens, DIM // 2)),
            centroids=_random_bytes(run, torch.int8, (count, DIM)),
            classes=torch.zeros(count, dtype=torch.uint8, device=run.device),
            levels=levels[None, :].contiguous(),
            tables=[
                _random_bytes(run, torch.uint8, (count, lanes)) for _ in range(run.sizes.queries)
            ],
        )


def _random_parts(run: Run) -> dict[str, Any]:
    """The fields of `Segment`."""
    sizes = run.sizes
    rng = np.random.default_rng(0)
    mean = sizes.passage_tokens
    lengths = rng.normal(mean, mean / 4, sizes.passages).round().clip(1, 2 * mean)
    bounds = offsets_of(lengths.astype(np.int64))
    query_tokens = sizes.queries * sizes.query_tokens
    return {
        "bounds": bounds,
        "offsets": torch.from_numpy(bounds).to(run.device),
        "rows": torch.arange(sizes.passages, device=run.device),
        "query": _random_bytes(run, torch.int8, (query_tokens, DIM)),
        "factors": torch.full((query_tokens,), 1 / 127 / DIM**0.5, device=run.device),
        "query_bounds": torch.arange(0, query_tokens + 1, sizes.query_tokens, device=run.device),
    }


def _random_bytes(run: Run, dtype: torch.dtype, size: tuple[int, ...]) -> torch.Tensor:
    """Uniformly random 8-bit integers."""
    low, high = (-127, 128) if dtype == torch.int8 else (0, 256)
    return torch.randint(low, high, size, dtype=dtype, device=run.device)
