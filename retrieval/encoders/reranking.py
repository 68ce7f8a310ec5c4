"""Whatever puts texts in order, loaded by its source: an encoder or a cross-encoder."""

from __future__ import annotations

from pathlib import Path

from retrieval.encoders.checkpoints import open_folder
from retrieval.encoders.cross_encoder import is_cross_encoder, load_cross_encoder
from retrieval.encoders.loading import load_encoder
from retrieval.types import Reranker


def load_reranker(source: str | Path | None = None, *, device: str | None = None) -> Reranker:
    """Load a reranker: a cross-encoder where the checkpoint is one, else an encoder.

    Args:
        source: a checkpoint's folder, or its id on the Hugging Face Hub; None is the embedded
            model, which compares by late interaction.
        device: "cpu", "cuda" or "cuda:1"; None is CUDA where there is one.

    Raises:
        CheckpointError: the checkpoint is missing, unsafe, broken, or of an unknown format.
        MissingDependency: it needs a package that is not installed.
    """
    if source is not None:
        folder = open_folder(source)
        if is_cross_encoder(folder):
            return load_cross_encoder(folder, device=device)
    return load_encoder(source, device=device)
