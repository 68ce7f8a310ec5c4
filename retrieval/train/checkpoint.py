"""What a run leaves on the disk: the state it goes on from, and a pretrained model's folder."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from tokenizers import Tokenizer

from retrieval.encoders.checkpoints.folder import Folder, NotNative
from retrieval.encoders.checkpoints.transformers import read_masked_lm
from retrieval.encoders.model.quantized import write_tensors
from retrieval.errors import CheckpointError
from retrieval.store.files import sync_directory
from retrieval.train.masking import MaskedLM, special_ids

STATE_FILE = "state.pt"


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of `path` once it is written whole and lies on the disk.

    After a crash or a power cut `path` is what it was before, or what was to be written.
    """
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def save_state(folder: Path, settings: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Write the state of a run; one that is killed here keeps the state before.

    Args:
        settings: plain values that a run must share to go on from this state.
        state: tensors, numbers, strings, and lists, tuples and dictionaries of them.
    """
    with replacing(folder / STATE_FILE) as file:
        torch.save({"settings": json.dumps(settings, sort_keys=True), **state}, file)
    sync_directory(folder)


def load_state(folder: Path, settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """The state of the run in a folder, with tensors on the CPU, or None if there is none yet.

    Only tensors and plain values are read; a pickle that holds anything else is refused.

    Raises:
        CheckpointError: the file is damaged, or the run there has other settings.
    """
    state = read_state(folder)
    if state is not None:
        check_settings(folder, state, settings)
    return state


def read_state(folder: Path) -> dict[str, Any] | None:
    """The same, whatever the run's settings are.

    Raises:
        CheckpointError: the file is damaged.
    """
    path = folder / STATE_FILE
    if not path.exists():
        return None
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as wrong:  # torch raises whatever the damage leads to
        raise _unreadable(path, wrong) from None
    if not isinstance(state, dict):
        raise _unreadable(path, TypeError(f"a {type(state).__name__}, expected a dictionary"))
    return state


def check_settings(folder: Path, state: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Raise CheckpointError, with what differs, if the state is of a run with other settings."""
    path = folder / STATE_FILE
    try:
        found = json.loads(state["settings"])
    except (KeyError, TypeError, ValueError) as wrong:
        raise _unreadable(path, wrong) from None
    if difference := _difference(found, json.loads(json.dumps(settings)), ""):
        raise CheckpointError(
            f"{path} is of a run with other settings ({difference}): "
            "start it with those, or choose another folder"
        )


def _unreadable(path: Path, wrong: Exception) -> CheckpointError:
    reason = (str(wrong).splitlines() or [repr(wrong)])[0]
    return CheckpointError(f"{path} cannot be read ({reason[:120]}): remove it to begin anew")


def _difference(found: Any, given: Any, at: str) -> str | None:
    """The first place where two values of JSON differ, in words."""
    if isinstance(found, dict) and isinstance(given, dict) and found.keys() == given.keys():
        pairs = [(f"{at}.{key}", found[key], given[key]) for key in found]
    elif isinstance(found, list) and isinstance(given, list) and len(found) == len(given):
        pairs = [(f"{at}[{i}]", *both) for i, both in enumerate(zip(found, given, strict=True))]
    elif found == given:
        return None
    else:
        return f"{at.lstrip('.')} is {json.dumps(found)} there, {json.dumps(given)} here"
    return next((said for name, a, b in pairs if (said := _difference(a, b, name))), None)


def write_masked_lm(folder: Path, model: MaskedLM, tokenizer: Tokenizer) -> None:
    """Write a model folder that this package and transformers read (`ModernBertForMaskedLM`).

    Raises:
        CheckpointError: the tokenizer lacks a token that the model needs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = model.trunk.config
    ids = special_ids(tokenizer.get_vocab())
    roles = {"cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]", "pad": "[PAD]", "unk": "[UNK]"}
    words = {f"{role}_token": word for role, word in roles.items() if word in ids}
    contents = config.to_dict() | {
        "architectures": ["ModernBertForMaskedLM"],
        "tie_word_embeddings": model.tied,
        "bos_token_id": ids["[CLS]"],
        "cls_token_id": ids["[CLS]"],
        "eos_token_id": ids["[SEP]"],
        "sep_token_id": ids["[SEP]"],
    }
    weights = {
        name: tensor.detach().float().cpu().numpy()
        for name, tensor in model.named_weights().items()
    }
    write_tensors(folder / "model.safetensors", weights)
    tokenizer.save(str(folder / "tokenizer.json"))
    _write_json(folder / "special_tokens_map.json", words)
    _write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": config.max_positions,
            "model_input_names": ["input_ids", "attention_mask"],
            **words,
        },
    )
    # Last, because a folder without it is no model.
    _write_json(folder / "config.json", contents)


def load_masked_lm(folder: Path) -> MaskedLM:
    """A ModernBERT with its prediction head, as transformers and `write_masked_lm` save it.

    Raises:
        CheckpointError: there is none, or it is broken.
    """
    try:
        trunk, head = read_masked_lm(Folder(folder, str(folder)))
    except NotNative as reason:
        raise CheckpointError(f"{folder}: {reason}: expected a ModernBERT") from None
    tied = torch.equal(head.decoder.weight, trunk.embeddings.tok_embeddings.weight)
    model = MaskedLM(trunk.config, tied=tied)
    model.trunk.load_state_dict(trunk.state_dict())
    model.lm_head.load_state_dict(head.state_dict())
    return model


def _write_json(path: Path, contents: Any) -> None:
    path.write_text(json.dumps(contents, indent=2) + "\n", encoding="utf-8")
