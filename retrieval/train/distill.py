"""Distillation: a student ModernBERT learns a teacher's token and pooled vectors, then pairs.

Every position is a target, so a small model learns from few texts. Pairs of query and text are
mixed in, with in-batch negatives for both heads while the distillation goes on, so that neither
head drifts; and long texts, of which the teacher reads a window at a time. A checkpoint is written
every few minutes; a run that is started again goes on from the last one as if it had not stopped.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrieval.errors import CheckpointError
from retrieval.train.checkpoint import replacing
from retrieval.train.corpus import TokenCorpus, batches, pair_batches
from retrieval.train.distributed import check_alone
from retrieval.train.interruption import interrupted
from retrieval.train.joined import join, runs_of_texts
from retrieval.train.losses import distillation_loss, pair_losses
from retrieval.train.optimisers import (
    OptimiserSettings,
    optimisers,
    peak_rates,
    set_rates,
    update,
)
from retrieval.train.schedule import warmup_stable_decay
from retrieval.train.student import Student, flatten
from retrieval.train.teacher import Targets, Teacher, fitted_axes

Log = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class DistillConfig:
    """How long and how fast to learn.

    Attributes:
        tokens: tokens of text to see in all, pairs included.
        batch_tokens: tokens of one step.
        pairs: query and text pairs added to a step, once `pairs_from` of the run is over.
        pair_weight: weight of the contrast between the pairs.
        rank_weight: weight of the teacher's ranking of a batch's texts for each of its queries.
        long_every: one step of so many is on long texts, once `pairs_from` of the run is over; 0
            for none.
        muon: peak learning rate of the trunk's matrices, which Muon updates.
        adam: peak learning rate of everything else, which AdamW updates.
        embedding: factor on `adam` for the embedding table; 0 keeps it as the teacher has it.
        layerwise: weight of the inner layers' distances, until half of the run is over.
        axes: what the token head learns: the teacher's `principal` axes, from which it then
            begins, or those nearest to what a student that has learnt already does (`fitted`).
        checkpoint_seconds: time between two checkpoints.
    """

    tokens: int = 9_000_000
    batch_tokens: int = 4096
    pairs: int = 32
    pairs_from: float = 0.5
    pair_weight: float = 0.1
    rank_weight: float = 0.2
    long_every: int = 8
    muon: float = 1e-2
    adam: float = 1.5e-3
    embedding: float = 0.0
    layerwise: float = 0.3
    axes: Literal["principal", "fitted"] = "principal"
    decay: float = 0.4
    seed: int = 0
    checkpoint_seconds: float = 300.0


def distill(
    student: Student,
    teacher: Teacher,
    corpus: TokenCorpus,
    config: DistillConfig,
    folder: Path,
    *,
    log: Log | None = None,
    deadline: float | None = None,
    until: int | None = None,
) -> Student:
    """Train the student, or go on training it from the checkpoint in `folder`.

    Ctrl-C leaves a checkpoint of the last whole step.

    Args:
        log: called with the step's figures, every ten steps.
        deadline: `time.monotonic()` at which to stop with a checkpoint, decayed or not.
        until: tokens seen at which to do so; None is all of them.

    Returns:
        The same student, trained.

    Raises:
        CheckpointError: the checkpoint in `folder` is damaged or of another shape.
        InputError: `torchrun` started several processes.
    """
    check_alone("distillation")
    folder.mkdir(parents=True, exist_ok=True)
    run = _Run(student, teacher, corpus, config, folder)
    started, first, saved = time.monotonic(), run.seen, time.monotonic()
    student.train()
    end = config.tokens if until is None else min(until, config.tokens)
    with interrupted() as pressed:
        while run.seen < end:
            figures = run.step()
            now = time.monotonic()
            if log is not None and run.steps % 10 == 0:
                rate = (run.seen - first) / (now - started)
                log({"step": run.steps, "seen": run.seen, "tokens_per_s": round(rate)} | figures)
            stop = pressed() or (deadline is not None and now >= deadline)
            if stop or now - saved >= config.checkpoint_seconds or run.seen >= end:
                run.save()
                saved = now
            if pressed():
                raise KeyboardInterrupt
            if stop:
                break
    return student.eval()


def tokens_seen(folder: Path) -> int:
    """Tokens that the run in `folder` had seen at its last checkpoint."""
    return int(torch.load(folder / "state.pt", weights_only=True, mmap=True)["seen"])


class _Run:
    """What a run consists of, and its checkpoint."""

    def __init__(
        self,
        student: Student,
        teacher: Teacher,
        corpus: TokenCorpus,
        config: DistillConfig,
        folder: Path,
    ) -> None:
        self.student, self.teacher, self.corpus, self.config = student, teacher, corpus, config
        self.folder = folder
        rates = OptimiserSettings(adam=config.adam, muon=config.muon, embedding=config.embedding)
        self.optimisers = optimisers(student, student.trunk, rates)
        self._peaks = peak_rates(self.optimisers)
        self.steps = self.seen = 0
        self._drawn = {"text": 0, "pair": 0, "long": 0}
        if (folder / "state.pt").exists():
            self._load()
        else:
            self.axes = self._axes()
        self._streams: dict[str, Iterator[Any] | None] = {
            "text": batches(corpus, config.batch_tokens, seed=config.seed),
            "pair": pair_batches(corpus, config.pairs, seed=config.seed),
            "long": runs_of_texts(corpus, config.batch_tokens, seed=config.seed),
        }
        for name, count in self._drawn.items():
            stream = self._streams[name]
            if stream is not None:
                next(islice(stream, count, count), None)

    def step(self) -> dict[str, float]:
        """One update; its figures."""
        done, config = self.seen / self.config.tokens, self.config
        factor = warmup_stable_decay(done, decay=config.decay)
        set_rates(self.optimisers, self._peaks, factor)
        mixed = done >= config.pairs_from
        self.steps += 1
        if mixed and config.long_every and self.steps % config.long_every == 0:
            figures = self._on_long(self._next("long"))
        else:
            figures = self._on_texts(self._next("text"), config.layerwise if done < 0.5 else 0.0)
            if mixed and self._streams["pair"] is not None:
                figures |= self._on_pairs(self._next("pair"))
        update(self.optimisers, list(self.student.parameters()), 1.0)
        return {"lr": round(factor, 4)} | figures

    def _next(self, name: str) -> Any:
        stream = self._streams[name]
        assert stream is not None
        self._drawn[name] += 1
        return next(stream)

    def _on_texts(self, chosen: NDArray[np.int64], layerwise: float) -> dict[str, float]:
        texts = [self.corpus[int(text)] for text in chosen]
        return self._distilled(texts, self.teacher(texts), layerwise)

    def _on_long(self, runs: list[NDArray[np.int64]]) -> dict[str, float]:
        joined = join(self.corpus, runs)
        figures = self._distilled(joined.texts, joined.targets(self.teacher), 0.0)
        return {f"long_{name}": value for name, value in figures.items()}

    def _distilled(
        self, texts: list[NDArray[Any]], targets: Targets, layerwise: float
    ) -> dict[str, float]:
        ids, layout = flatten(texts, self.axes.device)
        with torch.autocast(self.axes.device.type, dtype=torch.bfloat16):
            out = self.student(ids, layout)
        loss, parts = distillation_loss(out, targets, layout, self.axes, layerwise=layerwise)
        torch.autograd.backward(loss)
        self.seen += layout.total
        return _rounded(parts)

    def _on_pairs(self, pairs: NDArray[np.int64]) -> dict[str, float]:
        queries, answers = ([self.corpus[int(text)] for text in side] for side in pairs.T)
        both = [*queries, *answers]
        # Apart, since the teacher pads: queries to the length of texts would be most of its work.
        targets = self.teacher(queries).followed_by(self.teacher(answers))
        ids, layout = flatten(both, self.axes.device)
        with torch.autocast(self.axes.device.type, dtype=torch.bfloat16):
            out = self.student(ids, layout)
        contrast, ranking = pair_losses(out, targets, layout, len(pairs))
        anchor, _ = distillation_loss(out, targets, layout, self.axes)
        loss = 0.5 * anchor
        loss = loss + self.config.pair_weight * torch.stack(list(contrast.values())).sum()
        loss = loss + self.config.rank_weight * torch.stack(list(ranking.values())).sum()
        torch.autograd.backward(loss)
        self.seen += layout.total
        return _rounded(contrast | ranking)

    def _axes(self) -> Tensor:
        """The token head's targets, from texts of their own order."""
        config, head = self.config, self.student.token_head
        sample = batches(self.corpus, config.batch_tokens, seed=config.seed + 1)
        texts = [[self.corpus[int(i)] for i in next(sample)] for _ in range(12)]
        device = next(self.student.parameters()).device
        if config.axes == "fitted":
            return fitted_axes(self.student, self.teacher, texts).to(device)
        axes = self.teacher.principal_axes(texts, head.skip.out_features).to(device)
        with torch.no_grad():
            head.skip.weight.copy_(axes @ self.student.dense_head.weight)
        return axes

    def save(self) -> None:
        """Write the checkpoint; one that is killed here leaves the checkpoint before."""
        state = {
            "student": self.student.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "axes": self.axes,
            "steps": self.steps,
            "seen": self.seen,
            "drawn": self._drawn,
        }
        with replacing(self.folder / "state.pt") as file:
            torch.save(state, file)
        text = json.dumps(asdict(self.config), indent=2)
        (self.folder / "config.json").write_text(text + "\n")

    def _load(self) -> None:
        path = self.folder / "state.pt"
        device = next(self.student.parameters()).device
        try:
            state = torch.load(path, weights_only=True, map_location=device)
            self.student.load_state_dict(state["student"])
            for optimiser, own in zip(self.optimisers, state["optimisers"], strict=True):
                optimiser.load_state_dict(own)
            self.axes = state["axes"]
            self.steps, self.seen = int(state["steps"]), int(state["seen"])
            self._drawn = dict(state["drawn"])
        except (RuntimeError, KeyError, ValueError, EOFError) as wrong:
            raise CheckpointError(
                f"{path} does not fit this run ({str(wrong).splitlines()[0]}): "
                "expected a checkpoint of the same shape; choose another folder or remove it"
            ) from None


def _rounded(parts: dict[str, Tensor]) -> dict[str, float]:
    return {name: round(float(part.detach()), 4) for name, part in parts.items()}
