"""Folders of sentence-transformers: a trunk with its tokenizer, and modules behind it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.encoders.model.config import ModernBertConfig
from retrieval.encoders.model.quantized import read_weights, write_tensors
from retrieval.encoders.model_folder import (
    CONFIG_FILE,
    QUERY_WEIGHTS,
    SECTION,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
    ModelSettings,
    read_config,
)
from retrieval.encoders.tokenization import load_tokenizer, named_tokens, tokenizer_config

SETTINGS = "config_sentence_transformers.json"
IDENTITY = "torch.nn.modules.linear.Identity"

_OWN = ("dense_head.", "token_head.", QUERY_WEIGHTS)
_IDS = {"pad": "[PAD]", "cls": "[CLS]", "sep": "[SEP]", "bos": "[CLS]", "eos": "[SEP]"}


@dataclass(frozen=True, slots=True)
class Model:
    """A model of this package, read.

    Attributes:
        weights: f32, int8 ones scaled back, under the names of our own format.
    """

    folder: Path
    config: ModernBertConfig
    settings: ModelSettings
    weights: Mapping[str, NDArray[np.float32]]

    @classmethod
    def read(cls, folder: Path) -> Model:
        """Read a folder of the package's own format.

        Raises:
            CheckpointError: it is none, or a file is damaged.
        """
        raw = read_config(folder)
        config = ModernBertConfig.from_dict(raw)
        settings = ModelSettings.from_dict(raw[SECTION], max_positions=config.max_positions)
        return cls(folder, config, settings, read_weights(folder / WEIGHTS_FILE))


@dataclass(frozen=True, slots=True)
class Module:
    """A module behind the trunk.

    Attributes:
        type: its class, as modules.json names it.
        config: its config.json; none is written where it is empty.
        tensors: its weights.
    """

    type: str
    config: Mapping[str, Any] = field(default_factory=dict)
    tensors: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)


def write_pipeline(
    target: Path, model: Model, modules: Sequence[Module], settings: Mapping[str, Any]
) -> None:
    """Write the trunk, the tokenizer and the modules into the folder, which is made.

    Args:
        settings: for `config_sentence_transformers.json`, beside the prompts.
    """
    target.mkdir(parents=True, exist_ok=True)
    _write_trunk(target, model)
    own = model.settings
    prompts = {"query": own.query_prefix, "document": own.document_prefix}
    write_json(target / SETTINGS, {"prompts": prompts, "default_prompt_name": None, **settings})
    rows = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}]
    for place, module in enumerate(modules, start=1):
        path = f"{place}_{module.type.rpartition('.')[2]}"
        rows.append({"idx": place, "name": str(place), "path": path, "type": module.type})
        (target / path).mkdir()
        if module.config:
            write_json(target / path / CONFIG_FILE, module.config)
        if module.tensors:
            write_tensors(target / path / WEIGHTS_FILE, module.tensors)
    write_json(target / "modules.json", rows)


def _write_trunk(target: Path, model: Model) -> None:
    """What transformers reads: configuration, weights in f32, tokenizer."""
    write_tensors(
        target / WEIGHTS_FILE,
        {name: tensor for name, tensor in model.weights.items() if not name.startswith(_OWN)},
    )
    shutil.copyfile(model.folder / TOKENIZER_FILE, target / TOKENIZER_FILE)
    tokenizer = load_tokenizer(model.folder / TOKENIZER_FILE)
    ids = {f"{role}_token_id": tokenizer.token_to_id(word) for role, word in _IDS.items()}
    write_json(target / CONFIG_FILE, model.config.to_dict() | ids)
    longest = model.settings.max_tokens
    write_json(target / "tokenizer_config.json", tokenizer_config(tokenizer, longest))
    write_json(target / "special_tokens_map.json", named_tokens(tokenizer))
    write_json(
        target / "sentence_bert_config.json",
        {"max_seq_length": longest, "do_lower_case": False},
    )


def write_json(path: Path, contents: Any) -> None:
    """JSON with line breaks; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(contents, indent=2) + "\n", encoding="utf-8")
