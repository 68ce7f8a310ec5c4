"""Which encoder runs a source, and what has to be installed for it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from retrieval.encoders.checkpoints import NotNative, detect, open_folder, read_checkpoint
from retrieval.errors import MissingDependency
from retrieval.types import Encoder


def load_encoder(source: str | Path | None = None, *, device: str | None = None) -> Encoder:
    """Load an encoder.

    Args:
        source: a checkpoint's folder, or its id on the Hugging Face Hub; None is the embedded
            model.
        device: "cpu", "cuda" or "cuda:1"; None is CUDA where there is one. The embedded model, and
            any folder that was exported like it, runs without torch where no device is given.

    Raises:
        CheckpointError: the checkpoint is missing, unsafe, broken, or of an unknown format.
        MissingDependency: it needs a package that is not installed.
        InputError: there is no such device.
    """
    if source is None:
        from retrieval.encoders.embedded import embedded_folder

        source = embedded_folder()
    folder = open_folder(source)
    kind = detect(folder)
    if kind == "own" and device is None and folder.has("model.onnx"):
        from retrieval.encoders.runtimes.cpu import CpuEncoder

        return CpuEncoder(folder.path)
    if importlib.util.find_spec("torch") is None:
        raise MissingDependency(
            f"{folder.name}: running it needs torch, which is not installed: "
            "pip install 'modernbert-retrieval[torch]'"
        )
    try:
        checkpoint = read_checkpoint(folder)
    except NotNative as reason:
        from retrieval.encoders.runtimes import sentence_transformers

        return sentence_transformers.load(folder, kind, str(reason), device=device)
    from retrieval.encoders.runtimes.torch import TorchEncoder

    return TorchEncoder(checkpoint, device=device)
