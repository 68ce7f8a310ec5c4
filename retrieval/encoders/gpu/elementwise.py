"""What stands between a layer's matrix products, each in one pass over memory, by Triton."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

_ROWS = 8  # tokens of a program of `rotate_`
_COLUMNS = 1024  # of a program of `geglu`


def rotate_(qkv: Tensor, cos: Tensor, sin: Tensor) -> None:
    """Turn queries and keys by their positions, in place; dimension i pairs with i + head_dim / 2.

    Args:
        qkv: [T, 3, heads, head_dim], head_dim twice a power of two; rows may lie apart.
        cos, sin: f32 [T, head_dim / 2].
    """
    tokens, _, heads, dim = qkv.shape
    if tokens:
        _rotate[(triton.cdiv(tokens, _ROWS), 2 * heads)](
            qkv, cos, sin, tokens, qkv.stride(0), dim,
            HALF=dim // 2, ROWS=_ROWS, num_warps=2,
        )  # fmt: skip


def add_norm(
    x: Tensor, y: Tensor, weight: Tensor, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor]:
    """x + y, and its layer norm: each [T, hidden] in the precision of x, computed in float32.

    Args:
        x, y: [T, hidden], contiguous.
        weight, bias: [hidden].
    """
    total, normed = torch.empty_like(x), torch.empty_like(x)
    rows, hidden = x.shape
    if rows:
        _add_norm[(rows,)](
            x, y, total, normed, weight, weight if bias is None else bias, hidden, eps,
            BIAS=bias is not None, WIDTH=triton.next_power_of_2(hidden), num_warps=4,
        )  # fmt: skip
    return total, normed


def geglu(x: Tensor) -> Tensor:
    """gelu(first half) times the second half: [T, 2 inner], contiguous, to [T, inner]."""
    rows, wide = x.shape
    out = torch.empty((rows, wide // 2), dtype=x.dtype, device=x.device)
    if rows:
        _geglu[(rows, triton.cdiv(wide // 2, _COLUMNS))](
            x, out, wide // 2, COLUMNS=_COLUMNS, num_warps=4
        )
    return out


@triton.jit
def _rotate(qkv, cos, sin, tokens, row, dim, HALF: tl.constexpr, ROWS: tl.constexpr):
    at = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    there = (at < tokens)[:, None]
    half = tl.arange(0, HALF)
    # Each row holds the queries' heads, then the keys' (2 * heads together), then the values.
    place = qkv + at[:, None].to(tl.int64) * row + tl.program_id(1) * dim + half[None, :]
    a = tl.load(place, mask=there, other=0.0).to(tl.float32)
    b = tl.load(place + HALF, mask=there, other=0.0).to(tl.float32)
    angle = at[:, None].to(tl.int64) * HALF + half[None, :]
    c = tl.load(cos + angle, mask=there, other=0.0)
    s = tl.load(sin + angle, mask=there, other=0.0)
    tl.store(place, (a * c - b * s).to(qkv.dtype.element_ty), mask=there)
    tl.store(place + HALF, (b * c + a * s).to(qkv.dtype.element_ty), mask=there)


@triton.jit
def _add_norm(
    x, y, total, normed, weight, bias, hidden, eps, BIAS: tl.constexpr, WIDTH: tl.constexpr
):
    columns = tl.arange(0, WIDTH)
    there = columns < hidden
    place = tl.program_id(0).to(tl.int64) * hidden + columns
    a = tl.load(x + place, mask=there, other=0.0).to(tl.float32)
    b = tl.load(y + place, mask=there, other=0.0).to(tl.float32)
    added = (a + b).to(total.dtype.element_ty)
    tl.store(total + place, added, mask=there)
    # The norm is of the sum as it is kept, so that it does not depend on who computes it.
    kept = added.to(tl.float32)
    mean = tl.sum(kept, 0) / hidden
    apart = tl.where(there, kept - mean, 0.0)
    scale = 1.0 / tl.sqrt(tl.sum(apart * apart, 0) / hidden + eps)
    made = apart * scale * tl.load(weight + columns, mask=there, other=0.0).to(tl.float32)
    if BIAS:
        made += tl.load(bias + columns, mask=there, other=0.0).to(tl.float32)
    tl.store(normed + place, made.to(normed.dtype.element_ty), mask=there)


@triton.jit
def _geglu(x, out, inner, COLUMNS: tl.constexpr):
    columns = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    there = columns < inner
    row = tl.program_id(0).to(tl.int64)
    value = tl.load(x + row * 2 * inner + columns, mask=there, other=0.0).to(tl.float32)
    gate = tl.load(x + row * 2 * inner + inner + columns, mask=there, other=0.0)
    active = 0.5 * value * (1.0 + tl.erf(value * 0.7071067811865476))
    # Rounded before the product, as it is where each operation is a kernel of its own.
    made = active.to(gate.dtype).to(tl.float32) * gate.to(tl.float32)
    tl.store(out + row * inner + columns, made.to(out.dtype.element_ty), mask=there)
