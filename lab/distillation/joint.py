"""A student learns the joint geometry of several encoders, and keeps what it can already do.

A step has similar texts with their queries, and some texts without. The student's windows and
queries learn their targets and the similarities between them. Both heads learn to tell a query's
own text from the others. The token head is held to its previous vectors, in texts of every length,
since no teacher knows which words of a long text matter.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lab.distillation.joint_targets import best_windows
from lab.distillation.joint_text import JointText
from lab.distillation.long_texts import join_windows, runs_of_texts
from lab.distillation.losses import DENSE_TEMPERATURE, LATE_TEMPERATURE
from lab.running.checkpoint import arrays_digest, load_state, save_state
from lab.running.optimisers import OptimiserSettings, optimisers, peak_rates, set_rates, update
from lab.text.corpus import TokenCorpus
from retrieval.encoders.sides import window_lengths
from retrieval.errors import InputError
from retrieval.train.interruption import interrupted
from retrieval.train.precision import autocast
from retrieval.train.schedule import warmup_stable_decay
from retrieval.train.student import Output, Student, flatten

FALSE_NEGATIVE_MARGIN = 0.02
"""A text that the teachers score higher than a query's own, by this much, is no negative."""


@dataclass(frozen=True, slots=True)
class JointConfig:
    """Settings of joint training.

    Attributes:
        steps: of the optimisers, in all.
        pairs: queries of a step, each with its text.
        cluster: how many of them are similar to each other.
        alone: texts of a step without a query.
        window: most tokens of a dense window.
        long_every: one step of so many is on long texts; 0 for none.
        long_tokens: of such a step, about.
        held_every: one step of so many holds the token head to its previous vectors, with a weight
            as if every step did.
        target, relations: weights of the distances to the targets, and to the similarities.
        contrast_dense, contrast_late: weights of the contrast with the step's other texts.
        order_late: weight of the distance of MaxSim's order from the teachers' and the previous
            one.
        teachers_order: the teachers' part of that order.
        anchor, long_anchor: weights of the cosine distance to the previous token vectors.
        muon, adam: peak learning rates.
        decay: share of the steps in which they fall.
        seed: of the choice of texts.
        checkpoint_seconds: time between two checkpoints.
    """

    steps: int = 600
    pairs: int = 80
    cluster: int = 8
    alone: int = 20
    window: int = 64
    long_every: int = 10
    long_tokens: int = 8192
    held_every: int = 2
    target: float = 2.0
    relations: float = 1.0
    contrast_dense: float = 0.2
    contrast_late: float = 0.5
    order_late: float = 1.0
    teachers_order: float = 0.5
    anchor: float = 1.5
    long_anchor: float = 3.0
    muon: float = 2e-3
    adam: float = 5e-4
    decay: float = 0.6
    seed: int = 0
    checkpoint_seconds: float = 300.0


def train_jointly(
    student: Student,
    corpus: TokenCorpus,
    text: JointText,
    config: JointConfig,
    folder: Path,
    *,
    log: Callable[[dict[str, Any]], None] | None = None,
    deadline: float | None = None,
) -> Student:
    """Train the student, or go on from the checkpoint in `folder`.

    Ctrl-C leaves a checkpoint of the last whole step.

    Args:
        student: on its device; its table of embeddings stays as it is.
        corpus: that the text numbers are of.
        log: called with the step's figures, every ten steps.
        deadline: `time.monotonic()` at which to stop with a checkpoint, decayed or not.

    Raises:
        CheckpointError: the checkpoint is damaged, or of other settings.
        InputError: there are fewer pairs than a step has, or the widths differ.
    """
    if text.targets.texts.shape[1] != student.dense_head.weight.shape[0]:
        raise InputError(
            f"targets of {text.targets.texts.shape[1]} dimensions, expected the student's "
            f"{student.dense_head.weight.shape[0]}: the first teacher has to be of its width"
        )
    if (text.queries >= 0).sum() < config.pairs:
        raise InputError(
            f"{(text.queries >= 0).sum()} pairs that the teachers find again, expected at least "
            f"the {config.pairs} of a step"
        )
    folder.mkdir(parents=True, exist_ok=True)
    run = _Run(student.train(), corpus, text, config, folder)
    last_save = time.monotonic()
    figures: dict[str, float] = {}
    with interrupted() as was_interrupted:
        while run.step < config.steps:
            # Not every step has every figure: the latest of each is logged.
            figures |= run.take_step()
            if log is not None and run.step % 10 == 0:
                log({"step": run.step, "of": config.steps} | figures)
            now, stop = time.monotonic(), was_interrupted()
            past_deadline = deadline is not None and now >= deadline
            if (
                stop
                or past_deadline
                or now - last_save >= config.checkpoint_seconds
                or run.step == config.steps
            ):
                run.save()
                last_save = now
            if stop:
                raise KeyboardInterrupt
            if past_deadline:
                break
    return student.eval()


