"""ModernBERT folders as transformers saves them, with old and with new config keys.

A checkpoint of `ModernBertModel` has its tensors under their bare names, one of
`ModernBertForMaskedLM` under `model.`, beside its head. Neither says how to pool, so the dense
vector is the mean of the hidden vectors, scaled to unit length, as sentence-transformers has it.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from retrieval.encoders.checkpoints.folder import Folder, NotNative
from retrieval.encoders.checkpoints.tokenizer import longest_text, read_tokenizer
from retrieval.encoders.checkpoints.weights import fill, read_tensors
from retrieval.encoders.model.config import ModernBertConfig
from retrieval.encoders.model.heads import PooledHead
from retrieval.encoders.model.modernbert import MaskedLMHead, ModernBert
from retrieval.encoders.model.network import Checkpoint, Network
from retrieval.encoders.sides import Side
from retrieval.errors import CheckpointError

_ENCODERS = ("ModernBertModel", "ModernBertForMaskedLM")


def read(folder: Folder) -> Checkpoint:
    """A bare ModernBERT: dense vectors by mean pooling, no token vectors.

    Raises:
        CheckpointError: a file is missing or broken, or the network was made for something else.
        NotNative: it is no ModernBERT.
    """
    config = read_config(folder)
    made_for = next(iter(folder.architectures), _ENCODERS[0])
    if made_for not in _ENCODERS:
        raise CheckpointError(
            f"{folder.name}: a {made_for}, which gives no embeddings; "
            f"expected one of {', '.join(_ENCODERS)}"
        )
    trunk = build_trunk(config, read_tensors(folder), folder.name)
    tokenizer, vocabulary = read_tokenizer(folder, config.vocab_size)
    side = Side(longest_text(folder, config.max_positions))
    return Checkpoint(
        folder.name, Network(trunk, dense=PooledHead()), tokenizer, vocabulary, side, side
    )


def read_config(folder: Folder) -> ModernBertConfig:
    """The network's shape.

    Raises:
        CheckpointError: config.json is missing or cannot be used.
        NotNative: it describes another architecture.
    """
    raw = folder.object("config.json")
    kind = raw.get("model_type")
    if kind != "modernbert":
        raise NotNative(f"its architecture is {kind!r}, not 'modernbert'")
    try:
        return ModernBertConfig.from_dict(raw)
    except CheckpointError as error:
        raise CheckpointError(f"{folder.name}: {error}") from None


def build_trunk(config: ModernBertConfig, tensors: Mapping[str, Tensor], source: str) -> ModernBert:
    """The trunk with its weights, whose names may begin with `model.`.

    Raises:
        CheckpointError: a tensor is missing, of another shape, or one that the network has no
            place for.
    """
    bare = {name.removeprefix("model."): tensor for name, tensor in tensors.items()}
    with torch.device("meta"):
        trunk = ModernBert(config)
    unused = [
        name
        for name in bare.keys() - trunk.state_dict().keys()
        if name.startswith(("embeddings.", "layers.", "final_norm.")) and "rotary" not in name
    ]
    if unused:
        raise CheckpointError(
            f"{source}: config.json leaves no place for the tensor {min(unused)}: "
            "it does not belong to these weights"
        )
    fill(trunk, bare, source)
    return trunk


def read_trunk(folder: Folder) -> ModernBert:
    """The trunk alone, in f32 on the CPU."""
    return build_trunk(read_config(folder), read_tensors(folder), folder.name)


def read_masked_lm(folder: Folder) -> tuple[ModernBert, MaskedLMHead]:
    """The trunk and the head that predicts masked tokens, in f32 on the CPU.

    Raises:
        CheckpointError: the checkpoint has no such head, or is broken.
        NotNative: it is no ModernBERT.
    """
    config, tensors = read_config(folder), read_tensors(folder)
    trunk = build_trunk(config, tensors, folder.name)
    # The decoder's matrix is the embedding's, and so not stored, unless the two are untied.
    tensors.setdefault("decoder.weight", trunk.embeddings.tok_embeddings.weight)
    with torch.device("meta"):
        head = MaskedLMHead(config)
    fill(head, tensors, folder.name)
    return trunk, head
