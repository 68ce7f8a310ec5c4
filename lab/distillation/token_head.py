"""The token head alone, on a trunk that stays as it is: which text says what is asked.

Only the head and what query tokens count are learnt, so each text is encoded once, and a step costs
little more than its MaxSim. The right text is told from those that say nearly the same
(`statements`); pairs of query and text are told apart as well, and the head is held to the order
and the vectors that it began with, so that it forgets nothing else.
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
from lab.distillation.token_head_reading import KEPT, Asked, Candidates, Paired, Reader
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
    """How long and how fast to learn.

    Attributes:
        steps: of the optimiser, in all.
        queries: of a step, each with its candidates.
        pairs: query and text pairs of a step that has them, which are each other's negatives.
        pairs_every: one step of so many has pairs; they count as often as if each had.
        looks: how often candidates are looked for, evenly over the run: what is near changes.
        rate: peak learning rate of the head.
        weight_rate: the same of the logarithms of what query tokens count.
        weight_decay: of the squares of those logarithms, as a part of the loss: AdamW's steps are
            of one size, so a token that is not met for long goes back to what it counted.
        contrast_weight: of telling pairs apart.
        order_weight: of the distance to the order of the pairs' texts before.
        anchor_weight: of the cosine distance to the token vectors before.
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
    asked: Sequence[Asked],
    paired: Paired,
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
    if len(paired.texts) < config.pairs:
        raise InputError(
            f"{len(paired.texts)} pairs, expected at least the {config.pairs} of a step"
        )
    folder.mkdir(parents=True, exist_ok=True)
    run = _Run(student, asked, paired, config, folder)
    saved = time.monotonic()
    with interrupted() as pressed:
        while run.step < config.steps:
            figures = run.take_step()
            if log is not None and run.step % 10 == 0:
                log({"step": run.step, "of": config.steps} | figures)
            stop = pressed()
            late = time.monotonic() - saved >= config.checkpoint_seconds
            if stop or late or run.step == config.steps:
                run.save()
                saved = time.monotonic()
            if stop:
                raise KeyboardInterrupt
    run.finish()
    return student.eval()


