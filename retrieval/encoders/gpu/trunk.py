"""A trunk's pass in fused kernels: what `ModernBert.forward` computes, over memory fewer times."""

from __future__ import annotations

from torch import Tensor, nn

from retrieval.encoders.gpu.elementwise import add_norm, geglu, rotate_
from retrieval.encoders.model.attention import Layout, attention
from retrieval.encoders.model.config import AttentionKind
from retrieval.encoders.model.modernbert import Layer, ModernBert, Rotation


def forward(
    trunk: ModernBert, x: Tensor, layout: Layout, rotations: dict[AttentionKind, Rotation]
) -> Tensor:
    """[T, hidden], after the final norm.

    Args:
        x: [T, hidden], the embeddings.
        rotations: by the layers' kinds.
    """
    layers = [layer for layer in trunk.layers if isinstance(layer, Layer)]
    norms = [*(layer.attn_norm for layer in layers[1:]), trunk.final_norm]
    normed = x
    for layer, norm in zip(layers, norms, strict=True):
        own = layer.attn
        qkv = own.Wqkv(normed).view(-1, 3, own.heads, own.head_dim)
        cos, sin = rotations[layer.kind]
        rotate_(qkv, cos.squeeze(1), sin.squeeze(1))
        q, k, v = qkv.unbind(1)
        mixed = attention(q, k, v, layout, own.window)
        x, normed = _added(x, own.Wo(mixed.reshape(x.shape)), layer.mlp_norm)
        x, normed = _added(x, layer.mlp.Wo(geglu(layer.mlp.Wi(normed))), norm)
    return normed


def _added(x: Tensor, y: Tensor, norm: nn.Module) -> tuple[Tensor, Tensor]:
    assert isinstance(norm, nn.LayerNorm)
    return add_norm(x, y, norm.weight, norm.bias, norm.eps)
