"""Training of the token head alone, on a frozen trunk: which text states what is asked?

Only the head and the weights of query tokens are trained, so each text is encoded once, and a step
costs little more than its MaxSim. The right text has to be told from texts that state nearly the
same (`statements`), and pairs of query and text from each other. The head is held to its previous
order and vectors, so that it forgets nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from lab.distillation.hidden_states import HiddenStates
from lab.distillation.losses import LATE_TEMPERATURE
from lab.distillation.token_head_reading import (
    NEAREST_TOKENS,
    Candidates,
    PairSet,
    QuerySet,
    Reader,
)
from lab.running.checkpoint import arrays_digest, load_state, save_state
from retrieval.encoders.model.heads import TokenHead
from retrieval.errors import InputError
from retrieval.train.interruption import interrupted
from retrieval.train.ranking import ranking_distillation_loss
from retrieval.train.student import Student

WARMUP = 0.02
"""Share of the steps in which the rate rises."""


@dataclass(frozen=True, slots=True)
class HeadConfig:
    """Settings of training a token head.

    Attributes:
        steps: of the optimiser, in all.
        queries: of a step, each with its candidates.
        pairs: query and text pairs of a step that has them, which are each other's negatives.
        pairs_every: one step of so many has pairs, with a weight as if every step did.
        looks: how often candidates are searched for, evenly over the run, since what is near
            changes.
        rate: peak learning rate of the head.
        weight_rate: peak learning rate of the logarithms of query token weights.
        weight_decay: weight of the squares of those logarithms in the loss. AdamW's steps have one
            size, so that a token which is rare in training returns to its previous weight.
        contrast_weight: of telling pairs apart.
        order_weight: of the distance to the previous order of the pairs' texts.
        anchor_weight: of the cosine distance to the previous token vectors.
        seed: of the choice of queries and pairs.
        checkpoint_seconds: time between two checkpoints.
    """

    steps: int = 9100
    queries: int = 12
    pairs: int = 64
    pairs_every: int = 3
    looks: int = 2
    rate: float = 7e-4
    weight_rate: float = 5e-3
    weight_decay: float = 1e-3
    contrast_weight: float = 1.0
    order_weight: float = 1.0
    anchor_weight: float = 1.0
    seed: int = 0
    checkpoint_seconds: float = 300.0


def fit_token_head(
    student: Student,
    query_sets: Sequence[QuerySet],
    pair_set: PairSet,
    config: HeadConfig,
    folder: Path,
    *,
    log: Callable[[dict[str, Any]], None] | None = None,
) -> Student:
    """Train the student's token head and query weights, or go on from the checkpoint in `folder`.

    Ctrl-C leaves a checkpoint of the last whole step.

    Args:
        student: on the CPU, with weights of query tokens; its trunk made the hidden vectors.
        log: called with the step's figures, every ten steps.

    Raises:
        CheckpointError: the checkpoint in `folder` is damaged, or of other settings, another
            student or other texts.
        InputError: there are fewer pairs than a step has, or the student has no query weights.
    """
    if student.query_token_weights is None:
        raise InputError("a student without weights of query tokens, expected one that has them")
    if len(pair_set.texts) < config.pairs:
        raise InputError(
            f"{len(pair_set.texts)} pairs, expected at least the {config.pairs} of a step"
        )
    folder.mkdir(parents=True, exist_ok=True)
    run = _Run(student, query_sets, pair_set, config, folder)
    last_save = time.monotonic()
    with interrupted() as was_interrupted:
        while run.step < config.steps:
            figures = run.take_step()
            if log is not None and run.step % 10 == 0:
                log({"step": run.step, "of": config.steps} | figures)
            stop = was_interrupted()
            checkpoint_due = time.monotonic() - last_save >= config.checkpoint_seconds
            if stop or checkpoint_due or run.step == config.steps:
                run.save()
                last_save = time.monotonic()
            if stop:
                raise KeyboardInterrupt
    run.finish()
    return student.eval()


class _Run:
    """The state of a run, its steps, and its checkpoint."""

    def __init__(
        self,
        student: Student,
        query_sets: Sequence[QuerySet],
        pair_set: PairSet,
        config: HeadConfig,
        folder: Path,
    ) -> None:
        assert student.query_token_weights is not None  # `fit_token_head` has checked this
        self.student, self.pair_set, self.config, self.folder = student, pair_set, config, folder
        self.head = student.token_head
        self.reader = Reader(student, rounded=True)
        self.previous_head = TokenHead(student.config.hidden_size, self.head.shape)
        self.previous_head.load_state_dict(self.head.state_dict())
        self.base_weights = student.query_token_weights.clone()
        self.log_factors = nn.Parameter(torch.zeros_like(self.base_weights))
        shares = np.array([query_set.share for query_set in query_sets])
        self.shares = shares / shares.sum()
        groups = [
            {"params": list(self.head.parameters()), "peak": config.rate},
            {"params": [self.log_factors], "peak": config.weight_rate},
        ]
        self.optimiser = torch.optim.AdamW(
            groups, lr=config.rate, betas=(0.9, 0.98), weight_decay=0.0
        )
        self.step = 0
        settings = asdict(config)
        settings.pop("checkpoint_seconds")
        settings["head"] = asdict(self.head.shape)
        settings["student"] = arrays_digest(*student.arrays().values())
        settings["texts"] = arrays_digest(
            *(
                array
                for query_set in query_sets
                for array in (
                    query_set.queries.ids,
                    query_set.texts.ids,
                    query_set.hosts,
                    np.array(query_set.share),
                )
            ),
            pair_set.queries.ids,
            pair_set.texts.ids,
        )
        self.settings = settings
        self.query_sets = query_sets
        state = load_state(folder, settings)
        if state is None:
            self._find_candidates(0)
        else:
            self.head.load_state_dict(state["looked_with"])
            self._find_candidates(state["look"])
            self.head.load_state_dict(state["head"])
            self.log_factors.data.copy_(state["logs"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step = state["step"]

    def _find_candidates(self, number: int) -> None:
        """Search for candidates with the current head."""
        self.look = number
        self.candidates_head = {name: part.clone() for name, part in self.head.state_dict().items()}
        rng = np.random.default_rng([self.config.seed, self.config.steps, number])
        with torch.no_grad():
            self.candidates = [
                Candidates(query_set, self.head, self.reader, rng) for query_set in self.query_sets
            ]

    def save(self) -> None:
        """Write a checkpoint."""
        save_state(
            self.folder,
            self.settings,
            {
                "look": self.look,
                "looked_with": self.candidates_head,
                "head": self.head.state_dict(),
                "logs": self.log_factors.detach(),
                "optimiser": self.optimiser.state_dict(),
                "step": self.step,
            },
        )

    def finish(self) -> None:
        """Write the trained weights of query tokens into the student."""
        self.student.query_token_weights = self.base_weights * self.log_factors.detach().exp()

    def take_step(self) -> dict[str, float]:
        """One update of the weights; its figures."""
        config = self.config
        progress = self.step / config.steps
        due_search = self.step * config.looks // config.steps
        if due_search > self.look:
            self._find_candidates(due_search)
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * min((progress + 1e-3) / WARMUP, 1.0) * (1 - progress)
        rng = np.random.default_rng([config.seed, self.step])
        loss, top1 = self._statement_loss(rng)
        figures = {"statements": loss.item(), "first": top1}
        if self.step % config.pairs_every == 0:
            parts = self._pair_losses(rng)
            figures |= {name: part.item() for name, part in parts.items()}
            weights = config.contrast_weight, config.order_weight, config.anchor_weight
            sums = sum(w * part for w, part in zip(weights, parts.values(), strict=True))
            loss = loss + config.pairs_every * sums
        loss = loss + config.weight_decay * self.log_factors.square().sum()
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.step += 1
        return {name: round(value, 4) for name, value in figures.items()}

    def _statement_loss(self, rng: np.random.Generator) -> tuple[Tensor, float]:
        """Cross-entropy of the right text among the candidates, and the share ranked first."""
        candidates = self.candidates[int(rng.choice(len(self.candidates), p=self.shares))]
        query_set = candidates.query_set
        count = min(self.config.queries, len(query_set.hosts))
        chosen = rng.choice(len(query_set.hosts), count, replace=False)
        tokens = query_set.queries.rows(chosen)
        unique_rows, inverse = np.unique(candidates.rows[tokens], return_inverse=True)
        vectors = self.reader(self.head, query_set.texts, unique_rows)
        texts = vectors[torch.from_numpy(inverse.reshape(len(tokens), -1, NEAREST_TOKENS))]
        queries = self.reader(self.head, query_set.queries, tokens)
        best = torch.einsum("rd,rckd->rck", queries, texts).amax(2)
        scores = self._weighted_maxsim(best, query_set.queries, chosen, self.log_factors)
        right = torch.zeros(count, dtype=torch.long)
        top1 = (scores.argmax(1) == right).float().mean().item()
        return F.cross_entropy(scores / LATE_TEMPERATURE, right), top1

    def _pair_losses(self, rng: np.random.Generator) -> dict[str, Tensor]:
        """Losses of neighbouring pairs: contrast, distance to the previous order and vectors."""
        count = self.config.pairs
        start = int(rng.integers(len(self.pair_set.texts) // count)) * count
        chosen = np.arange(start, start + count)
        queries, texts = self.pair_set.queries, self.pair_set.texts
        query_rows, text_rows = queries.rows(chosen), texts.rows(chosen)
        sides = ((queries, query_rows), (texts, text_rows))
        vectors = [self.reader(self.head, side, rows) for side, rows in sides]
        with torch.no_grad():
            previous = [self.reader(self.previous_head, side, rows) for side, rows in sides]
        lengths = texts.lengths(chosen)
        scores = self._weighted_maxsim(
            _best_similarities(vectors[0], vectors[1], lengths), queries, chosen, self.log_factors
        )
        previous_scores = self._weighted_maxsim(
            _best_similarities(previous[0], previous[1], lengths), queries, chosen, None
        )
        similarity = (torch.cat(vectors) * torch.cat(previous)).sum(1).mean()
        return {
            "contrast": F.cross_entropy(scores / LATE_TEMPERATURE, torch.arange(len(chosen))),
            "order": ranking_distillation_loss(
                scores,
                previous_scores,
                temperature=LATE_TEMPERATURE,
                teacher_temperature=LATE_TEMPERATURE,
            ),
            "anchor": 1 - similarity,
        }

    def _weighted_maxsim(
        self,
        best: Tensor,
        queries: HiddenStates,
        chosen: NDArray[np.int64],
        log_factors: Tensor | None,
    ) -> Tensor:
        """MaxSim [n, c]: weighted means over each query's tokens of best similarities [R, c]."""
        ids = torch.from_numpy(queries.ids[queries.rows(chosen)])
        weights = self.base_weights[ids]
        if log_factors is not None:
            weights = weights * log_factors[ids].exp()
        lengths = queries.lengths(chosen)
        parts = zip(torch.split(best, lengths), torch.split(weights, lengths), strict=True)
        return torch.stack(
            [
                (token_weights @ similarities) / token_weights.sum().clamp_min(1e-12)
                for similarities, token_weights in parts
            ]
        )


def _best_similarities(queries: Tensor, texts: Tensor, lengths: list[int]) -> Tensor:
    """The best similarity of each query token [R] with each text's tokens: [R, n]."""
    return torch.stack([part.amax(1) for part in torch.split(queries @ texts.T, lengths, 1)], 1)
