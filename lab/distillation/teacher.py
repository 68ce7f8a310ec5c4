"""A teacher: a BERT-like sentence encoder whose token vectors the student learns to reproduce."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lab.pretraining.tiling import layer_sources
from retrieval.encoders.model.modernbert import Layer
from retrieval.errors import CheckpointError, MissingDependency
from retrieval.train.student import Student, flatten


@dataclass(frozen=True, slots=True)
class Targets:
    """The teacher's vectors of a batch of T tokens.

    Attributes:
        hidden: f32 [T, D], its last hidden states; their mean over a text is its pooled vector.
        states: each layer's output bf16 [T, D], the last one included; empty if not requested.
    """

    hidden: Tensor
    states: list[Tensor]


class TokenTeacher(Protocol):
    """Maps token ids to targets: a `Teacher`, or one with cached vectors."""

    def __call__(self, texts: Sequence[NDArray[Any]], *, states: bool = False) -> Targets:
        """Token ids of n texts, special tokens included, to their targets, flat."""


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
        self.folder, self.device = folder, torch.device(device)
        loaded = BertModel.from_pretrained(
            folder, attn_implementation="sdpa", use_safetensors=True, dtype=torch.bfloat16
        )
        # transformers' own annotations are too narrow to call `.to` through.
        self.model = cast("Any", loaded)
        self.model.to(self.device).eval()

    @property
    def layers(self) -> int:
        """Number of layers."""
        return int(self.model.config.num_hidden_layers)

    @property
    def width(self) -> int:
        """Dimensions of its vectors."""
        return int(self.model.config.hidden_size)

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.folder.resolve().name

    def fingerprint(self) -> str:
        """Hex digest of everything that determines its vectors."""
        digest = hashlib.blake2b(b"BERT in bfloat16", digest_size=16)
        for path in sorted([self.folder / "config.json", *self.folder.glob("*.safetensors")]):
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    def tokenizer(self) -> str | None:
        """Hex digest of its tokenisation and token ids; None if the folder has no tokenizer."""
        path = self.folder / "tokenizer.json"
        if not path.exists():
            return None
        raw = _json(path)
        decisive = {name: raw.get(name) for name in ("normalizer", "pre_tokenizer", "model")}
        added = sorted((token["id"], token["content"]) for token in raw.get("added_tokens", ()))
        text = json.dumps([decisive, added], sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def pools_by_mean(self) -> bool:
        """Whether its pooled vector is the mean over a text, as far as its folder says."""
        path = self.folder / "1_Pooling" / "config.json"
        if not path.exists():
            return True
        raw = _json(path)
        return raw.get("pooling_mode") == "mean" or raw.get("pooling_mode_mean_tokens") is True

    @torch.no_grad()
    def __call__(self, texts: Sequence[NDArray[Any]], *, states: bool = False) -> Targets:
        """Token ids of n texts, special tokens included, to their targets, flat."""
        longest = max(len(text) for text in texts)
        ids = np.zeros((len(texts), longest), np.int64)
        mask = np.zeros((len(texts), longest), np.int64)
        for row, text in enumerate(texts):
            ids[row, : len(text)] = text
            mask[row, : len(text)] = 1
        ids_on, mask_on = (torch.from_numpy(x).to(self.device) for x in (ids, mask))
        out = self.model(input_ids=ids_on, attention_mask=mask_on, output_hidden_states=states)
        real = mask_on.bool()
        inner = out.hidden_states[1:] if states else ()
        return Targets(out.last_hidden_state[real].float(), [state[real] for state in inner])

    @torch.no_grad()
    def initialise(self, student: Student, *, attention: bool) -> None:
        """Copy what fits: the embedding table, and each layer's attention.

        The first token type's vector is added to the table, as to every input of the teacher.
        Attention copied from a post-norm network with biases is only a starting point. A student
        with another number of layers copies each from the teacher's layer at the same depth. A
        narrower one gets the table on its principal axes, which its dense head maps back, and no
        attention.

        Args:
            student: to initialise, in place.
            attention: whether to copy attention, too.

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
            source_attention = f"encoder.layer.{source}.attention"
            parts = [
                weights[f"{source_attention}.self.{name}.weight"]
                for name in ("query", "key", "value")
            ]
            layer.attn.Wqkv.weight.copy_(torch.cat(parts))
            layer.attn.Wo.weight.copy_(weights[f"{source_attention}.output.dense.weight"])
            layer.mlp_norm.weight.copy_(weights[f"{source_attention}.output.LayerNorm.weight"])
            if index:
                below = f"encoder.layer.{source - 1}.output" if source else "embeddings"
                assert isinstance(layer.attn_norm, torch.nn.LayerNorm)
                layer.attn_norm.weight.copy_(weights[f"{below}.LayerNorm.weight"])

    def _project(self, student: Student, table: Tensor, gain: Tensor) -> None:
        """Initialise a narrower student from the table's principal axes."""
        width = student.config.hidden_size
        if width > self.width:
            raise CheckpointError(
                f"a student of {width} dimensions cannot begin from a teacher of {self.width}: "
                f"give at most {self.width}"
            )
        # What the teacher's first layer reads. On other axes no gain per dimension equals its own.
        inputs = torch.nn.functional.layer_norm(table, (self.width,)) * gain
        inputs = inputs - inputs.mean(0)
        axes = torch.linalg.eigh(inputs.T @ inputs).eigenvectors.flip(-1)[:, :width]
        student.trunk.embeddings.tok_embeddings.weight.copy_(inputs @ axes)
        student.dense_head.weight.copy_(axes)


@torch.no_grad()
def principal_axes(
    teacher: TokenTeacher, batches: Sequence[Sequence[NDArray[Any]]], dim: int
) -> Tensor:
    """The axes f32 [dim, D] that preserve most of its unit token vectors' dot products."""
    moment = torch.zeros(())
    for texts in batches:
        unit = torch.nn.functional.normalize(teacher(texts).hidden, dim=-1).cpu()
        moment = moment + unit.T @ unit
    vectors: Tensor = torch.linalg.eigh(moment).eigenvectors
    return vectors.flip(-1)[:, :dim].T.contiguous()


@torch.no_grad()
def fitted_axes(
    student: Student, teacher: TokenTeacher, batches: Sequence[Sequence[NDArray[Any]]]
) -> Tensor:
    """Orthonormal axes f32 [d, D] onto which the teacher's vectors come nearest to the student's.

    For an already trained student, whose token space is kept. Orthogonal Procrustes (Schönemann, "A
    generalized solution of the orthogonal Procrustes problem", 1966).
    """
    moment = torch.zeros(())
    for texts in batches:
        unit = torch.nn.functional.normalize(teacher(texts).hidden, dim=-1).cpu()
        student_tokens = (
            student(*flatten(texts, next(student.parameters()).device)).tokens.float().cpu()
        )
        moment = moment + student_tokens.T @ unit
    left, _, right = torch.linalg.svd(moment, full_matrices=False)
    axes: Tensor = left @ right
    return axes


def _json(path: Path) -> dict[str, Any]:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}): fetch the model again") from None
    if not isinstance(raw, dict):
        raise CheckpointError(f"{path} holds no JSON object: fetch the model again")
    return raw
