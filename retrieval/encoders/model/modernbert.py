"""ModernBERT, unpadded from the embedding to the last norm.

The architecture is that of Warner et al., "Smarter, Better, Faster, Longer" (2024): rotary
positions with one base for global and one for local layers, GeGLU, no biases, a norm after the
embedding, pre-norm layers of which the first has no attention norm, and a final norm. Tensor names
are those of `ModernBertModel` in transformers, so that a checkpoint of either loads in the other.

Every tensor is flat: n texts of T tokens in all are [T, ...], and a `Layout` says where each lies.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retrieval.encoders.model import fused
from retrieval.encoders.model.attention import Layout, attention
from retrieval.encoders.model.config import AttentionKind, ModernBertConfig
from retrieval.errors import CheckpointError

Rotation = tuple[Tensor, Tensor]


class Rotary(nn.Module):
    """The rotation angles of every token, for one base ("theta")."""

    def __init__(self, theta: float, head_dim: int) -> None:
        super().__init__()
        self.theta, self.head_dim = theta, head_dim

    def forward(self, positions: Tensor) -> Rotation:
        """Positions i64 [T] to cos and sin, f32 [T, 1, head_dim / 2]."""
        # Float32 as in transformers: angles at position 8,192 differ visibly in lower precision.
        steps = torch.arange(0, self.head_dim, 2, dtype=torch.float32, device=positions.device)
        angles = positions.float()[:, None] * (1.0 / self.theta ** (steps / self.head_dim))
        return angles.cos()[:, None, :], angles.sin()[:, None, :]


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """Rotate [T, heads, head_dim]; dimension i pairs with i + head_dim / 2."""
    cos, sin = rotation
    a, b = x.float().chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1).to(x.dtype)


class Embeddings(nn.Module):
    """Token vectors and the norm over them; positions enter in the attention only."""

    def __init__(self, config: ModernBertConfig) -> None:
        super().__init__()
        self.tok_embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.norm = _norm(config)

    def forward(self, ids: Tensor) -> Tensor:
        """Ids i64 [T] to [T, hidden]."""
        out: Tensor = self.norm(self.tok_embeddings(ids))
        return out


class Attention(nn.Module):
    """Self-attention; local layers see a window, global ones their whole sequence."""

    def __init__(self, config: ModernBertConfig, kind: AttentionKind) -> None:
        super().__init__()
        self.heads, self.head_dim = config.num_heads, config.head_dim
        self.window = config.window if kind == "local" else None
        hidden, bias = config.hidden_size, config.attention_bias
        self.Wqkv = nn.Linear(hidden, 3 * hidden, bias=bias)
        self.Wo = nn.Linear(hidden, hidden, bias=bias)

    def forward(self, x: Tensor, layout: Layout, rotation: Rotation) -> Tensor:
        """[T, hidden] to [T, hidden]."""
        qkv = self.Wqkv(x).view(-1, 3, self.heads, self.head_dim)
        q, k, v = qkv.unbind(1)
        mixed = attention(rotate(q, rotation), rotate(k, rotation), v, layout, self.window)
        out: Tensor = self.Wo(mixed.reshape(x.shape))
        return out


class MLP(nn.Module):
    """GeGLU: one half of the first projection, activated, gates the other."""

    def __init__(self, config: ModernBertConfig) -> None:
        super().__init__()
        self.Wi = nn.Linear(config.hidden_size, 2 * config.intermediate_size, bias=config.mlp_bias)
        self.Wo = nn.Linear(config.intermediate_size, config.hidden_size, bias=config.mlp_bias)
        self.activation = activation(config.activation)

    def forward(self, x: Tensor) -> Tensor:
        """[T, hidden] to [T, hidden]."""
        value, gate = self.Wi(x).chunk(2, dim=-1)
        out: Tensor = self.Wo(self.activation(value) * gate)
        return out


class Layer(nn.Module):
    """One pre-norm layer; the first has no attention norm, since the embedding has one."""

    def __init__(self, config: ModernBertConfig, index: int) -> None:
        super().__init__()
        self.kind = config.layer_kinds[index]
        self.attn_norm = nn.Identity() if index == 0 else _norm(config)
        self.attn = Attention(config, self.kind)
        self.mlp_norm = _norm(config)
        self.mlp = MLP(config)

    def forward(self, x: Tensor, layout: Layout, rotation: Rotation) -> Tensor:
        """[T, hidden] to [T, hidden]."""
        x = x + self.attn(self.attn_norm(x), layout, rotation)
        out: Tensor = x + self.mlp(self.mlp_norm(x))
        return out


class ModernBert(nn.Module):
    """The trunk: token ids in, one hidden vector a token out."""

    def __init__(self, config: ModernBertConfig) -> None:
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config)
        self.layers = nn.ModuleList(Layer(config, index) for index in range(config.num_layers))
        self.final_norm = _norm(config)
        self.rotary: dict[AttentionKind, Rotary] = {
            "global": Rotary(config.global_theta, config.head_dim),
            "local": Rotary(config.local_theta, config.head_dim),
        }

    def forward(self, ids: Tensor, layout: Layout, *, states: list[Tensor] | None = None) -> Tensor:
        """Run the trunk over a batch.

        Args:
            ids: i64 [T], the sequences of `layout` one after the other.
            states: if given, every layer's output [T, hidden] is appended to it.

        Returns:
            [T, hidden], after the final norm.
        """
        rotations = {kind: rotary(layout.positions) for kind, rotary in self.rotary.items()}
        x: Tensor = self.embeddings(ids)
        if states is None and self._fused(x.device):
            from retrieval.encoders.gpu import trunk

            return trunk.forward(self, x, layout, rotations)
        for layer in self.layers:
            assert isinstance(layer, Layer)
            x = layer(x, layout, rotations[layer.kind])
            if states is not None:
                states.append(x)
        out: Tensor = self.final_norm(x)
        return out

    def _fused(self, device: torch.device) -> bool:
        shape = self.config
        why_not = fused.obstacle(device, head_dim=shape.head_dim, activation=shape.activation)
        return why_not is None

    @torch.no_grad()
    def initialise(self, generator: torch.Generator | None = None) -> None:
        """Truncated normal weights, smaller on the projections back into the residual stream."""
        std = self.config.initializer_range
        for name, parameter in self.named_parameters():
            if parameter.ndim < 2:
                parameter.fill_(0.0 if name.endswith("bias") else 1.0)
                continue
            scale = (2.0 * self.config.num_layers) ** -0.5 if name.endswith("Wo.weight") else 1.0
            spread = std * scale
            nn.init.trunc_normal_(
                parameter, std=spread, a=-2 * spread, b=2 * spread, generator=generator
            )


class MaskedLMHead(nn.Module):
    """Hidden vectors to logits over the vocabulary; the decoder may share the embedding's table."""

    def __init__(self, config: ModernBertConfig) -> None:
        super().__init__()
        self.head = nn.ModuleDict(
            {
                "dense": nn.Linear(
                    config.hidden_size, config.hidden_size, bias=config.classifier_bias
                ),
                "norm": _norm(config),
            }
        )
        self.activation = activation(config.classifier_activation)
        self.decoder = nn.Linear(config.hidden_size, config.vocab_size, bias=config.decoder_bias)

    def forward(self, hidden: Tensor) -> Tensor:
        """[T, hidden] to [T, vocab]."""
        logits: Tensor = self.decoder(
            self.head["norm"](self.activation(self.head["dense"](hidden)))
        )
        return logits


def activation(name: str) -> Callable[[Tensor], Tensor]:
    """The activation of that name in config.json.

    Raises:
        CheckpointError: the name is not known.
    """
    known: dict[str, Callable[[Tensor], Tensor]] = {
        "gelu": F.gelu,
        "gelu_new": lambda x: F.gelu(x, approximate="tanh"),
        "gelu_pytorch_tanh": lambda x: F.gelu(x, approximate="tanh"),
        "silu": F.silu,
        "relu": F.relu,
    }
    if name not in known:
        raise CheckpointError(
            f"config.json asks for the activation {name!r}, expected one of {', '.join(known)}"
        )
    return known[name]


def _norm(config: ModernBertConfig) -> nn.LayerNorm:
    return nn.LayerNorm(config.hidden_size, eps=config.norm_eps, bias=config.norm_bias)
