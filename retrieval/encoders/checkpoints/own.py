"""Folders in the package's own format, such as the embedded model, for torch.

The weights may be int8: they are scaled back, so torch computes on what the CPU runtime has, but
with float activations. Both have one fingerprint: an index may be built on a GPU by the one and
searched on a laptop by the other.
"""

from __future__ import annotations

import torch

from retrieval.encoders.checkpoints.folder import Folder
from retrieval.encoders.checkpoints.tokenizer import read_tokenizer, token_ids
from retrieval.encoders.checkpoints.transformers import build_trunk, read_config
from retrieval.encoders.checkpoints.weights import fill
from retrieval.encoders.model.heads import DenseHead, TokenHead
from retrieval.encoders.model.network import Checkpoint, Network
from retrieval.encoders.model.quantized import read_weights
from retrieval.encoders.model.token_head_shape import TokenHeadShape
from retrieval.encoders.model_folder import (
    DENSE_HEAD,
    QUERY_WEIGHTS,
    SECTION,
    WEIGHTS_FILE,
    ModelSettings,
    fingerprint,
)
from retrieval.encoders.sides import Side, check_weights
from retrieval.errors import CheckpointError


def read(folder: Folder) -> Checkpoint:
    """A model of this package: dense vectors, token vectors, or both from one pass.

    Raises:
        CheckpointError: a file is missing or broken.
        NotNative: config.json describes no ModernBERT.
    """
    config = read_config(folder)
    section = folder.object("config.json")[SECTION]
    settings = ModelSettings.from_dict(section, max_positions=config.max_positions)
    weights = read_weights(folder.path / WEIGHTS_FILE)
    query_weights = weights.pop(QUERY_WEIGHTS, None)
    tensors = {name: torch.from_numpy(array) for name, array in weights.items()}
    tokenizer, vocabulary = read_tokenizer(folder, config.vocab_size)

    dense = tokens = None
    try:
        shape = TokenHeadShape.of(
            {name: tuple(tensor.shape) for name, tensor in tensors.items()}, config.hidden_size
        )
    except CheckpointError as wrong:
        raise CheckpointError(f"{folder.name}: {wrong}") from None
    with torch.device("meta"):
        if DENSE_HEAD in tensors:
            dense = DenseHead(config.hidden_size, tensors[DENSE_HEAD].shape[0])
        if shape is not None:
            tokens = TokenHead(config.hidden_size, shape)
    if dense is None and tokens is None:
        raise CheckpointError(
            f"{folder.name}: {WEIGHTS_FILE} has neither {DENSE_HEAD} nor a token head; "
            "a model needs one of them"
        )
    for head, prefix in ((dense, "dense_head."), (tokens, "token_head.")):
        if head is not None:
            own = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
            fill(head, own, folder.name)
    return Checkpoint(
        settings.name or folder.path.resolve().name,
        Network(build_trunk(config, tensors, folder.name), dense=dense, tokens=tokens),
        tokenizer,
        vocabulary,
        document=Side(
            settings.max_tokens,
            prompt=settings.document_prefix,
            skipped=token_ids(tokenizer, settings.token_skiplist),
            window=settings.dense_window,
        ),
        query=Side(
            settings.query_max_tokens,
            prompt=settings.query_prefix,
            weights=None
            if query_weights is None
            else check_weights(query_weights, config.vocab_size, folder.name),
        ),
        fingerprint=fingerprint(folder.path),
    )
