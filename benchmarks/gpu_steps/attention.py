"""Every back end of attention against its definition in float64 on the CPU."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

import torch

from gpu_steps.reporting import Run, Skip
from retrieval.encoders.model.attention import BACK_ENDS, Call, Layout, attention, forced

WINDOWS = (None, 64, 1)

TOLERANCE = {torch.float32: 1e-4, torch.float16: 5e-3, torch.bfloat16: 4e-2}
"""Absolute error allowed: some units in the last place of values of at most about 4."""


def check(run: Run) -> None:
    """Two heads of 64 dimensions, the size that all published shapes have."""
    lengths = list(run.sizes.lengths)
    exact = _random_qkv(lengths)
    for dtype in TOLERANCE:
        qkv = [x.to(dtype) for x in exact]
        for window in WINDOWS:
            expected = reference_attention(*qkv, lengths, window)
            for name in BACK_ENDS:
                run.row(
                    {"back_end": name, "dtype": str(dtype), "window": window},
                    partial(_max_error, run, name, qkv, lengths, window, expected),
                )


def _random_qkv(lengths: list[int]) -> torch.Tensor:
    """Normal queries, keys and values, f32 [3, T, 2, 64]."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(3, sum(lengths), 2, 64, generator=generator)


def _max_error(
    run: Run,
    name: str,
    qkv: list[torch.Tensor],
    lengths: list[int],
    window: int | None,
    expected: torch.Tensor,
) -> dict[str, Any]:
    """The largest error of one back end, or `Skip` where it cannot run."""
    layout = Layout.of(lengths, run.device)
    q, k, v = (x.to(run.device) for x in qkv)
    obstacle = BACK_ENDS[name].obstacle(Call.of(q, k, v, layout))
    if obstacle is not None:
        raise Skip(obstacle)
    with torch.inference_mode(), forced(name):
        output = attention(q, k, v, layout, window)
    error = float((output.cpu().double() - expected).abs().max())
    tolerance = TOLERANCE[q.dtype]
    return {"max_error": float(f"{error:.3g}"), "tolerance": tolerance, "ok": error <= tolerance}


def reference_attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, lengths: list[int], window: int | None
) -> torch.Tensor:
    """Attention by its definition, one sequence after another and long ones in blocks of queries.

    Args:
        q, k, v: [T, heads, d], of any floating type.
        lengths: tokens of each sequence.
        window: how far a key may be from its query; None for any distance.

    Returns:
        f64 [T, heads, d].
    """
    q, k, v = (x.double() for x in (q, k, v))
    out = torch.empty_like(q)
    for start, stop in itertools.pairwise([0, *itertools.accumulate(lengths)]):
        keys, values = k[start:stop].transpose(0, 1), v[start:stop].transpose(0, 1)
        positions = torch.arange(stop - start)
        for first in range(start, stop, 512):
            block = slice(first, min(first + 512, stop))
            scores = q[block].transpose(0, 1) @ keys.transpose(1, 2) / q.shape[-1] ** 0.5
            if window is not None:
                far = (
                    positions[first - start : block.stop - start, None] - positions
                ).abs() > window
                scores = scores.masked_fill(far, -torch.inf)
            out[block] = (scores.softmax(-1) @ values).transpose(0, 1)
    return out
