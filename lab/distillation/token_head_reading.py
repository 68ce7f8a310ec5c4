"""A token head made wider, what it makes of hidden states, and which texts are told apart."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lab.distillation.hidden_states import HiddenStates, rows_of
from lab.distillation.statements import FAMILY
from retrieval.encoders.model.heads import TokenHead
from retrieval.encoders.model.token_head_shape import TokenHeadShape
from retrieval.errors import InputError
from retrieval.train.precision import autocast
from retrieval.train.student import Student

OTHERS = 6
"""Texts of a query's candidates that are drawn from all, beside those of its family."""

KEPT = 8
"""Tokens of a candidate that are kept for each of a query's, the nearest before training."""

INNER_STEP = 16
"""The compiled network runs heads whose inner width is a multiple of it."""

AT_ONCE = 16_384
"""Vectors that are projected at a time where all of them are."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Queries, the texts that they are asked of, and which of them answer.

    Attributes:
        share: how often a step is of these queries, next to others.
        hosts: i64 [q, FAMILY], a query's own text, then those that say nearly the same.
    """

    queries: HiddenStates
    texts: HiddenStates
    hosts: NDArray[np.int64]
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Paired:
    """Queries and as many texts that answer them; those of a step are neighbours."""

    queries: HiddenStates
    texts: HiddenStates


def widen(student: Student, inner: int, *, near: int = 0, reach: int = 0, seed: int = 0) -> None:
    """Give the token head more room inside, or neighbours to read; its vectors stay what they are.

    Args:
        near: numbers to read of each neighbour's embedding, where it reads none yet; 0: as it is.
        reach: neighbours to each side.

    Raises:
        InputError: it is wider already or reads neighbours of another kind, or the compiled
            network could not run it.
    """
    head = student.token_head
    have, hidden = head.shape, student.config.hidden_size
    if inner < have.inner or inner % INNER_STEP:
        raise InputError(
            f"a width of {inner} inside the token head, expected a multiple of {INNER_STEP} that "
            f"is not below the {have.inner} that it has"
        )
    if near % INNER_STEP or not 0 <= near <= hidden or reach < 0:
        raise InputError(
            f"{near} numbers of each of {reach} neighbours, expected a multiple of {INNER_STEP} "
            f"up to {hidden}, and a reach from 0 on"
        )
    if not near:
        near, reach = have.near, have.reach
    if have.near and (near, reach) != (have.near, have.reach):
        raise InputError(
            f"{near} numbers of each of {reach} neighbours, expected the {have.near} of each of "
            f"{have.reach} that the token head reads already"
        )
    generator = torch.Generator().manual_seed(seed)
    wide = TokenHead(hidden, TokenHeadShape(have.dim, inner, near, reach))
    with torch.no_grad():
        wide.skip.weight.zero_()
        wide.skip.weight[:, : head.skip.in_features] = head.skip.weight
        spread = float(head.up.weight.std())
        wide.up.weight.zero_()
        wide.up.weight[:, :hidden] = torch.randn(inner, hidden, generator=generator) * spread
        wide.up.weight[: have.inner, : head.up.in_features] = head.up.weight
        wide.down.weight.zero_()
        wide.down.weight[:, : have.inner] = head.down.weight
        if wide.near is not None and head.near is not None:
            wide.near.weight.copy_(head.near.weight)
        elif wide.near is not None:
            wide.near.weight.copy_(torch.randn(near, hidden, generator=generator) / hidden**0.5)
    student.token_head = wide


class Reader:
    """Token vectors of hidden vectors that were kept."""

    def __init__(self, student: Student, *, rounded: bool = False) -> None:
        """Take what does not change from the student's trunk.

        Args:
            rounded: multiply in bfloat16 where that is faster.
        """
        self.rounded = rounded
        self.gain = student.trunk.final_norm.weight.detach().clone()
        with torch.no_grad():
            every = torch.arange(student.config.vocab_size)
            self.embedded = student.trunk.embeddings(every).clone()

    def __call__(self, head: TokenHead, hidden: HiddenStates, rows: NDArray[Any]) -> Tensor:
        """Vectors f32 [r, d] of these rows."""
        embedded = around = None
        if head.near is not None:
            embedded, around = self._around(hidden, rows, head.shape.reach)
        read = rows_of(hidden, rows, self.gain)
        with autocast(read.device) if self.rounded else nullcontext():
            vectors: Tensor = head(read, embedded, around)
        return vectors

    def _around(
        self, hidden: HiddenStates, rows: NDArray[Any], reach: int
    ) -> tuple[Tensor, Tensor]:
        """What a head with `near` reads besides: embeddings, and their rows around each."""
        ids = hidden.around(rows, reach, beyond=len(self.embedded))
        met, places = np.unique(ids, return_inverse=True)
        # Sorted, "beyond" is the last one and numbers the row after those of the tokens.
        embedded = self.embedded[torch.from_numpy(met[met < len(self.embedded)])]
        return embedded, torch.from_numpy(places.reshape(ids.shape))


class Candidates:
    """For each query's token, the nearest tokens of the query's candidates."""

    def __init__(
        self, asked: Asked, head: TokenHead, reader: Reader, rng: np.random.Generator
    ) -> None:
        """Look for them with the head as it is."""
        self.asked = asked
        count, texts = len(asked.hosts), len(asked.texts)
        drawn = rng.integers(0, texts, (count, OTHERS))
        # One of the family that is drawn again would be its own wrong answer.
        own = (drawn == asked.hosts[:, :1]).nonzero()
        drawn[own] = asked.hosts[own[0], 1]
        self.texts = np.concatenate([asked.hosts, drawn], 1)
        width = FAMILY + OTHERS
        total = len(asked.queries.ids)
        self.rows = np.zeros((total, width, KEPT), np.int32)
        runs = (np.arange(at, min(at + AT_ONCE, total)) for at in range(0, total, AT_ONCE))
        queries = torch.cat([reader(head, asked.queries, run) for run in runs])
        order = np.argsort(self.texts, axis=None, kind="stable")
        ends = np.searchsorted(self.texts.ravel()[order], np.arange(texts + 1))
        for text in range(texts):
            places = order[ends[text] : ends[text + 1]]
            if not len(places):
                continue
            rows = asked.texts.rows([text])
            vectors = reader(head, asked.texts, rows)
            askers, columns = places // width, places % width
            tokens = asked.queries.rows(askers)
            kept = min(KEPT, len(rows))
            best = (queries[tokens] @ vectors.T).topk(kept, 1).indices.numpy()
            column = np.repeat(columns, asked.queries.lengths(askers))
            # A short text's last one stands for those that it has not.
            best = np.pad(best, ((0, 0), (0, KEPT - kept)), mode="edge")
            self.rows[tokens, column] = rows[best]