def window_vectors(hidden: Tensor, lengths: list[int], most: int) -> tuple[Tensor, Tensor]:
    """Mean vectors of the windows of texts, f32 [w, D] of unit length, and their texts, i64 [w].

    Args:
        hidden: [T, D] of texts of these lengths, one after the other.
        lengths: tokens of each text.
        most: most tokens of a window.
    """
    window_sizes = [window_lengths(length, most) for length in lengths]
    sizes = torch.from_numpy(np.concatenate(window_sizes)).to(hidden.device)
    window_of_token = torch.repeat_interleave(torch.arange(len(sizes), device=hidden.device), sizes)
    sums = hidden.new_zeros(len(sizes), hidden.shape[1], dtype=torch.float32)
    sums = sums.index_add(0, window_of_token, hidden.float())
    owner = np.repeat(
        np.arange(len(window_sizes)), [len(sizes_of_text) for sizes_of_text in window_sizes]
    )
    return F.normalize(sums, dim=1), torch.from_numpy(owner).to(hidden.device)


def relations_loss(student: Tensor, teachers: Tensor, temperature: float) -> Tensor:
    """KL divergence of each row's similarities with the others from the teachers'.

    Relational distillation (Park et al., "Relational Knowledge Distillation", 2019) by
    distributions, so that near neighbours count most.

    Args:
        student: f32 [n, D], unit length.
        teachers: f32 [n, S], unit length.
        temperature: of both softmaxes.
    """
    itself = torch.eye(len(student), dtype=torch.bool, device=student.device)
    scores, targets = (
        (rows @ rows.T / temperature).masked_fill(itself, -1e4) for rows in (student, teachers)
    )
    return divergence(scores, targets)


def divergence(scores: Tensor, targets: Tensor) -> Tensor:
    """Mean KL divergence of the rows' softmax [n, m] from that of the targets."""
    return F.kl_div(F.log_softmax(scores, 1), F.softmax(targets, 1), reduction="batchmean")


