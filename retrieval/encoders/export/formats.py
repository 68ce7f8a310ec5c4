"""A model of this package's own format, written out for other programs; needs no torch.

    own                    the folder as it is: runs anywhere that this package is installed
    sentence-transformers  trunk, mean pooling, dense head: the dense vectors, in f32; transformers
                           reads the trunk of the same folder

The token head has a branch that the chains of modules in PyLate and sentence-transformers cannot
express, so token vectors stay with this package.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Literal

from retrieval.encoders.model.config import ModernBertConfig
from retrieval.encoders.model.quantized import read_weights, write_tensors
from retrieval.encoders.model_folder import (
    CONFIG_FILE,
    DENSE_HEAD,
    QUERY_WEIGHTS,
    SECTION,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
    ModelSettings,
    read_config,
)
from retrieval.encoders.tokenization import load_tokenizer
from retrieval.errors import CheckpointError, InputError

ExportFormat = Literal["own", "sentence-transformers"]

EXPORT_FORMATS: tuple[ExportFormat, ...] = ("own", "sentence-transformers")

_OWN = ("dense_head.", "token_head.", QUERY_WEIGHTS)
_SPECIAL = {"unk": "[UNK]", "sep": "[SEP]", "pad": "[PAD]", "cls": "[CLS]", "mask": "[MASK]"}
_MODULES = ("Transformer", "Pooling", "Dense", "Normalize")


def export_model(source: Path, target: Path, *, format: ExportFormat = "own") -> None:
    """Write the model in the folder `source` into the folder `target`.

    Args:
        source: a folder of the package's own format, such as the embedded model's.
        target: a new or an empty folder.
        format: one of `EXPORT_FORMATS`.

    Raises:
        InputError: the target holds something already, or the format is unknown.
        CheckpointError: the source is no model of this package, or lacks what the format needs.
    """
    if format not in EXPORT_FORMATS:
        raise InputError(f"format {format!r} is unknown; choose from {', '.join(EXPORT_FORMATS)}")
    raw = read_config(source)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target} holds something already; name a new or an empty folder")
    if format == "own":
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        _sentence_transformers(source, raw, target)


def _sentence_transformers(source: Path, raw: dict[str, Any], target: Path) -> None:
    config = ModernBertConfig.from_dict(raw)
    settings = ModelSettings.from_dict(raw[SECTION], max_positions=config.max_positions)
    weights = read_weights(source / WEIGHTS_FILE)
    head = weights.get(DENSE_HEAD)
    if head is None:
        raise CheckpointError(
            f"{source}: has no dense head, which is all that can be exported in this format; "
            "export it as `own`"
        )
    target.mkdir(parents=True, exist_ok=True)
    write_tensors(
        target / WEIGHTS_FILE,
        {name: tensor for name, tensor in weights.items() if not name.startswith(_OWN)},
    )
    shutil.copyfile(source / TOKENIZER_FILE, target / TOKENIZER_FILE)
    tokenizer = load_tokenizer(source / TOKENIZER_FILE)
    ids = {role: tokenizer.token_to_id(word) for role, word in _SPECIAL.items()}
    special = {f"{role}_token": word for role, word in _SPECIAL.items() if ids[role] is not None}
    roles = {"pad": "pad", "cls": "cls", "sep": "sep", "bos": "cls", "eos": "sep"}
    _write(
        target / CONFIG_FILE,
        config.to_dict() | {f"{name}_token_id": ids[role] for name, role in roles.items()},
    )
    _write(
        target / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": settings.max_tokens,
            "model_input_names": ["input_ids", "attention_mask"],
            **special,
        },
    )
    _write(target / "special_tokens_map.json", special)
    _write(
        target / "sentence_bert_config.json",
        {"max_seq_length": settings.max_tokens, "do_lower_case": False},
    )
    _write(
        target / "config_sentence_transformers.json",
        {
            "model_type": "SentenceTransformer",
            "prompts": {"query": settings.query_prefix, "document": settings.document_prefix},
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
    )
    folders = {kind: "" if place == 0 else f"{place}_{kind}" for place, kind in enumerate(_MODULES)}
    types = "sentence_transformers.models"
    _write(
        target / "modules.json",
        [
            {"idx": place, "name": str(place), "path": path, "type": f"{types}.{kind}"}
            for place, (kind, path) in enumerate(folders.items())
        ],
    )
    _write(
        target / folders["Pooling"] / CONFIG_FILE,
        {"word_embedding_dimension": config.hidden_size, "pooling_mode_mean_tokens": True},
    )
    _write(
        target / folders["Dense"] / CONFIG_FILE,
        {
            "in_features": config.hidden_size,
            "out_features": head.shape[0],
            "bias": False,
            "activation_function": "torch.nn.modules.linear.Identity",
        },
    )
    write_tensors(target / folders["Dense"] / WEIGHTS_FILE, {"linear.weight": head})
    (target / folders["Normalize"]).mkdir()


def _write(path: Path, contents: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(contents, indent=2) + "\n", encoding="utf-8")
