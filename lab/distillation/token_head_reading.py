"""Widening of a token head, its vectors of stored hidden states, and candidates to tell apart."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lab.distillation.hidden_states import HiddenStates, rows_of
from lab.distillation.statements import FAMILY_SIZE
from retrieval.encoders.model.heads import TokenHead
from retrieval.encoders.model.token_head_shape import TokenHeadShape
from retrieval.errors import InputError
from retrieval.train.precision import autocast
from retrieval.train.student import Student

RANDOM_CANDIDATES = 6
"""Candidates of a query that are drawn from all texts, besides those of its family."""

NEAREST_TOKENS = 8
"""Tokens of a candidate that are kept for each query token, the nearest before training."""

INNER_STEP = 16
"""The compiled network runs heads whose inner width is a multiple of it."""

BATCH_VECTORS = 16_384
"""Vectors that are projected at a time."""


@dataclass(frozen=True, slots=True)
class QuerySet:
    """Queries, the texts that they search, and the right ones.

    Attributes:
        queries: hidden vectors of the queries.
        texts: hidden vectors of the texts.
        hosts: i64 [q, FAMILY_SIZE], a query's own text, then those that state nearly the same.
        share: how often a step uses these queries, relative to other sets.
    """

    queries: HiddenStates
    texts: HiddenStates
    hosts: NDArray[np.int64]
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class PairSet:
    """Queries and as many texts that answer them; those of a step are neighbours."""

    queries: HiddenStates
    texts: HiddenStates


def widen(student: Student, inner: int, *, near: int = 0, reach: int = 0, seed: int = 0) -> None:
    """Give the token head a larger inner width, or neighbours to read; its vectors do not change.

    Args:
        student: whose token head is replaced.
        inner: the new inner width.
        near: numbers to read of each neighbour's embedding, if it reads none yet; 0 changes
            nothing.
        reach: neighbours to each side.
        seed: of the new weights.

    Raises:
        InputError: it is wider already or reads other neighbours, or the compiled network could
            not run it.
    """
    head = student.token_head
    shape, hidden = head.shape, student.config.hidden_size
    if inner < shape.inner or inner % INNER_STEP:
        raise InputError(
            f"a width of {inner} inside the token head, expected a multiple of {INNER_STEP} that "
            f"is not below the {shape.inner} that it has"
        )
    if near % INNER_STEP or not 0 <= near <= hidden or reach < 0:
        raise InputError(
            f"{near} numbers of each of {reach} neighbours, expected a multiple of {INNER_STEP} "
            f"up to {hidden}, and a reach from 0 on"
        )
    if not near:
        near, reach = shape.near, shape.reach
    if shape.near and (near, reach) != (shape.near, shape.reach):
        raise InputError(
            f"{near} numbers of each of {reach} neighbours, expected the {shape.near} of each of "
            f"{shape.reach} that the token head reads already"
        )
    generator = torch.Generator().manual_seed(seed)
    wide = TokenHead(hidden, TokenHeadShape(shape.dim, inner, near, reach))
    with torch.no_grad():
        wide.skip.weight.zero_()
        wide.skip.weight[:, : head.skip.in_features] = head.skip.weight
        std = float(head.up.weight.std())
        wide.up.weight.zero_()
        wide.up.weight[:, :hidden] = torch.randn(inner, hidden, generator=generator) * std
        wide.up.weight[: shape.inner, : head.up.in_features] = head.up.weight
        wide.down.weight.zero_()
        wide.down.weight[:, : shape.inner] = head.down.weight
        if wide.near is not None and head.near is not None:
            wide.near.weight.copy_(head.near.weight)
        elif wide.near is not None:
            wide.near.weight.copy_(torch.randn(near, hidden, generator=generator) / hidden**0.5)
    student.token_head = wide


class Reader:
    """Computes token vectors from stored hidden vectors."""

    def __init__(self, student: Student, *, rounded: bool = False) -> None:
        """Copy what the head needs of the student's trunk, which is frozen.

        Args:
            student: whose trunk made the hidden vectors.
            rounded: multiply in bfloat16 where that is faster.
        """
        self.rounded = rounded
        self.gain = student.trunk.final_norm.weight.detach().clone()
        with torch.no_grad():
            all_ids = torch.arange(student.config.vocab_size)
            self.embedded = student.trunk.embeddings(all_ids).clone()

    def __call__(self, head: TokenHead, hidden: HiddenStates, rows: NDArray[Any]) -> Tensor:
        """Token vectors of these rows, f32 [r, d]."""
        embedded = around = None
        if head.near is not None:
            embedded, around = self._around(hidden, rows, head.shape.reach)
        hidden_vectors = rows_of(hidden, rows, self.gain)
        with autocast(hidden_vectors.device) if self.rounded else nullcontext():
            vectors: Tensor = head(hidden_vectors, embedded, around)
        return vectors

    def _around(
        self, hidden: HiddenStates, rows: NDArray[Any], reach: int
    ) -> tuple[Tensor, Tensor]:
        """The embeddings that a head with `near` reads, and their rows around each token."""
        ids = hidden.around(rows, reach, beyond=len(self.embedded))
        unique_ids, inverse = np.unique(ids, return_inverse=True)
        # `beyond` sorts last, and so stands for the row after those of the tokens.
        embedded = self.embedded[torch.from_numpy(unique_ids[unique_ids < len(self.embedded)])]
        return embedded, torch.from_numpy(inverse.reshape(ids.shape))


class Candidates:
    """Candidates of each query, and for each query token their nearest tokens.

    Attributes:
        query_set: the queries and texts.
        texts: i64 [q, c], the candidates of each query, the right one first.
        rows: i32 [R, c, NEAREST_TOKENS], by query token, the nearest rows of each candidate.
    """

    def __init__(
        self, query_set: QuerySet, head: TokenHead, reader: Reader, rng: np.random.Generator
    ) -> None:
        """Search with the given head."""
        self.query_set = query_set
        count, texts = len(query_set.hosts), len(query_set.texts)
        random_texts = rng.integers(0, texts, (count, RANDOM_CANDIDATES))
        # The right text, drawn at random, would be its own negative.
        collisions = (random_texts == query_set.hosts[:, :1]).nonzero()
        random_texts[collisions] = query_set.hosts[collisions[0], 1]
        self.texts = np.concatenate([query_set.hosts, random_texts], 1)
        width = FAMILY_SIZE + RANDOM_CANDIDATES
        total = len(query_set.queries.ids)
        self.rows = np.zeros((total, width, NEAREST_TOKENS), np.int32)
        runs = (
            np.arange(start, min(start + BATCH_VECTORS, total))
            for start in range(0, total, BATCH_VECTORS)
        )
        queries = torch.cat([reader(head, query_set.queries, run) for run in runs])
        order = np.argsort(self.texts, axis=None, kind="stable")
        ends = np.searchsorted(self.texts.ravel()[order], np.arange(texts + 1))
        for text in range(texts):
            places = order[ends[text] : ends[text + 1]]
            if not len(places):
                continue
            rows = query_set.texts.rows([text])
            vectors = reader(head, query_set.texts, rows)
            queries_of_text, columns = places // width, places % width
            tokens = query_set.queries.rows(queries_of_text)
            count_kept = min(NEAREST_TOKENS, len(rows))
            best = (queries[tokens] @ vectors.T).topk(count_kept, 1).indices.numpy()
            column = np.repeat(columns, query_set.queries.lengths(queries_of_text))
            # Texts with fewer tokens repeat their last one.
            best = np.pad(best, ((0, 0), (0, NEAREST_TOKENS - count_kept)), mode="edge")
            self.rows[tokens, column] = rows[best]
