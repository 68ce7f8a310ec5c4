"""Fitting a model to a task: from the data to a model folder with its figures before and after.

    index     the task's documents, with the starting model
    before    the starting model's figures on the held-out queries
    mine      candidates of the train queries, a teacher's scores of them
    train     `retrieval.train.finetune`
    after     the trained model's figures, measured on the exported files

Each part is kept under `OUT/.training` until the model is complete; a restarted run continues from
there. The better of the starting and the trained model is exported.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from retrieval.encoders import load_encoder
from retrieval.encoders.checkpoints import detect, open_folder
from retrieval.encoders.checkpoints.tokenizer import token_ids
from retrieval.encoders.embedded import embedded_folder
from retrieval.encoders.model_folder import (
    CONFIG_FILE,
    GRAPH_FILE,
    SECTION,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
    ModelSettings,
    fingerprint,
    read_config,
)
from retrieval.encoders.runtimes.torch import choose_device
from retrieval.encoders.sides import Side, SideReader
from retrieval.encoders.tokenization import load_tokenizer
from retrieval.errors import CheckpointError, IndexNotFound, InputError
from retrieval.files.given import StrPath
from retrieval.index import Index
from retrieval.train.candidates import data_scores, own_scores, teacher_scores
from retrieval.train.card import write_card
from retrieval.train.finetune import Example, Examples, FinetuneConfig, Finetuner
from retrieval.train.heldout import Figures, measure, score
from retrieval.train.mining import Mined, mine, text_of
from retrieval.train.processes import check_alone
from retrieval.train.run_folder import TRAINING, begin, writable, write_json
from retrieval.train.student import Student, export_like
from retrieval.train.task import Task
from retrieval.train.teachers import Kind, load_teacher
from retrieval.train.trainer import Step
from retrieval.types import Document, Encoder, ProgressCallback, ProgressUpdate

"""The folder, within the model's, of an unfinished run."""

REPORT = "training.json"

MINED = 16
"""Hard negatives kept for each query, from which steps draw."""

LEAST_QUERIES = 8
"""Minimum number of queries to learn from."""

_MODEL_FILES = (CONFIG_FILE, TOKENIZER_FILE, WEIGHTS_FILE, GRAPH_FILE)


@dataclass(frozen=True, slots=True)
class AdaptOptions:
    """Options of a run.

    Attributes:
        epochs: how often each query is seen; used if `minutes` is None.
        minutes: about how long the training itself takes, from the speed of its first steps.
        batch: queries per step.
        negatives: hard negatives per query in a step.
        rate: peak learning rate.
        passage_tokens: maximum length of passages.
        teachers: folders or Hub ids; empty is the starting model.
        scores: which scores of a teacher to learn.
    """

    epochs: float = 3.0
    minutes: float | None = None
    batch: int = 16
    negatives: int = 3
    rate: float = 2e-4
    passage_tokens: int = 256
    teachers: tuple[str, ...] = ()
    scores: Kind = "hybrid"
    seed: int = 0


@dataclass(frozen=True, slots=True)
class AdaptReport:
    """The result of a run.

    Attributes:
        kept: which model was exported.
        measured_on: description of the held-out queries.
        train_queries: number of training queries.
        seconds: from the start of the last run to its end.
        losses: losses of the last step.
    """

    model: Path
    kept: Literal["trained", "start"]
    start: str
    data: str
    before: Figures
    after: Figures
    measured_on: str
    held_out: int
    documents: int
    train_queries: int
    steps: int
    seconds: float
    losses: dict[str, float]
    notes: tuple[str, ...]


def adapt(
    task: Task,
    out: StrPath,
    *,
    start: StrPath,
    options: AdaptOptions,
    device: str | None = None,
    cache: StrPath | None = None,
    progress: ProgressCallback | None = None,
) -> AdaptReport:
    """Fit a model to a task and write it into the folder `out`.

    Args:
        out: new, empty, or with an unfinished run of the same task and options.
        start: a model folder of this package.
        device: torch's name of the device; None is CUDA if available, else the CPU.
        cache: caches indexes, candidates and teachers' vectors for other runs; None keeps them
            within `out` until the run is done.
        progress: called in every part of the run.

    Raises:
        InputError: the task is too small, a folder cannot be used, or holds another run.
        CheckpointError: the starting model or a teacher cannot be used.
    """
    began = time.monotonic()
    check_alone("fine-tuning")
    _check_task(task)
    out = Path(out)
    kept = None if cache is None else Path(cache)
    run = _Run(task, out, Path(start), options, device, kept, progress)
    report = run.run()
    report["seconds"] = round(time.monotonic() - began, 1)
    finished = AdaptReport(**report)
    write_json(out / REPORT, _plain(finished))
    write_card(finished, options)
    shutil.rmtree(out / TRAINING)
    return finished