class _Run:
    """The state of a run, its steps, and its checkpoint."""

    def __init__(
        self,
        student: Student,
        corpus: TokenCorpus,
        text: JointText,
        config: JointConfig,
        folder: Path,
    ) -> None:
        self.student, self.corpus, self.text, self.config = student, corpus, text, config
        self.folder = folder
        self.device = next(student.parameters()).device
        self.previous = copy.deepcopy(student).eval().requires_grad_(False)
        rates = OptimiserSettings(adam=config.adam, muon=config.muon, embedding=0.0)
        self.optimisers = optimisers(student, student.trunk, rates)
        self.peaks = peak_rates(self.optimisers)
        self.parameters = [part for part in student.parameters() if part.requires_grad]
        self.paired = np.flatnonzero(text.queries >= 0)
        self.alone = np.flatnonzero(text.queries < 0)
        self.step = 0
        self.settings = asdict(config)
        self.settings.pop("checkpoint_seconds")
        self.settings["student"] = arrays_digest(*student.arrays().values())
        self.settings["texts"] = arrays_digest(text.texts, text.queries, text.targets.text_sides)
        state = load_state(folder, self.settings)
        long_steps = 0
        if state is not None:
            student.load_state_dict(state["student"])
            for optimiser, optimiser_state in zip(
                self.optimisers, state["optimisers"], strict=True
            ):
                optimiser.load_state_dict(optimiser_state)
            self.step = state["step"]
            long_steps = self.step // config.long_every if config.long_every else 0
        self.long: Iterator[list[NDArray[np.int64]]] = islice(
            runs_of_texts(corpus, config.long_tokens, seed=config.seed), long_steps, None
        )

    def save(self) -> None:
        """Write a checkpoint."""
        save_state(
            self.folder,
            self.settings,
            {
                "student": self.student.state_dict(),
                "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
                "step": self.step,
            },
        )

    def take_step(self) -> dict[str, float]:
        """One update of the weights; its figures."""
        config = self.config
        factor = warmup_stable_decay(self.step / config.steps, warmup=0.05, decay=config.decay)
        set_rates(self.optimisers, self.peaks, factor)
        rng = np.random.default_rng([config.seed, self.step])
        self.step += 1
        if config.long_every and self.step % config.long_every == 0:
            figures = self._loss_on_long()
        else:
            figures = self._loss_on_pairs(rng)
        update(self.optimisers, self.parameters, 1.0)
        return {name: round(value.item(), 4) for name, value in figures.items()}

    def _encode(self, model: Student, ids: Tensor, layout: Any) -> Output:
        with autocast(self.device):
            out: Output = model(ids, layout)
        return out

    def _loss_on_long(self) -> dict[str, Tensor]:
        """Backpropagate the distance of long texts' token vectors from the previous ones."""
        runs = [[self.corpus[text] for text in run.tolist()] for run in next(self.long)]
        ids, layout = flatten(join_windows(runs).texts, self.device)
        with torch.no_grad():
            previous = self._encode(self.previous, ids, layout)
        distance = _token_distance(self._encode(self.student, ids, layout), previous)
        torch.autograd.backward(self.config.long_anchor * distance)
        return {"long": distance.detach()}

    def _loss_on_pairs(self, rng: np.random.Generator) -> dict[str, Tensor]:
        """Backpropagate the losses of similar pairs and of texts without a query."""
        config, text = self.config, self.text
        chosen = self._similar_pairs(rng)
        count = len(chosen)
        others = rng.choice(self.alone, min(config.alone, len(self.alone)), replace=False)
        rows = np.concatenate([chosen, others])
        query_ids = [self.corpus[query] for query in text.queries[chosen].tolist()]
        text_ids = [self.corpus[number] for number in text.texts[rows].tolist()]
        lengths = [len(sequence) for sequence in [*query_ids, *text_ids]]
        ids, layout = flatten([*query_ids, *text_ids], self.device)
        out = self._encode(self.student, ids, layout)
        query_tokens = sum(lengths[:count])
        windows, owner = window_vectors(out.hidden[query_tokens:], lengths[count:], config.window)
        queries = out.dense[:count].float()
        window_rows = np.concatenate([np.arange(text.first[r], text.first[r + 1]) for r in rows])
        query_rows = text.query_rows[chosen]
        window_targets = self._on_device(text.targets.texts[window_rows])
        query_targets = self._on_device(text.targets.queries[query_rows])
        sides = self._on_device(text.targets.text_sides[window_rows])
        query_sides = self._on_device(text.targets.query_sides[query_rows])

        right = torch.arange(count, device=self.device)
        dense = best_windows(queries, windows, owner, len(rows))
        teachers = best_windows(query_sides, sides, owner, len(rows))
        is_false_negative = teachers > teachers.gather(1, right[:, None]) + FALSE_NEGATIVE_MARGIN
        late = self._maxsim(out, ids, lengths, count)
        similar = (windows * window_targets).sum(1).mean() + (queries * query_targets).sum(1).mean()
        parts = {
            "target": (config.target, 2 - similar),
            "relations": (
                config.relations,
                relations_loss(
                    torch.cat([queries, windows]),
                    torch.cat([query_sides, sides]),
                    DENSE_TEMPERATURE,
                )
                + divergence(dense / DENSE_TEMPERATURE, teachers / DENSE_TEMPERATURE),
            ),
            "dense": (
                config.contrast_dense,
                F.cross_entropy(
                    (dense / DENSE_TEMPERATURE).masked_fill(is_false_negative, -1e4), right
                ),
            ),
            "late": (
                config.contrast_late,
                F.cross_entropy(
                    (late / LATE_TEMPERATURE).masked_fill(is_false_negative, -1e4), right
                ),
            ),
        }
        if self.step % config.held_every == 0:
            with torch.no_grad():
                previous = self._encode(self.previous, ids, layout)
                order = config.teachers_order * teachers / DENSE_TEMPERATURE
                previous_scores = self._maxsim(previous, ids, lengths, count) / LATE_TEMPERATURE
                order = order + (1 - config.teachers_order) * previous_scores
            scale = config.held_every
            parts |= {
                "order": (scale * config.order_late, divergence(late / LATE_TEMPERATURE, order)),
                "anchor": (scale * config.anchor, _token_distance(out, previous)),
            }
        torch.autograd.backward(
            torch.stack([weight * part for weight, part in parts.values()]).sum()
        )
        return {name: part.detach() for name, (_, part) in parts.items()} | {
            "first": (dense.argmax(1) == right).float().mean(),
            "first_late": (late.argmax(1) == right).float().mean(),
        }

    def _similar_pairs(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Rows of pairs, in clusters of similar texts: i64 [pairs]."""
        config = self.config
        rows: dict[int, None] = {}
        for seed in rng.choice(self.paired, -(-config.pairs // config.cluster), replace=False):
            near = self.text.near[seed]
            near = rng.permutation(near[self.text.queries[near] >= 0])[: config.cluster - 1]
            rows |= dict.fromkeys([int(seed), *near.tolist()])
        for row in rng.permutation(self.paired):
            if len(rows) >= config.pairs:
                break
            rows.setdefault(int(row))
        return np.array([*rows][: config.pairs], np.int64)

    def _maxsim(self, out: Output, ids: Tensor, lengths: list[int], count: int) -> Tensor:
        """MaxSim of queries with texts, f32 [n, t], with the weights of query tokens."""
        tokens = torch.split(out.tokens.float(), lengths)
        query_vectors = torch.cat(tokens[:count])
        similar = torch.split(query_vectors @ torch.cat(tokens[count:]).T, lengths[count:], dim=1)
        best = torch.stack([part.amax(1) for part in similar], 1)
        token_weights = self.student.query_token_weights
        weights = (
            best.new_ones(len(query_vectors))
            if token_weights is None
            else token_weights[ids[: len(query_vectors)]]
        )
        parts = zip(
            torch.split(best * weights[:, None], lengths[:count]),
            torch.split(weights, lengths[:count]),
            strict=True,
        )
        return torch.stack(
            [part.sum(0) / query_weights.sum().clamp_min(1e-12) for part, query_weights in parts]
        )

    def _on_device(self, rows: NDArray[np.float16]) -> Tensor:
        return torch.from_numpy(rows).to(self.device).float()


def _token_distance(out: Output, previous: Output) -> Tensor:
    """Mean cosine distance of the token vectors from the previous ones."""
    return 1 - (out.tokens.float() * previous.tokens.float()).sum(1).mean()
