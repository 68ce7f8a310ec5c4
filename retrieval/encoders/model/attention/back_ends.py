"""What computes attention: one table of back ends, and the function that chooses among them.

To add one, write its function here and give it a line in `BACK_ENDS`; tests/encoders/test_attention
holds every line of the table to the same reference.
"""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from retrieval.encoders.model.attention.layout import Layout
from retrieval.encoders.model.attention.plain import plain_attention
from retrieval.errors import InputError

FORCED = "RETRIEVAL_ATTENTION"
"""The environment variable that names the back end to be used, whatever would be chosen."""


def attention(q: Tensor, k: Tensor, v: Tensor, layout: Layout, window: int | None) -> Tensor:
    """Softmax attention within each sequence, scaled by 1/sqrt(head_dim), nothing causal.

    Args:
        q, k, v: [T, heads, head_dim], the sequences of `layout` one after the other.
        window: a query sees the keys with |q - k| <= window; None for all of its sequence.

    Returns:
        [T, heads, head_dim]. A query that sees no key at all gets zeros.

    Raises:
        InputError: the environment names a back end that there is not, or that cannot take these.
    """
    name = os.environ.get(FORCED)
    if name is None:
        name = next(name for name, known in BACK_ENDS.items() if known.usable(q, layout))
    elif name not in BACK_ENDS:
        raise InputError(f"{FORCED}={name} is unknown; choose from {', '.join(BACK_ENDS)}")
    elif not BACK_ENDS[name].usable(q, layout):
        raise InputError(
            f"{FORCED}={name} cannot be used for {q.dtype} on {q.device.type} here; unset it, or "
            "name another"
        )
    return BACK_ENDS[name].run(q, k, v, layout, window)


@dataclass(frozen=True, slots=True)
class BackEnd:
    """A way to compute `attention`.

    Attributes:
        run: takes and returns what `attention` does.
        usable: whether it is installed and can take queries like `q` in such a layout.
    """

    run: Callable[[Tensor, Tensor, Tensor, Layout, int | None], Tensor]
    usable: Callable[[Tensor, Layout], bool]


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


def _half_on_cuda(q: Tensor, layout: Layout) -> bool:
    """On a GPU in half precision, where every token may be attended to."""
    halves = (torch.float16, torch.bfloat16)
    return q.is_cuda and q.dtype in halves and layout.key_lengths is None


@functools.cache
def _has_flash_attn() -> bool:
    return importlib.util.find_spec("flash_attn") is not None


BACK_ENDS: dict[str, BackEnd] = {
    "flash_attn": BackEnd(_flash_attn, lambda q, lay: _half_on_cuda(q, lay) and _has_flash_attn()),
    "varlen": BackEnd(_varlen, _half_on_cuda),
    "plain": BackEnd(plain_attention, lambda q, layout: True),
}
"""By name; the first that is usable is used."""
