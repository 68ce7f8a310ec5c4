"""A teacher: a BERT-like sentence encoder whose token vectors the student learns to reproduce."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrieval.encoders.modernbert import Layer
from retrieval.errors import CheckpointError, MissingDependency
from retrieval.train.student import Student, flatten
from retrieval.train.tiling import layer_sources


@dataclass(frozen=True, slots=True)
class Targets:
    """What the teacher makes of a batch of T tokens.

    Attributes:
        hidden: f32 [T, D], its last hidden states; their mean over a text is its pooled vector.
        states: each layer's output [T, D], the last one included.
    """

    hidden: Tensor
    states: list[Tensor]

    def followed_by(self, other: Targets) -> Targets:
        """These texts' targets and then the other's."""
        both = zip(self.states, other.states, strict=True)
        return Targets(
            torch.cat([self.hidden, other.hidden]), [torch.cat(states) for states in both]
        )


class Teacher:
    """A transformers BERT with mean pooling, such as all-MiniLM-L6-v2, read from a folder."""

    def __init__(self, folder: Path, device: torch.device | str = "cpu") -> None:
        try:
            from transformers import BertModel
        except ImportError:
            raise MissingDependency(
                "a BERT teacher runs through transformers, which is not installed: "
                "pip install transformers"
            ) from None
        self.device = torch.device(device)
        loaded = BertModel.from_pretrained(
            folder, attn_implementation="sdpa", use_safetensors=True, dtype=torch.bfloat16
        )
        # transformers' own annotations are too narrow to call `.to` through.
        self.model = cast("Any", loaded)
        self.model.to(self.device).eval()

    @property
    def layers(self) -> int:
        """How many layers it has."""
        return int(self.model.config.num_hidden_layers)

    @property
    def width(self) -> int:
        """Dimensions of its vectors."""
        return int(self.model.config.hidden_size)

    @torch.no_grad()
    def __call__(self, texts: Sequence[NDArray[Any]]) -> Targets:
        """Token ids of n texts, special tokens included, to their targets, flat."""
        longest = max(len(text) for text in texts)
        ids = np.zeros((len(texts), longest), np.int64)
        mask = np.zeros((len(texts), longest), np.int64)
        for row, text in enumerate(texts):
            ids[row, : len(text)] = text
            mask[row, : len(text)] = 1
        ids_on, mask_on = (torch.from_numpy(x).to(self.device) for x in (ids, mask))
        out = self.model(input_ids=ids_on, attention_mask=mask_on, output_hidden_states=True)
        real = mask_on.bool()
        return Targets(
            out.last_hidden_state[real].float(), [state[real] for state in out.hidden_states[1:]]
        )

    @torch.no_grad()
    def initialise(self, student: Student, *, attention: bool) -> None:
        """Copy what fits: the embedding table, and each layer's attention.

        The table gets the first token type's vector added, as every input of the teacher does. An
        attention copied from a post-norm network with biases is a starting point, no more. A
        student with another number of layers takes each from the teacher's at the same depth; a
        narrower one takes the table on its principal axes, which its dense head leads back, and
        no attention.

        Raises:
            CheckpointError: the student is wider than the teacher.
        """
        weights = {name: tensor.float() for name, tensor in self.model.state_dict().items()}
        trunk, width = student.trunk, student.config.hidden_size
        table = (
            weights["embeddings.word_embeddings.weight"]
            + weights["embeddings.token_type_embeddings.weight"][0]
        )
        if width != self.width:
            self._project(student, table, weights["embeddings.LayerNorm.weight"])
            return
        trunk.embeddings.tok_embeddings.weight.copy_(table)
        trunk.embeddings.norm.weight.copy_(weights["embeddings.LayerNorm.weight"])
        if not attention:
            return
        sources = layer_sources(self.layers, len(trunk.layers))
        for index, (source, layer) in enumerate(zip(sources, trunk.layers, strict=True)):
            assert isinstance(layer, Layer)
            own = f"encoder.layer.{source}.attention"
            parts = [weights[f"{own}.self.{name}.weight"] for name in ("query", "key", "value")]
            layer.attn.Wqkv.weight.copy_(torch.cat(parts))
            layer.attn.Wo.weight.copy_(weights[f"{own}.output.dense.weight"])
            layer.mlp_norm.weight.copy_(weights[f"{own}.output.LayerNorm.weight"])
            if index:
                below = f"encoder.layer.{source - 1}.output" if source else "embeddings"
                assert isinstance(layer.attn_norm, torch.nn.LayerNorm)
                layer.attn_norm.weight.copy_(weights[f"{below}.LayerNorm.weight"])

    def _project(self, student: Student, table: Tensor, gain: Tensor) -> None:
        """Begin a narrower student from the table's principal axes."""
        width = student.config.hidden_size
        if width > self.width:
            raise CheckpointError(
                f"a student of {width} dimensions cannot begin from a teacher of {self.width}: "
                f"give at most {self.width}"
            )
        # What the teacher's first layer reads; a gain for each dimension has none on other axes.
        seen = torch.nn.functional.layer_norm(table, (self.width,)) * gain
        seen = seen - seen.mean(0)
        axes = torch.linalg.eigh(seen.T @ seen).eigenvectors.flip(-1)[:, :width]
        student.trunk.embeddings.tok_embeddings.weight.copy_(seen @ axes)
        student.dense_head.weight.copy_(axes)

    @torch.no_grad()
    def principal_axes(self, batches: Sequence[Sequence[NDArray[Any]]], dim: int) -> Tensor:
        """f32 [dim, D]: the directions that keep most of its unit token vectors' dot products."""
        moment = torch.zeros(self.width, self.width)
        for texts in batches:
            unit = torch.nn.functional.normalize(self(texts).hidden, dim=-1).cpu()
            moment += unit.T @ unit
        vectors: Tensor = torch.linalg.eigh(moment).eigenvectors
        return vectors.flip(-1)[:, :dim].T.contiguous()


@torch.no_grad()
def fitted_axes(
    student: Student, teacher: Teacher, batches: Sequence[Sequence[NDArray[Any]]]
) -> Tensor:
    """f32 [d, D]: orthonormal axes onto which the teacher's vectors come nearest to the student's.

    For a student that has learnt already: its token space stays what it is. Orthogonal Procrustes
    (Schönemann, "A generalized solution of the orthogonal Procrustes problem", 1966).
    """
    moment = torch.zeros(())
    for texts in batches:
        unit = torch.nn.functional.normalize(teacher(texts).hidden, dim=-1).cpu()
        own = student(*flatten(texts, next(student.parameters()).device)).tokens.float().cpu()
        moment = moment + own.T @ unit
    left, _, right = torch.linalg.svd(moment, full_matrices=False)
    axes: Tensor = left @ right
    return axes
