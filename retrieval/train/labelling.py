"""Fitting a classification head to a ModernBERT: for whole texts, or for entities in them.

First a linear probe: the head's last layer is fitted to the unchanged network. Then the whole
    network is trained, except the token embeddings. The result is a folder of transformers'
    `ModernBertForSequenceClassification` or `ModernBertForTokenClassification`.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from retrieval.encoders.checkpoints import Folder, open_folder, read_checkpoint
from retrieval.encoders.checkpoints.classification import (
    LabelCheckpoint,
    is_classifier,
    read,
    write,
)
from retrieval.encoders.classifier import Classifier, first_tokens
from retrieval.encoders.embedded import embedded_folder
from retrieval.encoders.model.label_head import LabelNetwork, Pooling
from retrieval.encoders.runtimes.torch import choose_device
from retrieval.encoders.sides import Side, SideReader
from retrieval.encoders.tokenization import special_tokens
from retrieval.encoders.words import entities_of
from retrieval.errors import InputError
from retrieval.eval.labels import accuracy, entity_f1, macro_f1
from retrieval.files.given import StrPath
from retrieval.train.label_data import Labelled
from retrieval.train.linear_probe import fit_last_map
from retrieval.train.precision import autocast
from retrieval.train.processes import check_alone
from retrieval.train.run_folder import TRAINING, begin, writable, write_json
from retrieval.train.student import flatten
from retrieval.train.trainer import Step, Trainer
from retrieval.types import ProgressCallback, ProgressUpdate

REPORT = "training.json"
_EPOCHS, _MOST_EPOCHS = 3, 20
_STEPS = 600
"""With fewer steps, labels with few texts are not learnt; see docs/training.md for figures."""
_RATES = {"texts": 2e-4, "entities": 1e-3}
"""Peak learning rates, for networks of the embedded model's size. A network trained for search has
to learn anew what names are and where they end: docs/decisions/entities.md has the figures."""
_IGNORED = -100
"""Label that cross-entropy ignores: for tokens that do not begin a word."""


@dataclass(frozen=True, slots=True)
class LabelOptions:
    """Options of a run.

    Attributes:
        epochs: how often each text is seen; used if `minutes` is None. With 0 the network stays as
            it is, and only the head's last layer is fitted: a linear probe. None is 3, or for few
            texts more, up to 20, until there are 600 steps.
        minutes: about how long the training itself takes, from the speed of its first steps.
        batch: texts per step.
        rate: peak learning rate; None is 2e-4 for labels of texts, 1e-3 for labels of words.
        max_tokens: maximum tokens of a text, special tokens included.
        pooling: how a text's hidden vectors are pooled, for labels of texts.
        checkpoint_seconds: time between two checkpoints.
    """

    epochs: float | None = None
    minutes: float | None = None
    batch: int = 16
    rate: float | None = None
    max_tokens: int = 512
    pooling: Pooling = "mean"
    seed: int = 0
    checkpoint_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class LabelReport:
    """The result of a run.

    Attributes:
        kind: whether texts or entities have labels.
        figures: on the held-out texts: accuracy and macro_f1, or precision, recall and f1 of
            entities; empty if none were held out.
        seconds: from the start of the last run to its end.
        losses: losses of the last step.
    """

    model: str
    kind: Literal["texts", "entities"]
    start: str
    data: str
    labels: tuple[str, ...]
    train_texts: int
    held_out: int
    figures: dict[str, float]
    steps: int
    seconds: float
    losses: dict[str, float]
    notes: tuple[str, ...]


class LabelTrainer(Trainer[LabelNetwork]):
    """A network with a classification head, and its training texts."""

    def __init__(
        self,
        network: LabelNetwork,
        texts: Sequence[NDArray[np.int64]],
        targets: Sequence[NDArray[np.int64]],
        options: LabelOptions,
        steps: int,
    ) -> None:
        """Set token ids and targets.

        Args:
            texts: i64 [t], token ids of each text.
            targets: i64, the label of each text [1] or of each of its tokens [t], -100 for none.
        """
        # Otherwise frequent words would move, but rare ones would not.
        network.model.embeddings.tok_embeddings.weight.requires_grad_(False)
        super().__init__(
            network,
            steps=steps,
            rate=_RATES["texts" if network.pooling else "entities"]
            if options.rate is None
            else options.rate,
            checkpoint_seconds=options.checkpoint_seconds,
        )
        self._texts, self._targets = texts, targets
        self._batch, self._seed = min(options.batch, len(texts)), options.seed

    def gradients(self, step: int) -> dict[str, float]:
        """Cross-entropy of a batch; each text occurs at most once per epoch."""
        epoch, place = divmod(step, len(self._texts) // self._batch)
        order = np.random.default_rng([self._seed, epoch]).permutation(len(self._texts))
        chosen = order[place * self._batch : (place + 1) * self._batch].tolist()
        ids, layout = flatten([self._texts[at] for at in chosen], self.device)
        targets = torch.from_numpy(np.concatenate([self._targets[at] for at in chosen]))
        with autocast(self.device):
            logits = self.model(ids, layout)
        targets = targets.to(self.device)
        summed = F.cross_entropy(logits.float(), targets, ignore_index=_IGNORED, reduction="sum")
        loss = summed / (targets != _IGNORED).sum().clamp(min=1)
        torch.autograd.backward(loss)
        return {"label": float(loss.detach())}


def fit_labels(
    data: Labelled,
    held_out: Labelled | None,
    out: StrPath,
    *,
    start: str | Path | None = None,
    options: LabelOptions | None = None,
    device: str | None = None,
    progress: ProgressCallback | None = None,
) -> LabelReport:
    """Fit a head to labelled texts, and the network with it, and write both into a folder.

    Ctrl-C leaves a checkpoint, from which the same call continues.

    Args:
        held_out: texts to measure on, of the same kind as the data.
        out: new, empty, or with an unfinished run of the same data and options.
        start: folder or Hub id of any ModernBERT, or of a classifier with the same labels to
            continue training; None is the embedded model.

    Raises:
        InputError: there are fewer than two different labels, or a folder cannot be used.
        CheckpointError: the starting model cannot be used.
    """
    began = time.monotonic()
    check_alone("fitting a head")
    options = options or LabelOptions()
    held_out = held_out or None
    labels = _check(data, held_out)
    out = Path(out)
    work = out / TRAINING
    folder = open_folder(embedded_folder() if start is None else start)
    identity = {
        "task": hashlib.sha256(repr((data, held_out)).encode("utf-8", "replace")).hexdigest(),
        "start": str(folder.path),
        "options": asdict(options),
    }
    with writable(out):
        begin(out, work, json.loads(json.dumps(identity)))
    checkpoint, fitted = _starting(folder, data, labels, options)
    network = checkpoint.network.to(choose_device(device))
    texts, targets = _targets(data, checkpoint)
    state = work / "state.safetensors"
    if not fitted and not state.exists():
        fit_last_map(network, texts, targets, seed=options.seed)
    trainer = LabelTrainer(network, texts, targets, options, steps=1)
    plan = work / "steps.json"
    if not plan.exists():
        write_json(plan, _steps(trainer, len(data), options))
    trainer.steps = int(json.loads(plan.read_text(encoding="utf-8")))
    last: dict[str, float] = {}

    def tell(step: Step) -> None:
        last.update(step.losses)
        if progress is not None:
            stage = f"training: loss {step.losses['label']:.3f}"
            left = step.seconds_left
            progress(ProgressUpdate(stage, step.step, step.steps, "steps", left))

    trainer.run(state, on_step=tell)
    write(out, checkpoint)
    figures = {}
    if held_out is not None:
        figures = measured(Classifier(checkpoint, device=device), held_out)
    report = LabelReport(
        model=str(out),
        kind="entities" if data.by_token else "texts",
        start=checkpoint.name,
        data=data.name,
        labels=labels,
        train_texts=len(data),
        held_out=0 if held_out is None else len(held_out),
        figures=figures,
        steps=trainer.steps,
        seconds=round(time.monotonic() - began, 1),
        losses=last,
        notes=data.notes,
    )
    write_json(out / REPORT, asdict(report))
    shutil.rmtree(work)
    return report


def measured(classifier: Classifier, data: Labelled) -> dict[str, float]:
    """Measure a classifier on texts with labels.

    Returns:
        `accuracy` and `macro_f1`; for entities `precision`, `recall` and `f1`, as in seqeval.
    """
    if not data.by_token:
        found = classifier.labels_of(data.texts)
        return {"accuracy": accuracy(data.labels, found), "macro_f1": macro_f1(data.labels, found)}
    tags = classifier.tags(data.texts, data.words)
    given = [entities_of(*one) for one in zip(data.words, data.tags, strict=True)]
    made = [entities_of(*one) for one in zip(data.words, tags, strict=True)]
    return entity_f1(given, made)


def _check(data: Labelled, held_out: Labelled | None) -> tuple[str, ...]:
    """The labels to learn."""
    labels = data.names
    if len(labels) < 2:
        raise InputError(
            f"{data.name} has {'no entity' if data.by_token else f'one label, {labels[0]!r}'}; "
            "expected at least two labels, or entities"
        )
    if held_out is not None and held_out.by_token != data.by_token:
        raise InputError(f"{held_out.name} has labels of another kind than {data.name}")
    if len(data) < 2:
        raise InputError(f"{data.name} has one text to learn from; expected more")
    return labels


def _starting(
    folder: Folder, data: Labelled, labels: tuple[str, ...], options: LabelOptions
) -> tuple[LabelCheckpoint, bool]:
    """The checkpoint to train, and whether it is already a classifier."""
    if is_classifier(folder):
        known = read(folder)
        if (set(known.labels), known.network.pooling is None) != (set(labels), data.by_token):
            raise InputError(
                f"{folder.name} labels {', '.join(known.labels[:5])}, the data have "
                f"{', '.join(labels[:5])}; begin with a model without a head"
            )
        return known, True
    source = read_checkpoint(folder)
    trunk = source.network.trunk
    longest = min(options.max_tokens, trunk.config.max_positions)
    network = LabelNetwork(trunk, len(labels), pooling=None if data.by_token else options.pooling)
    network.initialise_head(options.seed)
    return LabelCheckpoint(source.name, network, labels, source.tokenizer, longest), False


def _targets(
    data: Labelled, checkpoint: LabelCheckpoint
) -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]:
    """Token ids of each text, and the labels of the text or of its tokens."""
    numbers = {label: at for at, label in enumerate(checkpoint.labels)}
    reader = SideReader(checkpoint.tokenizer, Side(checkpoint.max_tokens))
    texts = [sequence.ids for sequence in reader.read(data.texts)]
    if not data.by_token:
        return texts, [np.array([numbers[label]]) for label in data.labels]
    before, behind = (len(ids) for ids in special_tokens(checkpoint.tokenizer))
    targets = []
    for ids, text, words, tags in zip(texts, data.texts, data.words, data.tags, strict=True):
        own = np.full(len(ids), _IGNORED, np.int64)
        firsts = first_tokens(checkpoint.tokenizer, text, words, len(ids)).tolist()
        for token, tag in zip(firsts, tags, strict=True):
            if 0 <= token < len(ids) - before - behind:
                own[before + token] = numbers[tag]
        targets.append(own)
    return texts, targets


def _steps(trainer: LabelTrainer, texts: int, options: LabelOptions) -> int:
    if options.minutes is not None:
        return max(1, int(60 * options.minutes / trainer.seconds_per_step()))
    an_epoch = texts // min(options.batch, texts)
    if options.epochs is not None:
        return math.ceil(options.epochs * an_epoch)
    return max(_EPOCHS * an_epoch, min(_STEPS, _MOST_EPOCHS * an_epoch))