def starting_model(source: str | None) -> Path:
    """The folder of a model to start from; None is the embedded model.

    Raises:
        CheckpointError: there is none, or it is not a model of this package.
    """
    folder = open_folder(embedded_folder() if source is None else source)
    kind = detect(folder)
    if kind != "own":
        raise CheckpointError(
            f"{source}: a checkpoint in the format of {kind}, training begins with a model of this "
            "package; leave --from out for the embedded model, or make this one the --teacher"
        )
    lacking = next((name for name in _MODEL_FILES if not folder.has(name)), None)
    if lacking:
        raise CheckpointError(f"{folder.path / lacking}: not there: is this a whole model folder?")
    return folder.path


def _check_task(task: Task) -> None:
    if len(task.train) < LEAST_QUERIES:
        raise InputError(
            f"{task.name} has {len(task.train):,} queries to learn from"
            + (f" ({'; '.join(task.notes)})" if task.notes else "")
            + f", expected {LEAST_QUERIES} or more"
        )
    if not task.held_out:
        raise InputError(
            f"{task.name} has no query to measure on: add a dev split, or more train queries "
            "than the few that are needed to learn from"
        )


class _Run:
    """The parts of one run, each done once."""

    def __init__(
        self,
        task: Task,
        out: Path,
        start: Path,
        options: AdaptOptions,
        device: str | None,
        cache: Path | None,
        progress: ProgressCallback | None,
    ) -> None:
        self.task, self.out, self.start, self.options = task, out, start, options
        self.device = choose_device(device)
        self.progress = progress
        self.fingerprint = fingerprint(start)
        self.work = out / TRAINING
        self.cache = cache or self.work
        task_key = task.digest()
        identity = {"task": task_key, "start": self.fingerprint, "options": asdict(options)}
        with writable(out):
            begin(out, self.work, json.loads(json.dumps(identity)))
        with writable(self.cache):
            self.cache.mkdir(parents=True, exist_ok=True)
        key = f"{task_key} {options.passage_tokens}"
        self._corpus_key = hashlib.sha256(key.encode()).hexdigest()[:16]

    def run(self) -> dict[str, Any]:
        """All fields of the report except its time."""
        started = self._encoder(self.start)
        with self._index(started) as index:
            before = self._once("before", lambda: self._measured(index, "measuring the start"))
            found = self._mined(index)
        examples, notes = self._examples(found)
        trained, steps, losses = self._train(examples)
        with self._index(self._encoder(trained)) as index:
            after = self._once("after", lambda: self._measured(index, "measuring"))
        better = score(after) > score(before)
        chosen = trained if better else self.start
        for name in _MODEL_FILES:
            shutil.copyfile(chosen / name, self.out / name)
        return {
            "model": self.out,
            "kept": "trained" if better else "start",
            "start": str(started.name),
            "data": self.task.name,
            "before": before,
            "after": after,
            "measured_on": self.task.measured_on,
            "held_out": len(self.task.held_out),
            "documents": len(self.task.documents),
            "train_queries": len(examples),
            "steps": steps,
            "losses": losses,
            "notes": (*self.task.notes, *notes),
        }

    def _encoder(self, source: str | Path) -> Encoder:
        """The encoder; on the CPU our own models use the same runtime as in an index."""
        return load_encoder(source, device=None if self.device.type == "cpu" else str(self.device))

    @contextlib.contextmanager
    def _index(self, encoder: Encoder) -> Iterator[Index]:
        """The task's documents, indexed with an encoder; an unfinished index is completed."""
        folder = self.cache / f"index-{self._corpus_key}-{encoder.fingerprint[:16]}"
        tokens = min(self.options.passage_tokens, encoder.max_tokens)
        try:
            opened = Index.open(folder, encoder=encoder)
        except IndexNotFound:
            opened = Index.create(folder, encoder=encoder, passage_tokens=tokens)
        with opened as index:
            index.add(self._counted())
            yield index

    def _counted(self) -> Iterator[Document]:
        total = len(self.task.documents)
        for number, document in enumerate(self.task.documents, start=1):
            yield document
            if self.progress is not None:
                self.progress(ProgressUpdate("indexing", number, total, "documents"))

    def _mined(self, index: Index) -> list[Mined]:
        path = self.cache / f"candidates-{self._corpus_key}-{self.fingerprint[:16]}.jsonl"
        return mine(index, self.task, path, negatives=MINED, progress=self.progress)

    def _examples(self, found: Sequence[Mined]) -> tuple[Examples, list[str]]:
        whole = [mined for mined in found if mined.negatives]
        if len(whole) < LEAST_QUERIES:
            raise InputError(
                f"only {len(whole):,} queries of {self.task.name} have both an answer and other "
                f"texts to tell it from, expected {LEAST_QUERIES} or more: give more documents"
            )
        notes = []
        if len(whole) < len(self.task.train):
            left = len(self.task.train) - len(whole)
            notes.append(f"{left:,} train queries without an answer or without negatives left out")
        if self.options.teachers:
            teachers = [
                load_teacher(
                    source,
                    self.cache / "teachers",
                    encoder=self._encoder,
                    device=str(self.device),
                )
                for source in self.options.teachers
            ]
            scores = teacher_scores(
                whole, self.task, teachers, self.options.scores, progress=self.progress
            )
        else:
            scores = [own_scores(mined, self.options.scores) for mined in whole]
        numbers: dict[str, int] = {}

        def number(text: str) -> int:
            return numbers.setdefault(text, len(numbers))

        rows = []
        for mined, theirs in zip(whole, scores, strict=True):
            given = data_scores(mined, self.task)
            chosen = theirs if given is None else given
            if not self.task.pseudo:
                chosen[: len(mined.positives)] = 1.0  # human judgements outweigh a teacher
            positives, negatives = (
                tuple(number(text_of(candidate, self.task.documents)) for candidate in own)
                for own in (mined.positives, mined.negatives)
            )
            rows.append(Example(self.task.queries[mined.query], positives, negatives, chosen))
        return Examples(rows, list(numbers)), notes

    def _train(self, examples: Examples) -> tuple[Path, int, dict[str, float]]:
        """The trained model's folder, its steps, and the losses of the last one."""
        model = self.work / "model"
        done = self.work / "trained.json"
        if done.exists():
            state = json.loads(done.read_text(encoding="utf-8"))
            return model, state["steps"], state["losses"]
        student = Student.from_folder(self.start).to(self.device)
        raw = read_config(self.start)
        settings = ModelSettings.from_dict(raw[SECTION], max_positions=student.config.max_positions)
        readers = self._readers(settings, student)
        plan = self.work / "steps.json"
        if not plan.exists():
            write_json(plan, self._steps(student, examples, readers))
        config = self._config(json.loads(plan.read_text(encoding="utf-8")), examples)
        last: dict[str, float] = {}

        def tell(step: Step) -> None:
            last.update(step.losses)
            if self.progress is not None:
                losses = "  ".join(f"{name} {value:.3f}" for name, value in step.losses.items())
                stage, left = f"training: {losses}", step.seconds_left
                self.progress(ProgressUpdate(stage, step.step, step.steps, "steps", left))

        tuner = Finetuner(student, examples, config, query=readers[0], document=readers[1])
        tuner.run(self.work / "state.safetensors", on_step=tell)
        export_like(model, student, self.start, name=self.out.resolve().name)
        write_json(done, {"steps": config.steps, "losses": last})
        return model, config.steps, last

    def _readers(self, settings: ModelSettings, student: Student) -> tuple[SideReader, SideReader]:
        tokenizer = load_tokenizer(self.start / TOKENIZER_FILE)
        skipped = token_ids(tokenizer, settings.token_skiplist)
        counts = student.query_token_weights
        query = Side(
            settings.query_max_tokens,
            settings.query_prefix,
            weights=None if counts is None else counts.cpu().numpy(),
        )
        document = Side(settings.max_tokens, settings.document_prefix, skipped=skipped)
        return SideReader(tokenizer, query), SideReader(tokenizer, document)

    def _steps(
        self, student: Student, examples: Examples, readers: tuple[SideReader, SideReader]
    ) -> int:
        """The number of steps: from the epochs, or as many as the minutes allow."""
        config = self._config(1, examples)
        if self.options.minutes is None:
            return max(1, math.ceil(self.options.epochs * (len(examples) // config.batch)))
        tuner = Finetuner(student, examples, config, query=readers[0], document=readers[1])
        return max(1, int(60 * self.options.minutes / tuner.seconds_per_step()))

    def _config(self, steps: int, examples: Examples) -> FinetuneConfig:
        options = self.options
        return FinetuneConfig(
            steps=steps,
            batch=min(options.batch, len(examples)),
            negatives=options.negatives,
            rate=options.rate,
            # Without labels there is little to gain and much to lose, so vectors are anchored.
            anchor_weight=1.0 if self.task.pseudo else 0.0,
            seed=options.seed,
        )

    def _once(self, name: str, make: Callable[[], Figures]) -> Figures:
        path = self.work / f"{name}.json"
        if not path.exists():
            write_json(path, make())
        figures: Figures = json.loads(path.read_text(encoding="utf-8"))
        return figures

    def _measured(self, index: Index, stage: str) -> Figures:
        return measure(index, self.task, stage=stage, progress=self.progress)


def _plain(report: AdaptReport) -> dict[str, Any]:
    return asdict(report) | {"model": report.model.resolve().name}
