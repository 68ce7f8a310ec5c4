"""Which encoder runs a source, and what has to be installed for it."""

from __future__ import annotations

import importlib.util
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.encoders.checkpoints import (
    Folder,
    Format,
    NotNative,
    detect,
    open_folder,
    read_checkpoint,
)
from retrieval.encoders.sharing import Origin, shared
from retrieval.errors import EncoderMismatch, InputError, MissingDependency
from retrieval.files.places import absolute_source
from retrieval.tracing import span

if TYPE_CHECKING:
    from retrieval.encoders.runtimes.base import Runtime

_LOG = logging.getLogger(__name__)


def load_encoder(source: str | Path | None = None, *, device: str | None = None) -> Runtime:
    """Load an encoder, or share the one that this process has already.

    Of one fingerprint there is one instance for each device that was asked for. It can be used from
    several threads, and pickled: in another process it is loaded from the same source.

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
    if source is not None and not isinstance(source, str | Path):
        raise InputError(f"source={source!r} is not an encoder; give a folder, a Hub id or None")
    origin = Origin(None if source is None else absolute_source(source), device)
    if source is None:
        from retrieval.encoders.embedded import embedded_folder

        source = embedded_folder()
    folder = open_folder(source)
    kind = detect(folder)

    def load() -> Runtime:
        since = time.monotonic()
        with span("load_encoder", encoder=folder.name):
            made = _load(folder, kind, device)
        _LOG.info("loaded encoder %s in %.2f s", folder.name, time.monotonic() - since)
        return made

    return shared(folder.path, origin, load, keep=lambda one: not _big(one))


def load_again(source: str | None, device: str | None, fingerprint: str) -> Runtime:
    """The encoder that was pickled.

    Raises:
        EncoderMismatch: what is there now is another one.
    """
    encoder = load_encoder(source, device=device)
    if encoder.fingerprint != fingerprint:
        raise EncoderMismatch(
            f"{source or 'the embedded model'} is {encoder.name!r} ({encoder.fingerprint[:12]}) "
            f"here, and was ({fingerprint[:12]}) where it was pickled; use the same files"
        )
    return encoder


def check_torch(name: str) -> None:
    """Raise MissingDependency if torch, which the model of this name needs, is not installed."""
    if importlib.util.find_spec("torch") is None:
        raise MissingDependency(
            f"{name}: running it needs torch, which is not installed: "
            "pip install 'modernbert-retrieval[torch]'"
        )


def _big(encoder: Runtime) -> bool:
    """Whether it holds a torch network, maybe on a GPU."""
    from retrieval.encoders.runtimes.cpu import CpuEncoder

    return not isinstance(encoder, CpuEncoder)


def _load(folder: Folder, kind: Format, device: str | None) -> Runtime:
    if kind == "own" and device is None and folder.has("model.onnx"):
        from retrieval.encoders.runtimes.cpu import CpuEncoder

        return CpuEncoder(folder.path)
    check_torch(folder.name)
    try:
        checkpoint = read_checkpoint(folder)
    except NotNative as reason:
        from retrieval.encoders.runtimes import sentence_transformers

        return sentence_transformers.load(folder, kind, str(reason), device=device)
    from retrieval.encoders.runtimes.torch import TorchEncoder

    return TorchEncoder(checkpoint, device=device)
