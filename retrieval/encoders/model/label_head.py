"""What turns the trunk's hidden vectors into scores of labels, of texts or of tokens.

The modules are those of transformers' `ModernBertForSequenceClassification` and
`ModernBertForTokenClassification`, under the same names: a linear layer, an activation and a norm
(`head`), then a linear map to the labels (`classifier`).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from retrieval.encoders.model.attention import Layout
from retrieval.encoders.model.config import ModernBertConfig
from retrieval.encoders.model.heads import pool
from retrieval.encoders.model.modernbert import ModernBert, activation

Pooling = Literal["cls", "mean"]
_SMALL = 0.1
"""Of what labels tokens: near 0 an activation is close to linear, and the norm behind it brings
back the size. At full size GELU cuts off what is negative. See docs/decisions/entities.md."""


class LabelNetwork(nn.Module):
    """A trunk with a head for labels.

    Attributes:
        pooling: how a text's hidden vectors become one; None for a label for each token.
    """

    def __init__(self, trunk: ModernBert, labels: int, *, pooling: Pooling | None) -> None:
        super().__init__()
        config = trunk.config
        hidden = config.hidden_size
        self.model = trunk
        self.pooling = pooling
        norm = nn.LayerNorm(hidden, eps=config.norm_eps, bias=config.norm_bias)
        dense = nn.Linear(hidden, hidden, bias=config.classifier_bias)
        self.head = nn.ModuleDict({"dense": dense, "norm": norm})
        self.activation = activation(config.classifier_activation)
        self.classifier = nn.Linear(hidden, labels)

    @property
    def config(self) -> ModernBertConfig:
        """The trunk's shape."""
        return self.model.config

    def forward(self, ids: Tensor, layout: Layout) -> Tensor:
        """Ids i64 [T] of n texts to logits f32 [n, labels], or [T, labels] without pooling."""
        logits: Tensor = self.classifier(self.features(ids, layout))
        return logits

    def features(self, ids: Tensor, layout: Layout) -> Tensor:
        """What the logits are a linear map of: f32 [n, h], or [T, h] without pooling."""
        hidden = self.model(ids, layout).float()
        if self.pooling is not None:
            hidden = pool(hidden, layout, self.pooling)
        made: Tensor = self.head["norm"](self.activation(self.head["dense"](hidden)))
        return made

    @torch.no_grad()
    def initialise_head(self, seed: int) -> None:
        """The head begins near the identity, and every label alike, so that nothing is lost."""
        generator = torch.Generator().manual_seed(seed)
        dense = self.head["dense"]
        assert isinstance(dense, nn.Linear)
        nn.init.eye_(dense.weight)
        if self.pooling is None:
            dense.weight.mul_(_SMALL)
        if dense.bias is not None:
            nn.init.zeros_(dense.bias)
        std = self.config.initializer_range
        nn.init.normal_(self.classifier.weight, std=std, generator=generator)
        nn.init.zeros_(self.classifier.bias)
