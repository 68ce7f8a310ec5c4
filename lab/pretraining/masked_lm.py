"""A pretrained model's folder, which transformers and this package read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from lab.pretraining.masking import MaskedLM, special_ids
from retrieval.encoders.checkpoints.folder import Folder, NotNative
from retrieval.encoders.checkpoints.transformers import read_masked_lm
from retrieval.encoders.model.quantized import write_tensors
from retrieval.errors import CheckpointError


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
