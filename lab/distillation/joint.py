"""A student learns the joint geometry of several encoders, and keeps what it can already do.

A step has texts that are like one another, with their queries, and some that nothing asks for. The
student's windows and queries are held to their targets and to the similarities among them; both
heads tell a query's own text from the others; the token head is held to the vectors that it had
before, in texts of every length, since no teacher knows which words of a long text matter.
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

SURELY_BETTER = 0.02
"""A text that the teachers find more like a query than its own, by this much, is no negative."""


@dataclass(frozen=True, slots=True)
class JointConfig:
    """How long and how fast to learn.

    Attributes:
        steps: of the optimisers, in all.
        pairs: queries of a step, each with its text.
        cluster: so many of them are like one another.
        alone: texts of a step that nothing asks for.
        window: most tokens of a dense window.
        long_every: one step of so many is on long texts; 0 is none.
        long_tokens: of such a step, about.
        held_every: one step of so many holds the token head to what it was; it counts as often as
            if each had.
        target, relations: weights of the distances to the targets, and to the similarities.
        contrast_dense, contrast_late: of telling a query's text from the step's others.
        order_late: of the distance of MaxSim's order from the teachers' and its own before.
        teachers_order: what part of that order is the teachers'.
        anchor, long_anchor: of the cosine distance to the token vectors before.
        muon, adam: peak rates.
        decay: share of the steps in which they fall.
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


