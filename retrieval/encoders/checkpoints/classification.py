"""Classifiers as transformers saves them: `ModernBertForSequenceClassification`, `...Token...`.

What is read: one label a text, or one a token. Regression, several labels a text and other
architectures are refused.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer

from retrieval.encoders.checkpoints.folder import Folder
from retrieval.encoders.checkpoints.tokenizer import longest_text, read_tokenizer
from retrieval.encoders.checkpoints.transformers import build_trunk, read_config
from retrieval.encoders.checkpoints.weights import WEIGHTS, fill, read_tensors
from retrieval.encoders.model.label_head import LabelNetwork, Pooling
from retrieval.encoders.tokenization import tokenizer_config
from retrieval.errors import CheckpointError
from retrieval.files.whole import write_whole

TEXTS = "ModernBertForSequenceClassification"
TOKENS = "ModernBertForTokenClassification"


@dataclass(frozen=True, slots=True, eq=False)
class LabelCheckpoint:
    """A classifier, read and checked.

    Attributes:
        name: to show: a folder or a Hub id.
        labels: their names, in the order of the logits.
        max_tokens: the longest text, special tokens included.
    """

    name: str
    network: LabelNetwork
    labels: tuple[str, ...]
    tokenizer: Tokenizer
    max_tokens: int


def is_classifier(folder: Folder) -> bool:
    """Whether config.json names one of the two architectures."""
    return folder.architectures[:1] in ([TEXTS], [TOKENS])


def read(folder: Folder) -> LabelCheckpoint:
    """Read a classifier, in f32 on the CPU.

    Raises:
        CheckpointError: a file is missing or broken, or it is none of the two.
        NotNative: it is no ModernBERT.
    """
    config = read_config(folder)
    raw = folder.object("config.json")
    made_for = next(iter(folder.architectures), "network of no stated purpose")
    if not is_classifier(folder):
        raise CheckpointError(
            f"{folder.name}: a {made_for}, which gives no labels; expected {TEXTS} or {TOKENS}"
        )
    kind = raw.get("problem_type") or "single_label_classification"
    if kind != "single_label_classification":
        raise CheckpointError(
            f"{folder.name}: made for {kind}; expected one label for each text or token"
        )
    pooling: Pooling | None = None
    if made_for == TEXTS:
        said = raw.get("classifier_pooling") or "cls"
        if said not in ("cls", "mean"):
            raise CheckpointError(f"{folder.name}: pools by {said!r}, expected cls or mean")
        pooling = "cls" if said == "cls" else "mean"
    tensors = read_tensors(folder)
    trunk = build_trunk(config, tensors, folder.name)
    labels = _labels(folder)
    with torch.device("meta"):
        network = LabelNetwork(trunk, len(labels), pooling=pooling)
    fill(network, tensors, folder.name)
    tokenizer, _ = read_tokenizer(folder, config.vocab_size)
    longest = longest_text(folder, config.max_positions)
    return LabelCheckpoint(folder.name, network.eval(), labels, tokenizer, longest)


def write(target: Path, checkpoint: LabelCheckpoint) -> None:
    """Write a folder that `read` and transformers load; files of the same names are replaced."""
    from safetensors.torch import save

    target.mkdir(parents=True, exist_ok=True)
    network = checkpoint.network
    tensors = {name: t.detach().cpu().contiguous() for name, t in network.state_dict().items()}
    write_whole(target / WEIGHTS, save(tensors, metadata={"format": "pt"}))
    config = network.config.to_dict() | {
        "architectures": [TOKENS if network.pooling is None else TEXTS],
        "id2label": dict(enumerate(checkpoint.labels)),
        "label2id": {label: at for at, label in enumerate(checkpoint.labels)},
        "problem_type": "single_label_classification",
        "classifier_dropout": 0.0,
    }
    if network.pooling is not None:
        config["classifier_pooling"] = network.pooling
    _write_json(target / "config.json", config)
    write_whole(target / "tokenizer.json", checkpoint.tokenizer.to_str())
    _write_json(
        target / "tokenizer_config.json",
        tokenizer_config(checkpoint.tokenizer, checkpoint.max_tokens),
    )


def _labels(folder: Folder) -> tuple[str, ...]:
    """The names of the labels, in order; LABEL_0 and so on where none are given."""
    raw = folder.object("config.json")
    given = raw.get("id2label")
    if not isinstance(given, dict) or not given:
        count = int(raw.get("num_labels") or 2)
        return tuple(f"LABEL_{at}" for at in range(count))
    try:
        names: Sequence[str] = [str(given[str(at)]) for at in range(len(given))]
    except KeyError as missing:
        raise CheckpointError(
            f"{folder.name}: id2label has {len(given)} labels and none for {missing}; expected "
            "one for each number from 0 on"
        ) from None
    if len(set(names)) < len(names):
        raise CheckpointError(f"{folder.name}: two labels of id2label have the same name")
    return tuple(names)


def _write_json(path: Path, value: object) -> None:
    write_whole(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
