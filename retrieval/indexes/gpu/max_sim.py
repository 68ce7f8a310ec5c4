"""MaxSim over int8 token vectors, in Triton: one program per passage, looping over all queries.

The vectors of a passage with at most `MOST` tokens are read once, whatever the number of queries;
those of a longer one, once per query.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

MOST = 256
"""Maximum tokens of a passage that one program holds at a time."""

QUERY_TOKENS = 32
"""Query tokens per matrix product; a longer query takes several."""


def max_sim(
    codes: Tensor,
    scales: Tensor,
    offsets: Tensor,
    rows: Tensor,
    query: Tensor,
    factors: Tensor,
    bounds: Tensor,
    *,
    longest: int | None = None,
) -> Tensor:
    """MaxSim of each query and each of the passages, f32 [B, r]; -inf for one without tokens.

    Args:
        codes: i8 [T, d].
        scales: f32 [T], not negative.
        offsets: i64 [n + 1].
        rows: i64 [r].
        query: i8 [M, d], the tokens of all queries.
        factors: f32 [M].
        bounds: i64 [B + 1]; query b owns query[bounds[b]:bounds[b + 1]], at least one.
        longest: tokens of the longest passage, if known; else the GPU is asked, which takes a wait.
    """
    out = torch.empty((len(bounds) - 1, len(rows)), dtype=torch.float32, device=codes.device)
    if not out.numel():
        return out
    tokens, whole = block(offsets, rows, longest)
    dim = codes.shape[1]
    _max_sim[(len(rows),)](
        codes, scales, offsets, rows, query, factors, bounds, out, len(bounds) - 1, len(rows), dim,
        TOKENS=tokens, WHOLE=whole, DIM=padded(dim), ASKED=QUERY_TOKENS, num_warps=4, num_stages=2,
    )  # fmt: skip
    return out


def block(offsets: Tensor, rows: Tensor, longest: int | None) -> tuple[int, bool]:
    """Tokens that a program holds at a time, and whether every passage fits."""
    if longest is None:
        longest = int((offsets[rows + 1] - offsets[rows]).max())
    tokens: int = min(MOST, max(16, triton.next_power_of_2(longest)))
    return tokens, longest <= tokens


def padded(dim: int) -> int:
    """Dimensions padded for an int8 product: a power of two, at least 32."""
    found: int = triton.next_power_of_2(dim)
    return max(32, found)


@triton.jit
def _max_sim(
    codes, scales, offsets, rows, query, factors, bounds, out, queries, passages, dim,
    TOKENS: tl.constexpr, WHOLE: tl.constexpr, DIM: tl.constexpr, ASKED: tl.constexpr,
):  # fmt: skip
    place = tl.program_id(0)
    row = tl.load(rows + place)
    start = tl.load(offsets + row)
    stop = tl.load(offsets + row + 1)
    at = start + tl.arange(0, TOKENS)
    if WHOLE:
        vectors, sizes = _read(codes, scales, at, stop, dim, DIM)
    for number in range(queries):
        first = tl.load(bounds + number)
        last = tl.load(bounds + number + 1)
        total = tl.zeros((ASKED,), tl.float64)
        for begin in range(first, last, ASKED):
            asked, inside, each = asked_for(query, factors, begin, last, dim, DIM, ASKED)
            best = tl.full((ASKED,), -float("inf"), tl.float32)
            if WHOLE:
                best = better(best, vectors, asked, sizes, at < stop)
            else:
                for token in range(start, stop, TOKENS):
                    own = token + tl.arange(0, TOKENS)
                    part, scale = _read(codes, scales, own, stop, dim, DIM)
                    best = better(best, part, asked, scale, own < stop)
            best = tl.where(inside & (stop > start), best, 0.0)
            total += best.to(tl.float64) * each.to(tl.float64)
        score = tl.where(stop > start, tl.sum(total, 0).to(tl.float32), -float("inf"))
        tl.store(out + tl.cast(number, tl.int64) * passages + place, score)


@triton.jit
def _read(codes, scales, at, stop, dim, DIM: tl.constexpr):
    """Read the vectors of these tokens, and their scales; zeros beyond the passage."""
    dims = tl.arange(0, DIM)
    there = at < stop
    found = tl.load(
        codes + at[:, None].to(tl.int64) * dim + dims[None, :],
        mask=there[:, None] & (dims < dim)[None, :],
        other=0,
    )
    return found, tl.load(scales + at, mask=there, other=0.0)


@triton.jit
def asked_for(query, factors, begin, last, dim, DIM: tl.constexpr, ASKED: tl.constexpr):
    """Tokens of a query i8 [DIM, ASKED], a mask of those that exist, and their factors."""
    dims = tl.arange(0, DIM)
    tokens = begin + tl.arange(0, ASKED)
    inside = tokens < last
    turned = tl.load(
        query + tokens[None, :].to(tl.int64) * dim + dims[:, None],
        mask=inside[None, :] & (dims < dim)[:, None],
        other=0,
    )
    return turned, inside, tl.load(factors + tokens, mask=inside, other=0.0)


@triton.jit
def better(best, vectors, asked, scale, there):
    """Update the best score of each query token with these passage tokens: f32 [ASKED]."""
    scores = tl.dot(vectors, asked, out_dtype=tl.int32).to(tl.float32) * scale[:, None]
    return tl.maximum(best, tl.max(tl.where(there[:, None], scores, -float("inf")), 0))
