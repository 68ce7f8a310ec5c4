"""What computes attention: one table of back ends, and the function that chooses among them.

To add one, write its function here and give it a line in `BACK_ENDS`; tests/encoders/test_attention
holds every line of the table to the same reference.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import torch
from torch import Tensor

from retrieval.encoders.model.attention.layout import Layout
from retrieval.encoders.model.attention.plain import plain_attention
from retrieval.errors import InputError
from retrieval.gpu import HEAD_DIMS, triton_obstacle

FORCED = "RETRIEVAL_ATTENTION"
"""The environment variable that names the back end to be used, whatever would be chosen."""

_forced: ContextVar[str | None] = ContextVar("attention back end", default=None)


def attention(q: Tensor, k: Tensor, v: Tensor, layout: Layout, window: int | None) -> Tensor:
    """Softmax attention within each sequence, scaled by 1/sqrt(head_dim), nothing causal.

    Args:
        q, k, v: [T, heads, head_dim], the sequences of `layout` one after the other.
        window: a query sees the keys with |q - k| <= window; None for all of its sequence.

    Returns:
        [T, heads, head_dim]. A query that sees no key at all gets zeros.

    Raises:
        InputError: a back end is forced that there is not, or that cannot take these.
    """
    return BACK_ENDS[choose(Call.of(q, k, v, layout))].run(q, k, v, layout, window)


@contextmanager
def forced(name: str) -> Iterator[None]:
    """Have every `attention` of this thread run in the back end of that name.

    It goes before the environment's. A name that there is not, or that cannot take what it is
    given, is refused by `attention`.
    """
    token = _forced.set(name)
    try:
        yield
    finally:
        _forced.reset(token)


@dataclass(frozen=True, slots=True)
class Call:
    """What decides which back ends can take a call of `attention`.

    Attributes:
        device: of the tensors.
        dtype: of the tensors.
        head_dim: dimensions of a head.
        hidden_keys: whether some tokens may not be attended to (`Layout.key_lengths`).
        gradient: whether the result is to be differentiated.
    """

    device: torch.device
    dtype: torch.dtype
    head_dim: int = 64
    hidden_keys: bool = False
    gradient: bool = False

    @classmethod
    def of(cls, q: Tensor, k: Tensor, v: Tensor, layout: Layout) -> Call:
        """The call of `attention` with these."""
        gradient = torch.is_grad_enabled() and any(x.requires_grad for x in (q, k, v))
        return cls(q.device, q.dtype, q.shape[-1], layout.key_lengths is not None, gradient)


@dataclass(frozen=True, slots=True)
class BackEnd:
    """A way to compute `attention`.

    Attributes:
        run: takes and returns what `attention` does.
        obstacle: why it cannot take such a call here, in a few words; None if it can.
    """

    run: Callable[[Tensor, Tensor, Tensor, Layout, int | None], Tensor]
    obstacle: Callable[[Call], str | None]


def choose(call: Call) -> str:
    """The name of the back end that takes the call: the forced one, else the first that can.

    Raises:
        InputError: one is forced that there is not, or that cannot take it.
    """
    name, said = _forced.get(), "attention forced to "
    if name is None:
        name, said = os.environ.get(FORCED), f"{FORCED}="
    if name is None:
        return next(name for name, known in BACK_ENDS.items() if known.obstacle(call) is None)
    if name not in BACK_ENDS:
        raise InputError(f"{said}{name} is unknown; choose from {', '.join(BACK_ENDS)}")
    obstacle = BACK_ENDS[name].obstacle(call)
    if obstacle is not None:
        raise InputError(
            f"{said}{name} cannot be used for {call.dtype} on {call.device.type} here "
            f"({obstacle}); force none, or another"
        )
    return name


def obstacles(call: Call) -> dict[str, str | None]:
    """Why each back end cannot take the call, by name; None for one that can."""
    return {name: known.obstacle(call) for name, known in BACK_ENDS.items()}


def _flash_attn(q: Tensor, k: Tensor, v: Tensor, layout: Layout, window: int | None) -> Tensor:
    from flash_attn import flash_attn_varlen_func

    out: Tensor = flash_attn_varlen_func(
        q, k, v, layout.cu_seqlens, layout.cu_seqlens, layout.max_seqlen, layout.max_seqlen,
        window_size=_sides(window),
    )  # fmt: skip
    return out


def _varlen(q: Tensor, k: Tensor, v: Tensor, layout: Layout, window: int | None) -> Tensor:
    from torch.nn.attention.varlen import varlen_attn

    out = varlen_attn(
        q, k, v, layout.cu_seqlens, layout.cu_seqlens, layout.max_seqlen, layout.max_seqlen,
        window_size=_sides(window),
    )  # fmt: skip
    assert isinstance(out, Tensor)
    return out


def _triton(q: Tensor, k: Tensor, v: Tensor, layout: Layout, window: int | None) -> Tensor:
    from retrieval.encoders.gpu.attention import triton_attention

    return triton_attention(q, k, v, layout, window)


def _sides(window: int | None) -> tuple[int, int]:
    return (-1, -1) if window is None else (window, window)


def _flash_obstacle(call: Call) -> str | None:
    """What hinders the kernels of FlashAttention 2, in whichever package they are."""
    if call.device.type != "cuda":
        return f"runs on a GPU, not on {call.device.type}"
    if call.dtype not in (torch.float16, torch.bfloat16):
        return f"takes float16 and bfloat16, not {_name(call.dtype)}"
    if torch.cuda.get_device_capability(call.device) < (8, 0):
        return "needs an Ampere GPU or a later one"
    if call.hidden_keys:
        return "every token must be attended to"
    if call.head_dim % 8 or call.head_dim > 256:
        return f"heads of {call.head_dim} dimensions, expected a multiple of 8 up to 256"
    return None


def _triton_obstacle(call: Call) -> str | None:
    if call.gradient:
        return "computes no gradient"
    if call.head_dim not in HEAD_DIMS:
        return f"heads of {call.head_dim} dimensions, expected one of {HEAD_DIMS}"
    if call.device.type == "cpu" and call.dtype == torch.bfloat16:
        return triton_obstacle("cpu") or "Triton's interpreter multiplies no bfloat16"
    return triton_obstacle(call.device.type)


@functools.cache
def _flash_attn_missing() -> str | None:
    try:
        import flash_attn  # noqa: F401
    except ImportError as error:  # not there, or built for another torch
        missing = isinstance(error, ModuleNotFoundError) and error.name == "flash_attn"
        return "not installed" if missing else f"cannot be imported ({_first_line(error)})"
    return None


@functools.cache
def _varlen_missing() -> str | None:
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return f"torch {torch.__version__} has no varlen_attn"
    if "window_size" not in inspect.signature(varlen_attn).parameters:
        return f"the varlen_attn of torch {torch.__version__} knows no window"
    return None


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


BACK_ENDS: dict[str, BackEnd] = {
    "flash_attn": BackEnd(_flash_attn, lambda call: _flash_attn_missing() or _flash_obstacle(call)),
    "varlen": BackEnd(_varlen, lambda call: _varlen_missing() or _flash_obstacle(call)),
    "plain": BackEnd(plain_attention, lambda call: None),
    # Last, so that it is taken only where it is forced: its speed on a GPU is not known yet.
    "triton": BackEnd(_triton, _triton_obstacle),
}
"""By name; the first that can take a call does."""
