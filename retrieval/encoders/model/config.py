"""The shape of a ModernBERT, read from the old and the new keys of `config.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from retrieval.errors import CheckpointError

AttentionKind = Literal["global", "local"]

_HF_KIND: dict[str, AttentionKind] = {"full_attention": "global", "sliding_attention": "local"}


@dataclass(frozen=True, slots=True)
class ModernBertConfig:
    """Everything that decides the network's arithmetic.

    Attributes:
        window: a local layer's query sees the keys with |q - k| <= window (half of
            `local_attention` in config.json).
        layer_kinds: "global" or "local" for every layer.
    """

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_layers: int
    num_heads: int
    layer_kinds: tuple[AttentionKind, ...]
    window: int = 64
    global_theta: float = 160_000.0
    local_theta: float = 10_000.0
    max_positions: int = 8192
    norm_eps: float = 1e-5
    norm_bias: bool = False
    attention_bias: bool = False
    mlp_bias: bool = False
    activation: str = "gelu"
    pad_token_id: int = 0
    decoder_bias: bool = True
    classifier_bias: bool = False
    classifier_activation: str = "gelu"
    initializer_range: float = 0.02

    @property
    def head_dim(self) -> int:
        """Dimensions of one attention head."""
        return self.hidden_size // self.num_heads

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> ModernBertConfig:
        """Read the contents of a `config.json`.

        Both generations of keys are understood: `global_attn_every_n_layers`,
        `global_rope_theta`, `local_rope_theta` (transformers 4), and `layer_types`,
        `rope_parameters` (transformers 5).

        Raises:
            CheckpointError: a key is missing or a value cannot be used.
        """
        try:
            layers = int(raw["num_hidden_layers"])
            hidden = int(raw["hidden_size"])
            heads = int(raw["num_attention_heads"])
            local_attention = int(raw.get("local_attention", 128))
            global_theta, local_theta = _thetas(raw)
            config = cls(
                vocab_size=int(raw["vocab_size"]),
                hidden_size=hidden,
                intermediate_size=int(raw["intermediate_size"]),
                num_layers=layers,
                num_heads=heads,
                layer_kinds=_layer_kinds(raw, layers),
                window=local_attention // 2,
                global_theta=global_theta,
                local_theta=local_theta,
                max_positions=int(raw.get("max_position_embeddings", 8192)),
                norm_eps=float(raw.get("norm_eps", 1e-5)),
                norm_bias=bool(raw.get("norm_bias", False)),
                attention_bias=bool(raw.get("attention_bias", False)),
                mlp_bias=bool(raw.get("mlp_bias", False)),
                activation=str(raw.get("hidden_activation", "gelu")),
                pad_token_id=int(raw.get("pad_token_id") or 0),
                decoder_bias=bool(raw.get("decoder_bias", True)),
                classifier_bias=bool(raw.get("classifier_bias", False)),
                classifier_activation=str(raw.get("classifier_activation", "gelu")),
                initializer_range=float(raw.get("initializer_range", 0.02)),
            )
        except KeyError as missing:
            raise CheckpointError(
                f"config.json has no key {missing}, which a ModernBERT needs: "
                "is this folder a whole checkpoint?"
            ) from None
        except (TypeError, ValueError) as wrong:
            raise CheckpointError(
                f"config.json holds a value that cannot be used: {wrong}"
            ) from None
        if min(hidden, heads, layers, config.vocab_size, config.intermediate_size) < 1:
            raise CheckpointError("config.json holds a size below 1: every size must be positive")
        if hidden % heads or (hidden // heads) % 2:
            raise CheckpointError(
                f"config.json asks for hidden size {hidden} in {heads} heads: "
                "each head must get the same, even number of dimensions"
            )
        return config

    def to_dict(self) -> dict[str, Any]:
        """The `config.json` that transformers 4 and 5 both read."""
        every = self._global_every()
        raw: dict[str, Any] = {
            "model_type": "modernbert",
            "architectures": ["ModernBertModel"],
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "num_hidden_layers": self.num_layers,
            "num_attention_heads": self.num_heads,
            "hidden_activation": self.activation,
            "max_position_embeddings": self.max_positions,
            "norm_eps": self.norm_eps,
            "norm_bias": self.norm_bias,
            "attention_bias": self.attention_bias,
            "mlp_bias": self.mlp_bias,
            "local_attention": 2 * self.window,
            "pad_token_id": self.pad_token_id,
            "decoder_bias": self.decoder_bias,
            "classifier_bias": self.classifier_bias,
            "classifier_activation": self.classifier_activation,
            "initializer_range": self.initializer_range,
            "layer_types": [
                "full_attention" if kind == "global" else "sliding_attention"
                for kind in self.layer_kinds
            ],
            "rope_parameters": {
                "full_attention": {"rope_type": "default", "rope_theta": self.global_theta},
                "sliding_attention": {"rope_type": "default", "rope_theta": self.local_theta},
            },
            "global_rope_theta": self.global_theta,
            "local_rope_theta": self.local_theta,
        }
        if every is not None:
            raw["global_attn_every_n_layers"] = every
        return raw

    def _global_every(self) -> int | None:
        for every in range(1, self.num_layers + 1):
            if self.layer_kinds == _every_n(every, self.num_layers):
                return every
        return None


def _every_n(every: int, layers: int) -> tuple[AttentionKind, ...]:
    return tuple("local" if layer % every else "global" for layer in range(layers))


def _layer_kinds(raw: Mapping[str, Any], layers: int) -> tuple[AttentionKind, ...]:
    names = raw.get("layer_types")
    if names is None:
        every = int(raw.get("global_attn_every_n_layers", 3))
        if every < 1:
            raise ValueError(f"global_attn_every_n_layers is {every}, expected 1 or more")
        return _every_n(every, layers)
    if len(names) != layers:
        raise ValueError(f"layer_types names {len(names)} layers, num_hidden_layers {layers}")
    unknown = [name for name in names if name not in _HF_KIND]
    if unknown:
        raise ValueError(f"layer_types has {unknown[0]!r}, expected one of {sorted(_HF_KIND)}")
    return tuple(_HF_KIND[name] for name in names)


def _thetas(raw: Mapping[str, Any]) -> tuple[float, float]:
    """The bases of the rotation for global and local layers."""
    new = raw.get("rope_parameters") or {}
    if raw.get("rope_scaling"):
        raise ValueError(f"rope_scaling {raw['rope_scaling']!r}, expected none")
    thetas: list[float] = []
    for hf_kind, old_key, default in (
        ("full_attention", "global_rope_theta", 160_000.0),
        ("sliding_attention", "local_rope_theta", 10_000.0),
    ):
        # A flat mapping (one theta for both kinds) is legal too.
        parameters = new.get(hf_kind) or (new if "rope_theta" in new else {})
        if parameters.get("rope_type", "default") != "default":
            raise ValueError(
                f"rope_type {parameters['rope_type']!r} for {hf_kind}, expected 'default'"
            )
        if parameters.get("partial_rotary_factor") not in (None, 1):
            raise ValueError(f"a partial_rotary_factor for {hf_kind}, expected none")
        theta = parameters.get("rope_theta")
        if theta is None and thetas and old_key in raw and raw[old_key] is None:
            theta = thetas[0]  # transformers 4: no theta of their own for local layers
        if theta is None:
            theta = raw.get(old_key)
        thetas.append(float(default if theta is None else theta))
    return thetas[0], thetas[1]
