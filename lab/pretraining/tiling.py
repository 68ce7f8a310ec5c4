"""A larger model begun from a smaller one: its weights repeated, around and beyond the middle.

ModernBERT-large was begun from ModernBERT-base in this way (Warner et al., 2024, "Weight
Initialization", after the Phi models): the small matrix stands in the middle of the large one,
whose margins repeat it as if it went on round the edges. Layer i of N is layer i · n / N of the
small model, rounded, as Gopher models grow deeper (Rae et al., 2021).

Copies of a unit get the same gradient, so without dropout, which ModernBERT had and this network
has not, they would stay copies for ever: noise sets them apart.

A unit that stands k times counts k times wherever it is summed. If asked, the weights that read it
are divided by k (Chen et al., "Net2Net", 2016): with as many layers, and all widths multiples, the
large model then computes just what the small one does. It begins with a lower loss, but in small
trials learnt more slowly from there, so it is not the default.

Whole heads are repeated, not pieces of them, since a dimension's rotation depends on its place in
the head.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lab.pretraining.masking import MaskedLM
from retrieval.encoders.model.config import ModernBertConfig
from retrieval.errors import InputError

_SAME = ("vocab_size", "head_dim", "norm_bias", "attention_bias", "mlp_bias", "activation")
_SAME_HEAD = ("decoder_bias", "classifier_bias", "classifier_activation")
_AS_LARGE = ("num_layers", "hidden_size", "intermediate_size", "num_heads")


def around_the_middle(small: int, large: int) -> Tensor:
    """For each of `large` places, which of `small` stands there: i64 [large].

    All of the small one stand in the middle, in their order.
    """
    return (torch.arange(large) - (large - small) // 2) % small


def layer_sources(small: int, large: int) -> list[int]:
    """For each of `large` layers, which of `small` it is begun from; each of those occurs."""
    return [min((2 * i * small + large) // (2 * large), small - 1) for i in range(large)]


@dataclass(frozen=True, slots=True, eq=False)
class _Axis:
    """Which unit of the small model stands at each place, and the divisor of what reads it.

    Both are i64 [large].
    """

    source: Tensor
    divisor: Tensor

    @classmethod
    def of(cls, small: int, large: int, *, preserve: bool, block: int = 1) -> _Axis:
        """Units in blocks that stay whole: `small` and `large` count blocks."""
        blocks = around_the_middle(small, large)
        source = (blocks[:, None] * block + torch.arange(block)).flatten()
        copies = torch.bincount(source)[source]
        return cls(source, copies if preserve else torch.ones_like(copies))

    def repeat_rows(self, tensor: Tensor, parts: int = 1) -> Tensor:
        """Repeat along axis 0, which holds `parts` fused matrices one below the other."""
        return torch.cat([part[self.source] for part in tensor.chunk(parts)])

    def repeat_columns(self, matrix: Tensor) -> Tensor:
        """Repeat columns, divided by the divisor."""
        return matrix[:, self.source] / self.divisor


@torch.no_grad()
def tile(
    small: MaskedLM,
    config: ModernBertConfig,
    *,
    noise: float = 0.1,
    preserve: bool = False,
    seed: int = 0,
) -> MaskedLM:
    """A model of the larger shape that begins with the small one's weights.

    Args:
        config: with the same vocabulary and size of a head, and nothing smaller.
        noise: added to every matrix: normal, of this share of the matrix's standard deviation.
        preserve: divide what reads repeated units by the number of their copies.
        seed: of the noise.

    Raises:
        InputError: the shape cannot be reached from the small model's.
    """
    _check(small.trunk.config, config)
    large = MaskedLM(config, tied=small.tied)
    small_state, large_state = small.state_dict(), large.state_dict()
    hidden, inner, heads = _axes(small.trunk.config, config, preserve=preserve)
    layers = layer_sources(small.trunk.config.num_layers, config.num_layers)
    generator = torch.Generator().manual_seed(seed)
    for name, target in large_state.items():
        tensor = small_state.get(_source_name(name, layers))
        if tensor is None:  # the first layer has no attention norm to give
            target.fill_(0.0 if name.endswith("bias") else 1.0)
            continue
        if name == "lm_head.decoder.weight" and small.tied:
            continue  # the embedding table, seen twice
        target.copy_(_tile_tensor(name, tensor.cpu(), hidden, inner, heads, tied=small.tied))
        if noise and target.ndim == 2:
            normal = torch.randn(target.shape, generator=generator)
            target.add_(noise * target.std() * normal)
    return large


def _tile_tensor(
    name: str, tensor: Tensor, hidden: _Axis, inner: _Axis, heads: _Axis, *, tied: bool
) -> Tensor:
    """The large model's tensor of this name, before noise."""
    *_, module, kind = name.split(".")
    if name == "lm_head.decoder.bias":
        return tensor
    if module == "tok_embeddings":
        return tensor[:, hidden.source]
    if module == "decoder":
        return hidden.repeat_columns(tensor)
    if module == "Wqkv":
        rows, parts, columns = heads, 3, hidden
    elif module == "Wi":
        rows, parts, columns = inner, 2, hidden
    elif module == "Wo":
        rows, parts, columns = hidden, 1, heads if ".attn." in name else inner
    else:
        rows, parts, columns = hidden, 1, hidden
    out = rows.repeat_rows(tensor, parts)
    if kind == "weight" and tensor.ndim == 2:
        return columns.repeat_columns(out)
    if tied and name.startswith("lm_head.head.norm."):
        # The decoder that reads this is the embedding table, which cannot be divided.
        return out / hidden.divisor
    return out


def _axes(
    small: ModernBertConfig, large: ModernBertConfig, *, preserve: bool
) -> tuple[_Axis, _Axis, _Axis]:
    """The axes of the hidden vectors, of the inner vectors, and of the heads."""
    return (
        _Axis.of(small.hidden_size, large.hidden_size, preserve=preserve),
        _Axis.of(small.intermediate_size, large.intermediate_size, preserve=preserve),
        _Axis.of(small.num_heads, large.num_heads, preserve=preserve, block=large.head_dim),
    )


def _source_name(name: str, layers: list[int]) -> str:
    """The name of the small model's tensor that a tensor starts from."""
    prefix = "trunk.layers."
    if not name.startswith(prefix):
        return name
    index, rest = name.removeprefix(prefix).split(".", 1)
    return f"{prefix}{layers[int(index)]}.{rest}"


def _check(small: ModernBertConfig, large: ModernBertConfig) -> None:
    for field in (*_SAME, *_SAME_HEAD):
        smaller, larger = getattr(small, field), getattr(large, field)
        if smaller != larger:
            raise InputError(
                f"{field} is {smaller} in the smaller model and {larger} in the larger one: "
                "tiling needs the same in both"
            )
    for field in _AS_LARGE:
        smaller, larger = getattr(small, field), getattr(large, field)
        if larger < smaller:
            raise InputError(
                f"{field} is {smaller} in the smaller model and {larger} in the larger one: "
                "tiling makes nothing smaller"
            )
