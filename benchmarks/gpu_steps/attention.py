"""Every back end of attention against the definition in float64 on the CPU."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

import torch

from gpu_steps.reporting import Run, Skip
from retrieval.encoders.model.attention import BACK_ENDS, Call, Layout, attention, forced

WINDOWS = (None, 64, 1)

TOLERANCE = {torch.float32: 1e-4, torch.float16: 5e-3, torch.bfloat16: 4e-2}
"""Of normal values, whose attention is at most about 4: some units in the last place."""


def right(run: Run) -> None:
    """Two heads of 64 dimensions, as all published shapes have; more would show nothing else."""
    lengths = list(run.sizes.lengths)
    exact = _qkv(lengths)
    for dtype in TOLERANCE:
        qkv = [x.to(dtype) for x in exact]
        for window in WINDOWS:
            expected = defined(*qkv, lengths, window)
            for name in BACK_ENDS:
                run.row(
                    {"back_end": name, "dtype": str(dtype), "window": window},
                    partial(_one, run, name, qkv, lengths, window, expected),
                )


def _qkv(lengths: list[int]) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(3, sum(lengths), 2, 64, generator=generator)


def _one(
    run: Run,
    name: str,
    qkv: list[torch.Tensor],
    lengths: list[int],
    window: int | None,
    expected: torch.Tensor,
) -> dict[str, Any]:
    layout = Layout.of(lengths, run.device)
    q, k, v = (x.to(run.device) for x in qkv)
    obstacle = BACK_ENDS[name].obstacle(Call.of(q, k, v, layout))
    if obstacle is not None:
        raise Skip(obstacle)
    with torch.inference_mode(), forced(name):
        made = attention(q, k, v, layout, window)
    error = float((made.cpu().double() - expected).abs().max())
    tolerance = TOLERANCE[q.dtype]
    return {"max_error": float(f"{error:.3g}"), "tolerance": tolerance, "ok": error <= tolerance}


def defined(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, lengths: list[int], window: int | None
) -> torch.Tensor:
    """Attention as it is defined, sequence by sequence, f64; long ones by blocks of queries."""
    q, k, v = (x.double() for x in (q, k, v))
    out = torch.empty_like(q)
    for start, stop in itertools.pairwise([0, *itertools.accumulate(lengths)]):
        keys, values = k[start:stop].transpose(0, 1), v[start:stop].transpose(0, 1)
        at = torch.arange(stop - start)
        for first in range(start, stop, 512):
            part = slice(first, min(first + 512, stop))
            scores = q[part].transpose(0, 1) @ keys.transpose(1, 2) / q.shape[-1] ** 0.5
            if window is not None:
                far = (at[first - start : part.stop - start, None] - at).abs() > window
                scores = scores.masked_fill(far, -torch.inf)
            out[part] = (scores.softmax(-1) @ values).transpose(0, 1)
    return out
