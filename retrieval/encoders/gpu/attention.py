"""Attention over unpadded sequences, whole or within a window, by Triton.

The softmax is taken while the keys pass by, as in FlashAttention (Dao et al., 2022); a local layer
reads the keys within its window alone. One program has a block of queries of one sequence and one
head; which, a table says that the host makes of the lengths, so that no program is idle.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from retrieval.encoders.model.attention.layout import Layout

_QUERIES = {"global": 128, "local": 64}
_KEYS = 64
_LOG2E = 1.4426950408889634


def triton_attention(q: Tensor, k: Tensor, v: Tensor, layout: Layout, window: int | None) -> Tensor:
    """As `attention`, for heads of `retrieval.gpu.HEAD_DIMS` dimensions, without a gradient."""
    out = torch.empty(q.shape, dtype=q.dtype, device=q.device)
    if not layout.total:
        return out
    size = _QUERIES["global" if window is None else "local"]
    blocks = layout.blocks(size)
    heads, dim = q.shape[1:]
    _attention[(len(blocks), heads)](
        q, k, v, out, blocks,
        q.stride(0), q.stride(1), k.stride(0), k.stride(1), v.stride(0), v.stride(1),
        out.stride(0), out.stride(1),
        dim**-0.5 * _LOG2E, window or 0,
        WINDOWED=window is not None, DIM=dim, QUERIES=size, KEYS=_KEYS,
        # The default for float32 rounds to 10 bits first.
        PRECISION="ieee" if q.dtype == torch.float32 else "tf32",
        num_warps=4, num_stages=2,
    )  # fmt: skip
    return out


@triton.jit
def _attention(
    q, k, v, out, blocks,
    q_row, q_head, k_row, k_head, v_row, v_head, out_row, out_head,
    scale, window,
    WINDOWED: tl.constexpr, DIM: tl.constexpr, QUERIES: tl.constexpr, KEYS: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    # Of this block: its first row, and where its sequence begins, shows its last key, and ends.
    place = blocks + 4 * tl.program_id(0)
    first = tl.load(place)
    start = tl.load(place + 1)
    last_key = tl.load(place + 2)
    stop = tl.load(place + 3)
    head = tl.program_id(1).to(tl.int64)
    dims = tl.arange(0, DIM)
    rows = first + tl.arange(0, QUERIES)
    own = (rows < stop)[:, None]
    queries = tl.load(
        q + rows[:, None].to(tl.int64) * q_row + head * q_head + dims[None, :], mask=own, other=0.0
    )
    low = start
    high = last_key
    if WINDOWED:
        low = tl.maximum(start, first - window)
        high = tl.minimum(last_key, first + QUERIES + window)
    largest = tl.full((QUERIES,), -float("inf"), tl.float32)
    total = tl.zeros((QUERIES,), tl.float32)
    mixed = tl.zeros((QUERIES, DIM), tl.float32)
    for at in range(low, high, KEYS):
        keys = at + tl.arange(0, KEYS)
        there = keys < high
        wide = keys.to(tl.int64)
        turned = tl.load(
            k + wide[None, :] * k_row + head * k_head + dims[:, None],
            mask=there[None, :],
            other=0.0,
        )
        scores = tl.dot(queries, turned, input_precision=PRECISION) * scale
        seen = there[None, :]
        if WINDOWED:
            apart = rows[:, None] - keys[None, :]
            seen = seen & (apart <= window) & (apart >= -window)
        scores = tl.where(seen, scores, -float("inf"))
        larger = tl.maximum(largest, tl.max(scores, 1))
        # A row that has seen no key yet: -inf less -inf would be no number.
        level = tl.where(larger == -float("inf"), 0.0, larger)
        weights = tl.exp2(scores - level[:, None])
        shrunk = tl.exp2(largest - level)
        total = total * shrunk + tl.sum(weights, 1)
        values = tl.load(
            v + wide[:, None] * v_row + head * v_head + dims[None, :],
            mask=there[:, None],
            other=0.0,
        )
        mixed = mixed * shrunk[:, None]
        mixed += tl.dot(weights.to(values.dtype), values, input_precision=PRECISION)
        largest = larger
    mixed = mixed / tl.where(total == 0.0, 1.0, total)[:, None]
    tl.store(
        out + rows[:, None].to(tl.int64) * out_row + head * out_head + dims[None, :],
        mixed.to(out.dtype.element_ty),
        mask=own,
    )
