"""MaxSim over centroids and packed residuals, in Triton: decoded in registers, never to memory."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from retrieval.indexes.gpu.max_sim import QUERY_TOKENS, asked_for, better, block, padded


def max_sim_compressed(
    codes: Tensor,
    residuals: Tensor,
    centroids: Tensor,
    classes: Tensor,
    levels: Tensor,
    offsets: Tensor,
    rows: Tensor,
    query: Tensor,
    factors: Tensor,
    bounds: Tensor,
    *,
    longest: int | None = None,
) -> Tensor:
    """MaxSim of each query and each decoded passage, f32 [B, r]; -inf for one without tokens.

    Args:
        codes: u16 [T], the centroid of each token.
        residuals: u8 [T, d * bits / 8], bits 2 or 4; see `reference.decode`.
        centroids: i8 [K, d].
        classes: u8 [K], below C.
        levels: i8 [C, 2 ** bits].
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
    dim, size = centroids.shape[1], levels.shape[1]
    _max_sim_compressed[(len(rows),)](
        codes, residuals, centroids, classes, levels, offsets, rows, query, factors, bounds, out,
        len(bounds) - 1, len(rows), dim, residuals.shape[1],
        TOKENS=tokens, WHOLE=whole, DIM=padded(dim), BITS=size.bit_length() - 1, ASKED=QUERY_TOKENS,
        num_warps=4, num_stages=1,
    )  # fmt: skip
    return out


@triton.jit
def _max_sim_compressed(
    codes, residuals, centroids, classes, levels, offsets, rows, query, factors, bounds, out,
    queries, passages, dim, width,
    TOKENS: tl.constexpr, WHOLE: tl.constexpr, DIM: tl.constexpr, BITS: tl.constexpr,
    ASKED: tl.constexpr,
):  # fmt: skip
    place = tl.program_id(0)
    row = tl.load(rows + place)
    start = tl.load(offsets + row)
    stop = tl.load(offsets + row + 1)
    at = start + tl.arange(0, TOKENS)
    ones = tl.full((TOKENS,), 1.0, tl.float32)
    if WHOLE:
        vectors = _decode(
            codes, residuals, centroids, classes, levels, at, stop, dim, width, DIM, BITS
        )
    for number in range(queries):
        first = tl.load(bounds + number)
        last = tl.load(bounds + number + 1)
        total = tl.zeros((ASKED,), tl.float64)
        for begin in range(first, last, ASKED):
            asked, inside, each = asked_for(query, factors, begin, last, dim, DIM, ASKED)
            best = tl.full((ASKED,), -float("inf"), tl.float32)
            if WHOLE:
                best = better(best, vectors, asked, ones, at < stop)
            else:
                for token in range(start, stop, TOKENS):
                    own = token + tl.arange(0, TOKENS)
                    part = _decode(
                        codes, residuals, centroids, classes, levels, own, stop, dim, width, DIM,
                        BITS,
                    )  # fmt: skip
                    best = better(best, part, asked, ones, own < stop)
            best = tl.where(inside & (stop > start), best, 0.0)
            total += best.to(tl.float64) * each.to(tl.float64)
        score = tl.where(stop > start, tl.sum(total, 0).to(tl.float32), -float("inf"))
        tl.store(out + tl.cast(number, tl.int64) * passages + place, score)


@triton.jit
def _decode(
    codes, residuals, centroids, classes, levels, at, stop, dim, width,
    DIM: tl.constexpr, BITS: tl.constexpr,
):  # fmt: skip
    """Centroid and residual of each token, added and clipped to a byte: i8 [TOKENS, DIM]."""
    dims = tl.arange(0, DIM)
    there = (at < stop)[:, None] & (dims < dim)[None, :]
    centroid = tl.load(codes + at, mask=at < stop, other=0).to(tl.int32)
    group = tl.load(classes + centroid).to(tl.int32)
    # Dimension j + i * width is in byte j, from bit i * BITS on.
    byte = tl.load(
        residuals + at[:, None].to(tl.int64) * width + (dims % width)[None, :], mask=there, other=0
    ).to(tl.int32)
    code = (byte >> ((dims // width) * BITS)[None, :]) & ((1 << BITS) - 1)
    step = tl.load(levels + (group[:, None] << BITS) + code, mask=there, other=0).to(tl.int32)
    middle = tl.load(
        centroids + centroid[:, None].to(tl.int64) * dim + dims[None, :], mask=there, other=0
    ).to(tl.int32)
    return tl.minimum(tl.maximum(middle + step, -128), 127).to(tl.int8)
