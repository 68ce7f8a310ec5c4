"""Attention over unpadded sequences: one function, several back ends.

Sequences lie one after the other in flat tensors; a `Layout` says where each begins. On CUDA in
half precision the work goes to flash-attn where it is installed and else to
`torch.nn.attention.varlen`; everywhere else to `scaled_dot_product_attention`, one call for each
run of equally long sequences in global layers, and blocks of `BLOCK` queries against the keys
within their window in local ones, so that a local layer's cost grows with the length and not with
its square.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK = 64
"""Queries of one block of a local layer; against a window of 64 they see 192 keys."""

SHORT = 256
"""Up to here a local layer's full matrix costs less than gathering blocks of keys."""


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


def attention(q: Tensor, k: Tensor, v: Tensor, layout: Layout, window: int | None) -> Tensor:
    """Softmax attention within each sequence, scaled by 1/sqrt(head_dim), nothing causal.

    Args:
        q, k, v: [T, heads, head_dim], the sequences of `layout` one after the other.
        window: a query sees the keys with |q - k| <= window; None for all of its sequence.

    Returns:
        [T, heads, head_dim]. A query that sees no key at all gets zeros.
    """
    if q.is_cuda and q.dtype in (torch.float16, torch.bfloat16) and layout.key_lengths is None:
        if _has_flash_attn():
            return _flash_attn(q, k, v, layout, window)
        return _varlen(q, k, v, layout, window)
    return plain_attention(q, k, v, layout, window)


@functools.cache
def _has_flash_attn() -> bool:
    return importlib.util.find_spec("flash_attn") is not None


def _flash_attn(q: Tensor, k: Tensor, v: Tensor, layout: Layout, window: int | None) -> Tensor:
    from flash_attn import flash_attn_varlen_func

    sides = (-1, -1) if window is None else (window, window)
    out: Tensor = flash_attn_varlen_func(
        q, k, v, layout.cu_seqlens, layout.cu_seqlens, layout.max_seqlen, layout.max_seqlen,
        window_size=sides,
    )  # fmt: skip
    return out


def _varlen(q: Tensor, k: Tensor, v: Tensor, layout: Layout, window: int | None) -> Tensor:
    from torch.nn.attention.varlen import varlen_attn

    sides = (-1, -1) if window is None else (window, window)
    out = varlen_attn(
        q, k, v, layout.cu_seqlens, layout.cu_seqlens, layout.max_seqlen, layout.max_seqlen,
        window_size=sides,
    )  # fmt: skip
    assert isinstance(out, Tensor)
    return out


def plain_attention(q: Tensor, k: Tensor, v: Tensor, layout: Layout, window: int | None) -> Tensor:
    """`attention` on any device and in any precision, through torch's own kernels."""
    parts = []
    # Cut all at once: the gradient of a slice is as large as the whole, for each run.
    sizes = [length * count for _, length, count, _ in layout.runs]
    cut = (torch.split(x, sizes) for x in (q, k, v))
    for (_, length, count, first), qs, ks, vs in zip(layout.runs, *cut, strict=True):
        key_lengths = (
            None if layout.key_lengths is None else layout.key_lengths[first : first + count]
        )
        if window is None or length <= window + 1:
            parts.append(_dense(qs, ks, vs, count, None, key_lengths))
        elif length <= SHORT or key_lengths is not None:
            # So short that skipping keys saves less than gathering them costs.
            parts.append(_dense(qs, ks, vs, count, window, key_lengths))
        else:
            parts.append(_blocked(qs, ks, vs, count, window))
    return torch.cat(parts) if len(parts) != 1 else parts[0]


def _dense(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    count: int,
    window: int | None,
    key_lengths: tuple[int, ...] | None,
) -> Tensor:
    """`count` sequences of one length: every query against every key, masked where need be."""
    length = q.shape[0] // count
    shape = (count, length, *q.shape[1:])
    qh, kh, vh = (x.reshape(shape).transpose(1, 2) for x in (q, k, v))
    mask: Tensor | None = None
    if window is not None:
        mask = _band(length, length, 0, window, q.device)
    if key_lengths is not None:
        at = torch.arange(length, device=q.device)
        visible = at < torch.tensor(key_lengths, device=q.device)[:, None]
        keys = visible[:, None, None, :]
        mask = keys if mask is None else keys & mask
    if _better_apart(q) and length <= SHORT:
        out = _by_matmul(qh, kh, vh, mask)
    else:
        out = F.scaled_dot_product_attention(qh, kh, vh, attn_mask=mask)
    if mask is not None and key_lengths is not None:
        seen = mask.expand(count, 1, length, length).any(-1, keepdim=True)
        out = torch.where(seen, out, torch.zeros((), dtype=out.dtype, device=out.device))
    return out.transpose(1, 2).reshape(q.shape)


def _better_apart(q: Tensor) -> bool:
    """Whether two matrix products beat the fused kernel where a query sees few keys."""
    return not q.is_cuda and q.dtype == torch.bfloat16


def _by_matmul(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Attention over [count, heads, length, head_dim] as two matrix products.

    On a CPU in bfloat16 torch's fused kernel takes two to four times as long at these lengths,
    and more with its backward.
    """
    scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    out: Tensor = scores.softmax(-1).to(v.dtype) @ v
    return out


def _blocked(q: Tensor, k: Tensor, v: Tensor, count: int, window: int) -> Tensor:
    """`count` sequences of one length, in blocks of queries against the keys around them."""
    length, (heads, dim) = q.shape[0] // count, q.shape[1:]
    blocks = -(-length // BLOCK)
    span = BLOCK + 2 * window

    def keys(x: Tensor) -> Tensor:
        x = x.reshape(count, length, heads, dim)
        x = F.pad(x, (0, 0, 0, 0, window, blocks * BLOCK - length + window))
        # [count, blocks, heads, dim, span]: overlapping views, nothing copied yet.
        return x.unfold(1, span, BLOCK).permute(0, 1, 2, 4, 3).flatten(0, 1)

    qb = F.pad(q.reshape(count, length, heads, dim), (0, 0, 0, 0, 0, blocks * BLOCK - length))
    qb = qb.reshape(count * blocks, BLOCK, heads, dim).transpose(1, 2)
    at = torch.arange(blocks, device=q.device)[:, None] * BLOCK - window
    at = at + torch.arange(span, device=q.device)
    inside = ((at >= 0) & (at < length))[:, None, None, :]
    # The last block's padding queries may see no key; they are cut off below.
    mask = (inside & _band(BLOCK, span, window, window, q.device)).repeat(count, 1, 1, 1)
    if _better_apart(q):
        out = _by_matmul(qb, keys(k), keys(v), mask)
    else:
        out = F.scaled_dot_product_attention(qb, keys(k), keys(v), attn_mask=mask)
    out = out.transpose(1, 2).reshape(count, blocks * BLOCK, heads, dim)[:, :length]
    return out.reshape(q.shape)


def _band(queries: int, keys: int, shift: int, window: int, device: torch.device) -> Tensor:
    """bool [queries, keys]: query i stands at key i + shift and sees `window` to either side."""
    at_query = torch.arange(queries, device=device)[:, None] + shift
    return (at_query - torch.arange(keys, device=device)).abs() <= window
