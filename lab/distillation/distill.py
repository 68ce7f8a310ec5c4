"""Distillation: a student ModernBERT learns teachers' token and pooled vectors, then pairs.

Every position is a target, so a small model learns from few texts. Pairs of query and text are
mixed in, with in-batch negatives for both heads while the distillation goes on, so that neither
head drifts; and long texts, of which a teacher reads a window at a time. A checkpoint is written
every few minutes; a run that is started again goes on from the last one as if it had not stopped.

Several processes share each step: rank r of n works on texts r, r + n, and so on of the batch, and
gradients are summed. Negatives are the whole batch's, so the vectors of pairs are gathered first.
What a step reads is the same on any number of processes, and so is its loss, to rounding.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lab.distillation.all_gather import Gather
from lab.distillation.distill_config import DistillConfig
from lab.distillation.long_texts import join_windows, runs_of_texts
from lab.distillation.losses import (
    WHOLE,
    Share,
    needle_loss,
    pair_losses,
    teacher_scores,
    teachers_loss,
)
from lab.distillation.needles import Needles, Words, hide_needles
from lab.distillation.teacher import Teacher, fitted_axes, principal_axes
from lab.distillation.teacher_outputs import TeacherOutput
from lab.distillation.teachers import TeacherEnsemble, WeightedTeacher
from lab.running.checkpoint import STATE_FILE, check_settings, read_state, save_state
from lab.running.distributed import Ranks
from lab.running.optimisers import (
    OptimiserSettings,
    optimisers,
    peak_rates,
    set_rates,
    update,
)
from lab.text.corpus import TokenCorpus, batches, pair_batches
from retrieval.encoders.model.attention import Layout
from retrieval.errors import CheckpointError
from retrieval.files.whole import write_whole
from retrieval.train.interruption import interrupted
from retrieval.train.processes import check_alone
from retrieval.train.schedule import warmup_stable_decay
from retrieval.train.student import Output, Student, flatten

Log = Callable[[dict[str, Any]], None]


def distill(
    student: Student,
    teachers: Teacher | Sequence[WeightedTeacher],
    corpus: TokenCorpus,
    config: DistillConfig,
    folder: Path,
    *,
    vectors: Path | None = None,
    words: Words | None = None,
    ranks: Ranks | None = None,
    log: Log | None = None,
    deadline: float | None = None,
    until: int | None = None,
) -> Student:
    """Train the student, or go on training it from the checkpoint in `folder`.

    Ctrl-C leaves a checkpoint of the last whole step.

    Args:
        student: on the device of `ranks`, the same on every rank.
        teachers: one, whose tokens and pooled vectors are learnt; or several, the losses being
            added by their weights. The first is a `Teacher`, whose tokens the token head learns.
        vectors: a folder for what the teachers encode, so that no run encodes it again; None keeps
            nothing. It takes 2 bytes a dimension: for each token of a `Teacher`, as often again
            as it has layers where `config.layerwise` asks for them; for each text of an encoder.
        words: of the tokenizer, for passages of long texts to be told apart; None leaves that out.
        ranks: the processes that train together; this one alone if None.
        log: called on the leading rank with the step's figures, every ten steps.
        deadline: `time.monotonic()` at which to stop with a checkpoint, decayed or not; the
            leading rank's counts.
        until: tokens seen at which to do so; None is all of them.

    Returns:
        The same student, trained.

    Raises:
        CheckpointError: the checkpoint in `folder` is damaged, of another shape or other teachers.
        InputError: a teacher cannot be learnt from; or `torchrun` started several processes, and
            `ranks` is None.
    """
    if ranks is None:
        check_alone("distillation without ranks")
        ranks = Ranks(device=next(student.parameters()).device)
    members = [WeightedTeacher(teachers)] if isinstance(teachers, Teacher) else teachers
    ensemble = TeacherEnsemble(members, corpus, kept=vectors)
    folder.mkdir(parents=True, exist_ok=True)
    run = _Run(student, ensemble, corpus, config, folder, ranks, words)
    started, seen_before, last_save = time.monotonic(), run.seen, time.monotonic()
    student.train()
    end = config.tokens if until is None else min(until, config.tokens)
    stop = False
    with interrupted() as was_interrupted:
        while run.seen < end:
            figures = run.step()
            now = time.monotonic()
            if log is not None and ranks.leads and run.steps % 10 == 0:
                rate = (run.seen - seen_before) / (now - started)
                log({"step": run.steps, "seen": run.seen, "tokens_per_s": round(rate)} | figures)
            past_deadline = ranks.leads and deadline is not None and now >= deadline
            stop, past_deadline = ranks.any(was_interrupted(), past_deadline)
            if (
                stop
                or past_deadline
                or now - last_save >= config.checkpoint_seconds
                or run.seen >= end
            ):
                run.save()
                last_save = now
            if stop or past_deadline:
                break
        # A process that ends before the checkpoint is written may end the others, too.
        ranks.wait()
        if stop:
            raise KeyboardInterrupt
    return student.eval()


def tokens_seen(folder: Path) -> int:
    """Tokens that the run in `folder` had seen at its last checkpoint."""
    return int(torch.load(folder / "state.pt", weights_only=True, mmap=True)["seen"])


class _Run:
    """The state of a run, its steps, and its checkpoint."""

    def __init__(
        self,
        student: Student,
        ensemble: TeacherEnsemble,
        corpus: TokenCorpus,
        config: DistillConfig,
        folder: Path,
        ranks: Ranks,
        words: Words | None,
    ) -> None:
        self.student, self.ensemble, self.corpus, self.config = student, ensemble, corpus, config
        self.folder, self.ranks = folder, ranks
        self.words = words if config.needle_weight > 0 else None
        self.projections = nn.ParameterDict(
            {
                str(number): nn.Parameter(projection.to(ranks.device))
                for number, projection in enumerate(
                    ensemble.projections(student.dense_head.weight.shape[0])
                )
                if projection is not None
            }
        )
        settings = OptimiserSettings(adam=config.adam, muon=config.muon, embedding=config.embedding)
        trained_modules = nn.ModuleList([student, self.projections])
        self.optimisers = optimisers(trained_modules, student.trunk, settings)
        self.parameters: list[Tensor] = [p for p in trained_modules.parameters() if p.requires_grad]
        self._peaks = peak_rates(self.optimisers)
        self.steps = self.seen = 0
        self._consumed = {"text": 0, "pair": 0, "long": 0}
        state = read_state(folder)
        if state is None:
            self.axes = self._find_axes()
        else:
            self._load(state)
        self._streams: dict[str, Iterator[Any] | None] = {
            "text": batches(corpus, config.batch_tokens, seed=config.seed),
            "pair": pair_batches(corpus, config.pairs, seed=config.seed),
            "long": runs_of_texts(
                corpus, config.batch_tokens, seed=config.seed, odds=config.long_odds
            ),
        }
        for name, count in self._consumed.items():
            stream = self._streams[name]
            if stream is not None:
                next(islice(stream, count, count), None)

    def step(self) -> dict[str, float]:
        """One update of the weights; its figures."""
        progress, config = self.seen / self.config.tokens, self.config
        factor = warmup_stable_decay(progress, decay=config.decay)
        set_rates(self.optimisers, self._peaks, factor)
        with_pairs = progress >= config.pairs_from
        self.steps += 1
        if with_pairs and config.long_every and self.steps % config.long_every == 0:
            figures = self._step_on_long(self._next_batch("long"))
        else:
            figures = self._step_on_texts(
                self._next_batch("text"), config.layerwise if progress < 0.5 else 0.0
            )
            if with_pairs and self._streams["pair"] is not None:
                figures |= self._step_on_pairs(self._next_batch("pair"))
        self.ranks.sum_gradients(self.parameters)
        update(self.optimisers, self.parameters, 1.0)
        return {"lr": round(factor, 4)} | figures

    def _next_batch(self, name: str) -> Any:
        """The next batch of a stream, which is counted for the checkpoint."""
        stream = self._streams[name]
        assert stream is not None
        self._consumed[name] += 1
        return next(stream)

    def _step_on_texts(self, chosen: NDArray[np.int64], layerwise: float) -> dict[str, float]:
        """Backpropagate the distillation loss of a batch of texts."""
        local, share = self._local_share(self.corpus.lengths[chosen])
        outputs = self.ensemble.of_texts(chosen[local], states=layerwise > 0)
        texts = [self.corpus[int(text)] for text in chosen[local]]
        self.seen += int(self.corpus.lengths[chosen].sum())
        return self._learn(texts, outputs, layerwise, share)

    def _step_on_long(self, runs: list[NDArray[np.int64]]) -> dict[str, float]:
        """Backpropagate the losses of long texts."""
        # Joining drops [SEP] of each window but a run's last, and [CLS] of each but the first.
        lengths = np.array([self.corpus.lengths[run].sum() - 2 * (len(run) - 1) for run in runs])
        local, share = self._local_share(lengths)
        local_runs = [runs[number] for number in local]
        if self.words is None:
            long_texts, outputs = self.ensemble.of_long(local_runs)
            self.seen += int(lengths.sum())
            figures = self._learn(long_texts.texts, outputs, 0.0, share)
        else:
            # A run has the same passages whichever process reads it.
            needles = [
                hide_needles(
                    self.corpus, runs[number], self.words, [self.config.seed, self.steps, number]
                )
                for number in local.tolist()
            ]
            figures = self._learn_with_needles(local_runs, needles, share)
            self.seen += 2 * int(lengths.sum())
        return {f"long_{name}": value for name, value in figures.items()}

    def _learn_with_needles(
        self, runs: list[NDArray[np.int64]], needles_of_runs: list[Needles], share: Share
    ) -> dict[str, float]:
        """Distil long texts, and tell their passages from changed ones."""
        long_texts, outputs = self.ensemble.of_long(
            runs, [needles.original for needles in needles_of_runs]
        )
        changed = join_windows([needles.changed for needles in needles_of_runs]).texts
        queries = [needles.queries for needles in needles_of_runs]
        texts = [*long_texts.texts, *changed, *itertools.chain.from_iterable(queries)]
        out = self._output(*flatten(texts, self.ranks.device))
        count, rows = len(long_texts.texts), sum(map(len, long_texts.texts))
        first = Output(out.hidden[:rows], out.dense[:count], out.tokens[:rows], [])
        layout = Layout.of([len(text) for text in long_texts.texts], self.ranks.device)
        # Shares of the whole step: inserted passages make some texts longer than others.
        query_count, token_count = (sum(map(len, queries)), rows) if share.texts else (0, 0)
        totals = torch.tensor([query_count, token_count], device=self.ranks.device)
        all_queries, all_tokens = self.ranks.sum(totals).tolist()
        share = Share(token_count / all_tokens, share.texts)
        loss, parts = self._distance(first, outputs, layout, 0.0, share)
        needle_part = ahead_part = loss.new_zeros(())
        if query_count:
            vectors = torch.split(out.tokens.float(), [len(text) for text in texts])
            query_vectors = iter(vectors[2 * count :])
            needle_part, ahead_part = needle_loss(
                [list(islice(query_vectors, len(run_queries))) for run_queries in queries],
                [[self._query_weights(query) for query in run_queries] for run_queries in queries],
                vectors[:count],
                vectors[count : 2 * count],
            )
            loss = loss + self.config.needle_weight * query_count / all_queries * needle_part
            needle_part, ahead_part = (
                query_count / all_queries * needle_part,
                query_count / all_queries * ahead_part,
            )
        torch.autograd.backward(loss)
        return self._sum_figures(parts | {"needle": needle_part, "ahead": ahead_part})

    def _query_weights(self, query: NDArray[Any]) -> Tensor:
        """The weight of each token of a query in a search: f32 [l], 1 on average."""
        if self.student.query_token_weights is None:
            return torch.ones(len(query), device=self.ranks.device)
        weights = self.student.query_token_weights[torch.from_numpy(query.astype(np.int64))]
        return weights / weights.mean()

    def _local_share(self, lengths: NDArray[np.int64]) -> tuple[NDArray[np.int64], Share]:
        """Indices of the texts that this process reads, and their share of the step.

        A process without a share reads the first text with a weight of 0, so that every process has
        the same figures to sum.
        """
        if self.ranks.count == 1:
            return np.arange(len(lengths)), WHOLE
        local = self.ranks.share(len(lengths))
        if not len(local):
            return np.zeros(1, np.int64), Share(0.0, 0.0)
        return local, Share(float(lengths[local].sum() / lengths.sum()), len(local) / len(lengths))

    def _learn(
        self,
        texts: list[NDArray[Any]],
        outputs: list[TeacherOutput],
        layerwise: float,
        share: Share,
    ) -> dict[str, float]:
        """Backpropagate the distillation loss of some texts; the step's figures."""
        ids, layout = flatten(texts, self.ranks.device)
        loss, parts = self._distance(self._output(ids, layout), outputs, layout, layerwise, share)
        torch.autograd.backward(loss)
        return self._sum_figures(parts)

    def _output(self, ids: Tensor, layout: Layout) -> Output:
        with torch.autocast(self.ranks.device.type, dtype=torch.bfloat16):
            out: Output = self.student(ids, layout)
        return out

    def _distance(
        self,
        out: Output,
        outputs: list[TeacherOutput],
        layout: Layout,
        layerwise: float,
        share: Share,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The teachers' losses of the student's output, and their parts."""
        projections = [self.projections.get(str(number), None) for number in range(len(outputs))]
        return teachers_loss(
            out,
            outputs,
            [member.weight for member in self.ensemble.members],
            projections,
            layout,
            self.axes,
            layerwise=layerwise,
            share=share,
        )

    def _step_on_pairs(self, pairs: NDArray[np.int64]) -> dict[str, float]:
        """Backpropagate the losses of pairs: distillation, contrast, and the teachers' ranking."""
        count, texts = len(pairs), pairs.T.reshape(-1)
        lengths = self.corpus.lengths[texts]
        local, share = self._local_share(lengths[:count] + lengths[count:])
        # Separately, since a teacher pads: queries padded to the length of texts would cost most.
        outputs_by_side = (self.ensemble.of_texts(side[local]) for side in pairs.T)
        outputs = [
            query.followed_by(answer) for query, answer in zip(*outputs_by_side, strict=True)
        ]
        local_texts = np.concatenate([local, local + count])
        ids, layout = flatten(
            [self.corpus[int(text)] for text in texts[local_texts]], self.ranks.device
        )
        out = self._output(ids, layout)
        anchor, _ = self._distance(out, outputs, layout, 0.0, share)

        counted_texts = local_texts if share.texts else local_texts[:0]
        layout_of_all = Layout.of(lengths.tolist(), self.ranks.device)
        gather = Gather(self.ranks, counted_texts, lengths)
        weights = [member.weight for member in self.ensemble.members]
        with torch.no_grad():
            all_outputs = [gather.teacher_output(output) for output in outputs]
            ranking_targets = teacher_scores(all_outputs, weights, layout_of_all, count)
        contrast, ranking = pair_losses(
            gather.texts(out.dense), gather.tokens(out.tokens), ranking_targets, layout_of_all
        )
        loss = 0.5 * anchor
        loss = loss + self.config.pair_weight * torch.stack(list(contrast.values())).sum()
        loss = loss + self.config.rank_weight * torch.stack(list(ranking.values())).sum()
        torch.autograd.backward(loss)
        self.seen += int(lengths.sum())
        return _rounded(contrast | ranking)

    def _sum_figures(self, parts: dict[str, Tensor]) -> dict[str, float]:
        """The figures of the whole step, from this process's part of them."""
        summed = self.ranks.sum(torch.stack([part.detach() for part in parts.values()]))
        return _rounded(dict(zip(parts, summed, strict=True)))

    def _find_axes(self) -> Tensor:
        """The axes of the token head's targets; the leading rank computes them on random texts."""
        config, head = self.config, self.student.token_head
        sample = batches(self.corpus, config.batch_tokens, seed=config.seed + 1)
        texts = [[self.corpus[int(i)] for i in next(sample)] for _ in range(12)]
        width, teacher = head.skip.out_features, self.ensemble.first
        axes = torch.zeros(width, self.ensemble.members[0].width, device=self.ranks.device)
        if self.ranks.leads and config.axes == "fitted":
            axes += fitted_axes(self.student, teacher, texts).to(axes.device)
        elif self.ranks.leads:
            axes += principal_axes(teacher, texts, width).to(axes.device)
        self.ranks.sum(axes)
        if config.axes == "principal":
            with torch.no_grad():
                first_projection = self.projections.get("0", None)
                student_axes = axes if first_projection is None else axes @ first_projection
                head.skip.weight.copy_(student_axes @ self.student.dense_head.weight)
        return axes

    def save(self) -> None:
        """Write a checkpoint atomically."""
        self.ensemble.commit()
        if not self.ranks.leads:
            return
        state = {
            "student": self.student.state_dict(),
            "projections": self.projections.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "axes": self.axes,
            "steps": self.steps,
            "seen": self.seen,
            "drawn": self._consumed,
        }
        save_state(self.folder, self._settings(), state)
        text = json.dumps(asdict(self.config), indent=2)
        write_whole(self.folder / "config.json", text + "\n")

    def _settings(self) -> dict[str, Any]:
        return {"teachers": self.ensemble.settings()}

    def _load(self, state: dict[str, Any]) -> None:
        # States from before there were several teachers do not name theirs.
        if "settings" in state:
            check_settings(self.folder / STATE_FILE, state, self._settings())
        try:
            self.student.load_state_dict(state["student"])
            self.projections.load_state_dict(state.get("projections", {}))
            for optimiser, optimiser_state in zip(
                self.optimisers, state["optimisers"], strict=True
            ):
                optimiser.load_state_dict(optimiser_state)
            self.axes = state["axes"].to(self.ranks.device)
            self.steps, self.seen = int(state["steps"]), int(state["seen"])
            self._consumed = dict(state["drawn"])
        except (RuntimeError, KeyError, ValueError, EOFError) as error:
            raise CheckpointError(
                f"{self.folder / 'state.pt'} does not fit this run "
                f"({str(error).splitlines()[0]}): "
                "expected a checkpoint of the same shape; choose another folder or remove it"
            ) from None


def _rounded(parts: dict[str, Tensor]) -> dict[str, float]:
    """The values as numbers of four digits, for the log."""
    return {name: round(float(part.detach()), 4) for name, part in parts.items()}
