"""Stanford ColBERT folders (`HF_ColBERT`) on a ModernBERT trunk.

Trunk and projection lie in one file, the projection as `linear.weight` without a bias; the rest is
in `artifact.metadata`. A marker token after the first tells queries from documents, queries are
filled up with mask tokens, and punctuation in documents is read but not returned.
"""

from __future__ import annotations

import string
from typing import Any

import torch
from tokenizers import Tokenizer

from retrieval.encoders.checkpoints.folder import Folder
from retrieval.encoders.checkpoints.tokenizer import expansion_token, read_tokenizer
from retrieval.encoders.checkpoints.transformers import build_trunk, read_config
from retrieval.encoders.checkpoints.weights import read_tensors
from retrieval.encoders.model.heads import ProjectedTokens
from retrieval.encoders.model.network import Checkpoint, Network
from retrieval.encoders.sides import Expansion, Side
from retrieval.errors import CheckpointError

METADATA = "artifact.metadata"


def read(folder: Folder) -> Checkpoint:
    """A Stanford ColBERT: token vectors.

    Raises:
        CheckpointError: a file is missing or broken, or the vocabulary lacks a marker token.
        NotNative: its trunk is no ModernBERT.
    """
    config = read_config(folder)
    tensors = read_tensors(folder)
    weight = tensors.pop("linear.weight", None)
    if weight is None or weight.ndim != 2 or weight.shape[1] != config.hidden_size:
        raise CheckpointError(
            f"{folder.name}: linear.weight is "
            f"{'missing' if weight is None else tuple(weight.shape)}, expected a matrix of "
            f"{config.hidden_size} columns, ColBERT's projection"
        )
    linear = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False, device="meta")
    linear.load_state_dict({"weight": weight}, assign=True)
    tokenizer, vocabulary = read_tokenizer(folder, config.vocab_size)

    stored = folder.object(METADATA, optional=True)
    stored = stored.get("config") or stored

    def setting(key: str, default: Any) -> Any:
        value = stored.get(key)
        return default if value is None else value

    length = int(setting("query_maxlen", 32))
    return Checkpoint(
        folder.name,
        Network(build_trunk(config, tensors, folder.name), tokens=ProjectedTokens([linear])),
        tokenizer,
        vocabulary,
        document=Side(
            int(setting("doc_maxlen", 220)),
            marker=_marker(folder, tokenizer, setting("doc_token_id", "[unused1]")),
            skipped=_punctuation(tokenizer) if setting("mask_punctuation", True) else (),
        ),
        query=Side(
            length,
            marker=_marker(folder, tokenizer, setting("query_token_id", "[unused0]")),
            expansion=Expansion(
                expansion_token(folder, tokenizer),
                length,
                bool(setting("attend_to_mask_tokens", False)),
            ),
        ),
    )


def _marker(folder: Folder, tokenizer: Tokenizer, token: str) -> int:
    found = tokenizer.token_to_id(token)
    if found is None:
        raise CheckpointError(
            f"{folder.name}: texts are to be marked with {token!r}, which the tokenizer does not "
            "have"
        )
    return int(found)


def _punctuation(tokenizer: Tokenizer) -> tuple[int, ...]:
    """The first token of every punctuation mark that the vocabulary knows."""
    unknown = getattr(tokenizer.model, "unk_token", None)
    unknown_id = None if unknown is None else tokenizer.token_to_id(unknown)
    firsts = (
        tokenizer.encode(symbol, add_special_tokens=False).ids[:1] for symbol in string.punctuation
    )
    return tuple(sorted({ids[0] for ids in firsts if ids and ids[0] != unknown_id}))