class _Run:
    """What a run consists of, and its checkpoint."""

    def __init__(
        self,
        student: Student,
        asked: Sequence[Asked],
        paired: Paired,
        config: HeadConfig,
        folder: Path,
    ) -> None:
        assert student.query_token_weights is not None  # `fit_token_head` has looked
        self.student, self.paired, self.config, self.folder = student, paired, config, folder
        self.head = student.token_head
        self.reader = Reader(student, rounded=True)
        self.before = TokenHead(student.config.hidden_size, self.head.shape)
        self.before.load_state_dict(self.head.state_dict())
        self.counted = student.query_token_weights.clone()
        self.logs = nn.Parameter(torch.zeros_like(self.counted))
        shares = np.array([one.share for one in asked])
        self.shares = shares / shares.sum()
        groups = [
            {"params": list(self.head.parameters()), "peak": config.rate},
            {"params": [self.logs], "peak": config.weight_rate},
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
                for one in asked
                for array in (one.queries.ids, one.texts.ids, one.hosts, np.array(one.share))
            ),
            paired.queries.ids,
            paired.texts.ids,
        )
        self.settings = settings
        self.asked = asked
        state = load_state(folder, settings)
        if state is None:
            self._look(0)
        else:
            self.head.load_state_dict(state["looked_with"])
            self._look(state["look"])
            self.head.load_state_dict(state["head"])
            self.logs.data.copy_(state["logs"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.step = state["step"]

    def _look(self, number: int) -> None:
        """Look for candidates with the head as it is."""
        self.look = number
        self.looked_with = {name: part.clone() for name, part in self.head.state_dict().items()}
        rng = np.random.default_rng([self.config.seed, self.config.steps, number])
        with torch.no_grad():
            self.candidates = [Candidates(one, self.head, self.reader, rng) for one in self.asked]

    def save(self) -> None:
        save_state(
            self.folder,
            self.settings,
            {
                "look": self.look,
                "looked_with": self.looked_with,
                "head": self.head.state_dict(),
                "logs": self.logs.detach(),
                "optimiser": self.optimiser.state_dict(),
                "step": self.step,
            },
        )

    def finish(self) -> None:
        """Write what query tokens count into the student."""
        self.student.query_token_weights = self.counted * self.logs.detach().exp()

    def take_step(self) -> dict[str, float]:
        """One update; its figures."""
        config = self.config
        done = self.step / config.steps
        due = self.step * config.looks // config.steps
        if due > self.look:
            self._look(due)
        for group in self.optimiser.param_groups:
            group["lr"] = group["peak"] * min((done + 1e-3) / WARMUP, 1.0) * (1 - done)
        rng = np.random.default_rng([config.seed, self.step])
        loss, first = self._statements(rng)
        figures = {"statements": loss.item(), "first": first}
        if self.step % config.pairs_every == 0:
            parts = self._pairs(rng)
            figures |= {name: part.item() for name, part in parts.items()}
            weights = config.contrast_weight, config.order_weight, config.anchor_weight
            sums = sum(w * part for w, part in zip(weights, parts.values(), strict=True))
            loss = loss + config.pairs_every * sums
        loss = loss + config.weight_decay * self.logs.square().sum()
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.step += 1
        return {name: round(value, 4) for name, value in figures.items()}

    def _statements(self, rng: np.random.Generator) -> tuple[Tensor, float]:
        """Cross-entropy of the text that says what is asked for, among each query's candidates."""
        among = self.candidates[int(rng.choice(len(self.candidates), p=self.shares))]
        asked = among.asked
        count = min(self.config.queries, len(asked.hosts))
        chosen = rng.choice(len(asked.hosts), count, replace=False)
        tokens = asked.queries.rows(chosen)
        needed, places = np.unique(among.rows[tokens], return_inverse=True)
        vectors = self.reader(self.head, asked.texts, needed)
        texts = vectors[torch.from_numpy(places.reshape(len(tokens), -1, KEPT))]
        queries = self.reader(self.head, asked.queries, tokens)
        best = torch.einsum("rd,rckd->rck", queries, texts).amax(2)
        scores = self._sums(best, asked.queries, chosen, self.logs)
        right = torch.zeros(count, dtype=torch.long)
        first = (scores.argmax(1) == right).float().mean().item()
        return F.cross_entropy(scores / LATE_TEMPERATURE, right), first

    def _pairs(self, rng: np.random.Generator) -> dict[str, Tensor]:
        """Losses of neighbouring pairs: contrast, order as before, vectors as before."""
        count = self.config.pairs
        start = int(rng.integers(len(self.paired.texts) // count)) * count
        chosen = np.arange(start, start + count)
        queries, texts = self.paired.queries, self.paired.texts
        asked, told = queries.rows(chosen), texts.rows(chosen)
        sides = ((queries, asked), (texts, told))
        own = [self.reader(self.head, side, rows) for side, rows in sides]
        with torch.no_grad():
            before = [self.reader(self.before, side, rows) for side, rows in sides]
        lengths = texts.lengths(chosen)
        scores = self._sums(_best(own[0], own[1], lengths), queries, chosen, self.logs)
        ordered = self._sums(_best(before[0], before[1], lengths), queries, chosen, None)
        kept = (torch.cat(own) * torch.cat(before)).sum(1).mean()
        return {
            "contrast": F.cross_entropy(scores / LATE_TEMPERATURE, torch.arange(len(chosen))),
            "order": ranking_distillation_loss(
                scores,
                ordered,
                temperature=LATE_TEMPERATURE,
                teacher_temperature=LATE_TEMPERATURE,
            ),
            "anchor": 1 - kept,
        }

    def _sums(
        self, best: Tensor, queries: HiddenStates, chosen: NDArray[np.int64], logs: Tensor | None
    ) -> Tensor:
        """MaxSim of queries [n, c]: the mean over a query's tokens [R, c], each as it counts."""
        ids = torch.from_numpy(queries.ids[queries.rows(chosen)])
        counts = self.counted[ids]
        if logs is not None:
            counts = counts * logs[ids].exp()
        lengths = queries.lengths(chosen)
        parts = zip(torch.split(best, lengths), torch.split(counts, lengths), strict=True)
        return torch.stack([(c @ own) / c.sum().clamp_min(1e-12) for own, c in parts])


def _best(queries: Tensor, texts: Tensor, lengths: list[int]) -> Tensor:
    """The best similarity of each query token [R] with each text's tokens: [R, n]."""
    return torch.stack([part.amax(1) for part in torch.split(queries @ texts.T, lengths, 1)], 1)
