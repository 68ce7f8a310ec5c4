"""Attention on any device and in any precision, through torch's own kernels.

One call of `scaled_dot_product_attention` for each run of equally long sequences in global layers;
in local ones blocks of `BLOCK` queries against the keys within their window, so that a local
layer's cost grows with the length and not with its square.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from retrieval.encoders.model.attention.layout import Layout

BLOCK = 64
"""Queries of one block of a local layer; against a window of 64 they see 192 keys."""

SHORT = 256
"""Up to here a local layer's full matrix costs less than gathering blocks of keys."""


def plain_attention(q: Tensor, k: Tensor, v: Tensor, layout: Layout, window: int | None) -> Tensor:
    """As `attention`."""
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
