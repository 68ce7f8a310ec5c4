"""The dense vectors of a model, as sentence-transformers computes them."""

from __future__ import annotations

from pathlib import Path

from retrieval.encoders.export.pipeline import IDENTITY, Model, Module, write_pipeline
from retrieval.encoders.model_folder import DENSE_HEAD
from retrieval.errors import CheckpointError

_TYPES = "sentence_transformers.models"


def write(model: Model, target: Path) -> None:
    """Trunk, mean pooling, dense head, unit length; in f32.

    Raises:
        CheckpointError: the model has no dense head.
    """
    head = model.weights.get(DENSE_HEAD)
    if head is None:
        raise CheckpointError(
            f"{model.folder}: has no dense head, which is all that can be exported in this format; "
            "export it to pylate, or as `own`"
        )
    hidden = model.config.hidden_size
    dense = {
        "in_features": hidden,
        "out_features": head.shape[0],
        "bias": False,
        "activation_function": IDENTITY,
    }
    write_pipeline(
        target,
        model,
        [
            Module(
                f"{_TYPES}.Pooling",
                {"word_embedding_dimension": hidden, "pooling_mode_mean_tokens": True},
            ),
            Module(f"{_TYPES}.Dense", dense, {"linear.weight": head}),
            Module(f"{_TYPES}.Normalize"),
        ],
        {"model_type": "SentenceTransformer", "similarity_fn_name": "cosine"},
    )
