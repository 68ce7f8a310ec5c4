"""The model being trained: a ModernBERT trunk with a dense head and a token head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from retrieval.encoders.model.attention import Layout
from retrieval.encoders.model.config import ModernBertConfig
from retrieval.encoders.model.heads import DenseHead, TokenHead, token_vectors
from retrieval.encoders.model.modernbert import ModernBert
from retrieval.encoders.model.quantized import read_weights
from retrieval.encoders.model.token_head_shape import TokenHeadShape
from retrieval.encoders.model_folder import (
    CONFIG_FILE,
    DENSE_HEAD,
    QUERY_WEIGHTS,
    SECTION,
    TOKEN_HEAD,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
    read_config,
)
from retrieval.errors import CheckpointError


@dataclass(frozen=True, slots=True)
class Output:
    """The student's output for a batch of T tokens in n texts.

    Attributes:
        hidden: [T, D] in the dense head's space, token by token, not normalised.
        dense: f32 [n, D], unit length.
        tokens: f32 [T, d], unit length.
        states: each layer's output [T, H].
    """

    hidden: Tensor
    dense: Tensor
    tokens: Tensor
    states: list[Tensor]


class Student(nn.Module):
    """One trunk, two heads; a single pass gives both kinds of vectors.

    Attributes:
        query_token_weights: f32 [V], the weight of a query token in the sum of MaxSim; None is 1
            for each. Distillation keeps it, `token_head` trains it.
    """

    query_token_weights: Tensor | None

    def __init__(
        self,
        config: ModernBertConfig,
        *,
        dense_dim: int,
        tokens: TokenHeadShape | int,
    ) -> None:
        """Create an untrained student.

        Args:
            tokens: shape of the token head; or the dimensions of one that is half as wide inside as
                the trunk and reads no neighbours.
        """
        super().__init__()
        self.config = config
        self.trunk = ModernBert(config)
        self.dense_head = DenseHead(config.hidden_size, dense_dim)
        if isinstance(tokens, int):
            tokens = TokenHeadShape(tokens, config.hidden_size // 2)
        self.token_head = TokenHead(config.hidden_size, tokens)
        self.register_buffer(QUERY_WEIGHTS, None)

    @classmethod
    def from_folder(cls, folder: Path) -> Self:
        """Load a model folder of this package, with weights in f32, to continue training.

        Raises:
            CheckpointError: a file is missing or damaged, or the model lacks one of the two heads.
        """
        config = ModernBertConfig.from_dict(read_config(folder))
        weights = read_weights(folder / WEIGHTS_FILE)
        missing = [name for name in (DENSE_HEAD, *TOKEN_HEAD) if name not in weights]
        shapes = {name: tensor.shape for name, tensor in weights.items()}
        try:
            tokens = None if missing else TokenHeadShape.of(shapes, config.hidden_size)
        except CheckpointError as wrong:
            raise CheckpointError(
                f"{folder / WEIGHTS_FILE} does not fit {CONFIG_FILE} ({wrong}): "
                "export the model again"
            ) from None
        if tokens is None:
            raise CheckpointError(
                f"{folder / WEIGHTS_FILE} has no {missing[0]}, expected a model with a dense head "
                "and a token head of this package"
            )
        student = cls(
            config,
            dense_dim=weights[DENSE_HEAD].shape[0],
            tokens=tokens,
        )
        if QUERY_WEIGHTS in weights:
            student.query_token_weights = torch.from_numpy(weights[QUERY_WEIGHTS])
        names = {name.removeprefix("trunk."): name for name in student.state_dict()}
        state = {names.get(name, name): torch.from_numpy(w) for name, w in weights.items()}
        try:
            student.load_state_dict(state)
        except RuntimeError as wrong:
            raise CheckpointError(
                f"{folder / WEIGHTS_FILE} does not fit {CONFIG_FILE} "
                f"({str(wrong).splitlines()[-1].strip()}): export the model again"
            ) from None
        return student

    def forward(self, ids: Tensor, layout: Layout) -> Output:
        """Ids i64 [T] of the layout's sequences, to all that the losses need."""
        states: list[Tensor] = []
        hidden = self.trunk(ids, layout, states=states)
        projected = nn.functional.linear(hidden, self.dense_head.weight)
        tokens = token_vectors(self.token_head, self.trunk, hidden, ids, layout)
        return Output(projected, self.dense_head(hidden, layout), tokens, states)

    @torch.no_grad()
    def initialise(self, seed: int) -> None:
        """Small random weights; the heads begin as an identity and a plain projection."""
        generator = torch.Generator().manual_seed(seed)
        self.trunk.initialise(generator)
        nn.init.eye_(self.dense_head.weight)
        nn.init.orthogonal_(self.token_head.skip.weight, generator=generator)
        nn.init.normal_(self.token_head.up.weight, std=0.02, generator=generator)
        nn.init.zeros_(self.token_head.down.weight)
        if self.token_head.near is not None:
            nn.init.normal_(
                self.token_head.near.weight,
                std=self.config.hidden_size**-0.5,
                generator=generator,
            )

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """The weights as f32 arrays, under the names that a model folder uses."""
        return {
            name.removeprefix("trunk."): tensor.detach().float().cpu().numpy()
            for name, tensor in self.state_dict().items()
        }


def export_like(folder: Path, student: Student, like: Path, *, name: str | None = None) -> None:
    """Write a model folder with the student's weights, and the tokenizer and settings of another.

    Args:
        folder: created if need be; files of the same names are replaced.
        like: the model folder that the student started from.
        name: the model's name; None is the folder's.

    Raises:
        MissingDependency: `onnx` is not installed.
    """
    from retrieval.encoders.export.onnx_graph import export

    export(
        folder,
        config=student.config.to_dict(),
        state=student.arrays(),
        tokenizer_json=like / TOKENIZER_FILE,
        retrieval_config={**read_config(like)[SECTION], "name": name or folder.resolve().name},
    )


def flatten(
    texts: Sequence[NDArray[Any]], device: torch.device | str = "cpu"
) -> tuple[Tensor, Layout]:
    """Token ids of several texts as one flat i64 tensor, and its layout."""
    ids = torch.from_numpy(np.concatenate(texts).astype(np.int64)).to(device)
    return ids, Layout.of([len(text) for text in texts], device)
