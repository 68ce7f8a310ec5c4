"""Approximate scores of passages from their tokens' centroids, in Triton: one program per
passage."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

_TOKENS = 32


def centroid_max(table: Tensor, codes: Tensor, offsets: Tensor, rows: Tensor) -> Tensor:
    """Sum over the query's tokens of each passage's best centroid, i32 [r]; -1 if it is empty.

    Args:
        table: u8 [K, lanes], the query's scores with the centroids; padding 0.
        codes: u16 [T], the centroid of each token.
        offsets: i64 [n + 1].
        rows: i64 [r].
    """
    out = torch.empty(len(rows), dtype=torch.int32, device=codes.device)
    if len(rows):
        lanes = table.shape[1]
        _centroid_max[(len(rows),)](
            table, codes, offsets, rows, out, lanes,
            TOKENS=_TOKENS, LANES=triton.next_power_of_2(lanes), num_warps=1,
        )  # fmt: skip
    return out


@triton.jit
def _centroid_max(
    table, codes, offsets, rows, out, lanes, TOKENS: tl.constexpr, LANES: tl.constexpr
):
    place = tl.program_id(0)
    row = tl.load(rows + place)
    start = tl.load(offsets + row)
    stop = tl.load(offsets + row + 1)
    lane = tl.arange(0, LANES)
    best = tl.zeros((LANES,), tl.int32)
    for token in range(start, stop, TOKENS):
        at = token + tl.arange(0, TOKENS)
        there = at < stop
        centroid = tl.load(codes + at, mask=there, other=0).to(tl.int64)
        values = tl.load(
            table + centroid[:, None] * lanes + lane[None, :],
            mask=there[:, None] & (lane < lanes)[None, :],
            other=0,
        ).to(tl.int32)
        best = tl.maximum(best, tl.max(values, 0))
    tl.store(out + place, tl.where(stop > start, tl.sum(best, 0), -1))