def learn_jointly(
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
    saved = time.monotonic()
    figures: dict[str, float] = {}
    with interrupted() as pressed:
        while run.step < config.steps:
            # Not every step has every figure: the last of each is told.
            figures |= run.take_step()
            if log is not None and run.step % 10 == 0:
                log({"step": run.step, "of": config.steps} | figures)
            now, stop = time.monotonic(), pressed()
            late = deadline is not None and now >= deadline
            if stop or late or now - saved >= config.checkpoint_seconds or run.step == config.steps:
                run.save()
                saved = now
            if stop:
                raise KeyboardInterrupt
            if late:
                break
    return student.eval()


def window_vectors(hidden: Tensor, lengths: list[int], most: int) -> tuple[Tensor, Tensor]:
    """Means over the windows of texts: f32 [w, D], unit length, and whose each is, i64 [w].

    Args:
        hidden: [T, D] of texts of these lengths, one after the other.
    """
    cut = [window_lengths(length, most) for length in lengths]
    sizes = torch.from_numpy(np.concatenate(cut)).to(hidden.device)
    place = torch.repeat_interleave(torch.arange(len(sizes), device=hidden.device), sizes)
    sums = hidden.new_zeros(len(sizes), hidden.shape[1], dtype=torch.float32)
    sums = sums.index_add(0, place, hidden.float())
    owner = np.repeat(np.arange(len(cut)), [len(one) for one in cut])
    return F.normalize(sums, dim=1), torch.from_numpy(owner).to(hidden.device)


def relations_loss(own: Tensor, teachers: Tensor, temperature: float) -> Tensor:
    """KL divergence of each row's similarities with the others from the teachers'.

    Relational distillation (Park et al., "Relational Knowledge Distillation", 2019) by
    distributions, so that what is near counts most.

    Args:
        own: f32 [n, D], unit length.
        teachers: f32 [n, S], unit length.
    """
    itself = torch.eye(len(own), dtype=torch.bool, device=own.device)
    similar, wanted = (
        (rows @ rows.T / temperature).masked_fill(itself, -1e4) for rows in (own, teachers)
    )
    return divergence(similar, wanted)


def divergence(scores: Tensor, wanted: Tensor) -> Tensor:
    """Mean KL divergence of the rows' softmax [n, m] from the wanted ones'."""
    return F.kl_div(F.log_softmax(scores, 1), F.softmax(wanted, 1), reduction="batchmean")


class _Run:
    """What a run consists of, and its checkpoint."""

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
        self.before = copy.deepcopy(student).eval().requires_grad_(False)
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
        long_read = 0
        if state is not None:
            student.load_state_dict(state["student"])
            for optimiser, own in zip(self.optimisers, state["optimisers"], strict=True):
                optimiser.load_state_dict(own)
            self.step = state["step"]
            long_read = self.step // config.long_every if config.long_every else 0
        self.long: Iterator[list[NDArray[np.int64]]] = islice(
            runs_of_texts(corpus, config.long_tokens, seed=config.seed), long_read, None
        )

    def save(self) -> None:
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
        """One update; its figures."""
        config = self.config
        factor = warmup_stable_decay(self.step / config.steps, warmup=0.05, decay=config.decay)
        set_rates(self.optimisers, self.peaks, factor)
        rng = np.random.default_rng([config.seed, self.step])
        self.step += 1
        if config.long_every and self.step % config.long_every == 0:
            figures = self._on_long()
        else:
            figures = self._on_pairs(rng)
        update(self.optimisers, self.parameters, 1.0)
        return {name: round(value.item(), 4) for name, value in figures.items()}

    def _read(self, model: Student, ids: Tensor, layout: Any) -> Output:
        with autocast(self.device):
            out: Output = model(ids, layout)
        return out

    def _on_long(self) -> dict[str, Tensor]:
        """Token vectors of long texts are what they were before."""
        runs = [[self.corpus[text] for text in run.tolist()] for run in next(self.long)]
        ids, layout = flatten(join_windows(runs).texts, self.device)
        with torch.no_grad():
            before = self._read(self.before, ids, layout)
        moved = _moved(self._read(self.student, ids, layout), before)
        torch.autograd.backward(self.config.long_anchor * moved)
        return {"long": moved.detach()}

    def _on_pairs(self, rng: np.random.Generator) -> dict[str, Tensor]:
        config, text = self.config, self.text
        chosen = self._alike(rng)
        count = len(chosen)
        others = rng.choice(self.alone, min(config.alone, len(self.alone)), replace=False)
        rows = np.concatenate([chosen, others])
        asked = [self.corpus[query] for query in text.queries[chosen].tolist()]
        told = [self.corpus[number] for number in text.texts[rows].tolist()]
        lengths = [len(one) for one in [*asked, *told]]
        ids, layout = flatten([*asked, *told], self.device)
        out = self._read(self.student, ids, layout)
        after = sum(lengths[:count])
        windows, owner = window_vectors(out.hidden[after:], lengths[count:], config.window)
        queries = out.dense[:count].float()
        places = np.concatenate([np.arange(text.first[r], text.first[r + 1]) for r in rows])
        asking = text.asked[chosen]
        wanted = self._on_device(text.targets.texts[places])
        wanted_queries = self._on_device(text.targets.queries[asking])
        sides = self._on_device(text.targets.text_sides[places])
        query_sides = self._on_device(text.targets.query_sides[asking])

        own = torch.arange(count, device=self.device)
        dense = best_windows(queries, windows, owner, len(rows))
        teachers = best_windows(query_sides, sides, owner, len(rows))
        better = teachers > teachers.gather(1, own[:, None]) + SURELY_BETTER
        late = self._late(out, ids, lengths, count)
        similar = (windows * wanted).sum(1).mean() + (queries * wanted_queries).sum(1).mean()
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
                F.cross_entropy((dense / DENSE_TEMPERATURE).masked_fill(better, -1e4), own),
            ),
            "late": (
                config.contrast_late,
                F.cross_entropy((late / LATE_TEMPERATURE).masked_fill(better, -1e4), own),
            ),
        }
        if self.step % config.held_every == 0:
            with torch.no_grad():
                before = self._read(self.before, ids, layout)
                order = config.teachers_order * teachers / DENSE_TEMPERATURE
                was = self._late(before, ids, lengths, count) / LATE_TEMPERATURE
                order = order + (1 - config.teachers_order) * was
            often = config.held_every
            parts |= {
                "order": (often * config.order_late, divergence(late / LATE_TEMPERATURE, order)),
                "anchor": (often * config.anchor, _moved(out, before)),
            }
        torch.autograd.backward(
            torch.stack([weight * part for weight, part in parts.values()]).sum()
        )
        return {name: part.detach() for name, (_, part) in parts.items()} | {
            "first": (dense.argmax(1) == own).float().mean(),
            "first_late": (late.argmax(1) == own).float().mean(),
        }

    def _alike(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Rows of pairs, in clusters of texts that are alike."""
        config = self.config
        found: dict[int, None] = {}
        for seed in rng.choice(self.paired, -(-config.pairs // config.cluster), replace=False):
            near = self.text.near[seed]
            near = rng.permutation(near[self.text.queries[near] >= 0])[: config.cluster - 1]
            found |= dict.fromkeys([int(seed), *near.tolist()])
        for row in rng.permutation(self.paired):
            if len(found) >= config.pairs:
                break
            found.setdefault(int(row))
        return np.array([*found][: config.pairs], np.int64)

    def _late(self, out: Output, ids: Tensor, lengths: list[int], count: int) -> Tensor:
        """MaxSim of queries with texts [n, t], each query token as it counts."""
        tokens = torch.split(out.tokens.float(), lengths)
        asked = torch.cat(tokens[:count])
        similar = torch.split(asked @ torch.cat(tokens[count:]).T, lengths[count:], dim=1)
        best = torch.stack([part.amax(1) for part in similar], 1)
        counts = self.student.query_token_weights
        weights = best.new_ones(len(asked)) if counts is None else counts[ids[: len(asked)]]
        by_query = zip(
            torch.split(best * weights[:, None], lengths[:count]),
            torch.split(weights, lengths[:count]),
            strict=True,
        )
        return torch.stack([part.sum(0) / own.sum().clamp_min(1e-12) for part, own in by_query])

    def _on_device(self, rows: NDArray[np.float16]) -> Tensor:
        return torch.from_numpy(rows).to(self.device).float()


def _moved(out: Output, before: Output) -> Tensor:
    """Mean cosine distance of the token vectors from those before."""
    return 1 - (out.tokens.float() * before.tokens.float()).sum(1).mean()
