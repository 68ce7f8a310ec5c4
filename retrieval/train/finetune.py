"""Fine-tuning: a student learns which of several candidates answers a query, with both heads.

Each query of a step comes with a passage that answers it and hard negatives. Both heads learn to
rank the answer above all other texts of the step (contrast); the token head also learns to
distribute its MaxSim scores over the query's candidates like the teacher (distillation). The data
of a step depend only on its number and the seed, so a run that continues from a checkpoint is
identical to an uninterrupted one.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrieval.encoders.sides import SideReader, TokenSequence
from retrieval.train.precision import autocast
from retrieval.train.ranking import (
    anchor_loss,
    maxsim_matrix,
    ranking_contrastive_loss,
    ranking_distillation_loss,
)
from retrieval.train.student import Student, flatten
from retrieval.train.trainer import Trainer


@dataclass(frozen=True, slots=True)
class FinetuneConfig:
    """Hyperparameters of fine-tuning.

    Attributes:
        steps: total optimiser steps.
        batch: queries per step.
        negatives: hard negatives per query in a step.
        rate: peak learning rate of AdamW.
        distil_weight: weight of the divergence from the teacher's scores.
        anchor_weight: weight of the distances to the starting model's vectors.
        dense_temperature: temperature of the softmax over cosines.
        late_temperature: temperature of the softmax over MaxSim, averaged over a query's tokens.
        teacher_temperature: temperature of the softmax over the teacher's scores, from 0 to 1.
        checkpoint_seconds: time between two checkpoints.
    """

    steps: int
    batch: int = 16
    negatives: int = 3
    rate: float = 2e-4
    distil_weight: float = 1.0
    anchor_weight: float = 0.0
    dense_temperature: float = 0.05
    late_temperature: float = 0.02
    teacher_temperature: float = 0.25
    seed: int = 0
    checkpoint_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Example:
    """A query and its candidates, as indices of texts.

    Attributes:
        scores: f32 [positives + negatives], the teacher's, from 0 to 1.
    """

    query: str
    positives: tuple[int, ...]
    negatives: tuple[int, ...]
    scores: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Batch:
    """The data of one step: n queries with c candidates each.

    Attributes:
        texts: i64 [n, c], indices of texts; the first of each row answers the query.
        scores: f32 [n, c], the teacher's.
        allowed: bool [n, n * c], which texts of the step may count as negatives of a query.
    """

    queries: list[str]
    texts: NDArray[np.int64]
    scores: NDArray[np.float32]
    allowed: NDArray[np.bool_]


class Examples:
    """The examples, and the batch of every step."""

    def __init__(self, rows: Sequence[Example], texts: Sequence[str]) -> None:
        self.rows, self.texts = rows, texts

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, step: int, config: FinetuneConfig) -> Batch:
        """The batch of a step, counted from 0; each query occurs at most once per epoch."""
        size = min(config.batch, len(self.rows))
        epoch, place = divmod(step, len(self.rows) // size)
        order = np.random.default_rng([config.seed, epoch]).permutation(len(self.rows))
        rng = np.random.default_rng([config.seed, epoch, place])
        chosen = [self.rows[int(at)] for at in order[place * size : (place + 1) * size]]
        texts = np.zeros((size, 1 + config.negatives), np.int64)
        scores = np.zeros(texts.shape, np.float32)
        for number, row in enumerate(chosen):
            own = int(rng.integers(len(row.positives)))
            few = len(row.negatives) < config.negatives
            others = rng.choice(len(row.negatives), config.negatives, replace=few)
            texts[number] = [row.positives[own], *(row.negatives[int(at)] for at in others)]
            scores[number] = row.scores[[own, *(len(row.positives) + others)]]
        answers = [np.array(row.positives) for row in chosen]
        allowed = np.stack([~np.isin(texts.ravel(), own) for own in answers])
        return Batch([row.query for row in chosen], texts, scores, allowed)


class Finetuner(Trainer[Student]):
    """A student, its optimiser, and its training data."""

    def __init__(
        self,
        student: Student,
        examples: Examples,
        config: FinetuneConfig,
        *,
        query: SideReader,
        document: SideReader,
    ) -> None:
        self.student, self.examples, self.config = student, examples, config
        self._query, self._document = query, document
        # A few thousand queries would move frequent words but not rare ones.
        student.trunk.embeddings.tok_embeddings.weight.requires_grad_(False)
        self._before = None
        if config.anchor_weight:
            self._before = copy.deepcopy(student).eval().requires_grad_(False)
        super().__init__(
            student,
            steps=config.steps,
            rate=config.rate,
            checkpoint_seconds=config.checkpoint_seconds,
        )

    def gradients(self, step: int) -> dict[str, float]:
        """Gradients of a step's batch; its losses by name."""
        return self._gradients(self.examples.batch(step, self.config))

    def _gradients(self, batch: Batch) -> dict[str, float]:
        """Gradients of one batch; its losses by name."""
        config = self.config
        queries = self._query.read(batch.queries)
        texts = self._document.read([self.examples.texts[int(at)] for at in batch.texts.ravel()])
        ids, layout = flatten([text.ids for text in (*queries, *texts)], self.device)
        with autocast(self.device):
            out = self.student(ids, layout)
            before = None
            if self._before is not None:
                with torch.no_grad():
                    before = self._before(ids, layout)
        dense, vectors = out.dense.float(), torch.split(out.tokens.float(), list(layout.lengths))
        count = len(queries)
        cosines = dense[:count] @ dense[count:].T
        asked = _weighted(vectors[:count], queries)
        maxsim = maxsim_matrix(asked, _kept(vectors[count:], texts))
        width = batch.texts.shape[1]
        own = torch.arange(count, device=self.device) * width
        allowed = torch.from_numpy(batch.allowed).to(self.device)
        candidates = own[:, None] + torch.arange(width, device=self.device)
        parts = {
            "dense": ranking_contrastive_loss(
                cosines, own, allowed, temperature=config.dense_temperature
            ),
            "late": ranking_contrastive_loss(
                maxsim, own, allowed, temperature=config.late_temperature
            ),
            "teacher": ranking_distillation_loss(
                maxsim.gather(1, candidates),
                torch.from_numpy(batch.scores).to(self.device),
                temperature=config.late_temperature,
                teacher_temperature=config.teacher_temperature,
            ),
        }
        loss = parts["dense"] + parts["late"] + config.distil_weight * parts["teacher"]
        if before is not None:
            parts["anchor"] = anchor_loss(
                dense, out.tokens.float(), before.dense.float(), before.tokens.float()
            )
            loss = loss + config.anchor_weight * parts["anchor"]
        torch.autograd.backward(loss)
        return {name: float(part.detach()) for name, part in parts.items()}


def _weighted(vectors: Sequence[Tensor], queries: Sequence[TokenSequence]) -> list[Tensor]:
    """Each query's token vectors, scaled by the model's token weights."""
    return [
        own if query.weights is None else own * torch.from_numpy(query.weights).to(own)[:, None]
        for own, query in zip(vectors, queries, strict=True)
    ]


def _kept(vectors: Sequence[Tensor], texts: Sequence[TokenSequence]) -> list[Tensor]:
    """Each document's token vectors, without those that an index leaves out."""
    return [
        own if text.kept is None else own[torch.from_numpy(text.kept).to(own.device)]
        for own, text in zip(vectors, texts, strict=True)
    ]
