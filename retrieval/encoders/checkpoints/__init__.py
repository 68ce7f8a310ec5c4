"""Checkpoints of every format that is understood, as something that can be run.

`open_folder` finds or fetches the files, `detect` names the format, `read_checkpoint` reads it with
torch; one module a format. Weights come from safetensors files only, and no code of a checkpoint is
ever run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from retrieval.encoders.checkpoints.detect import Format, detect
from retrieval.encoders.checkpoints.folder import (
    Folder,
    NotNative,
    open_folder,
    without_network,
)

if TYPE_CHECKING:
    from retrieval.encoders.model.network import Checkpoint

__all__ = [
    "Folder",
    "Format",
    "NotNative",
    "detect",
    "open_folder",
    "read_checkpoint",
    "without_network",
]


def read_checkpoint(folder: Folder) -> Checkpoint:
    """Read a checkpoint for our own network; needs torch.

    Raises:
        CheckpointError: it is missing something, unsafe, broken, or of an unknown format.
        NotNative: our network cannot run it; sentence-transformers may.
    """
    from retrieval.encoders.checkpoints import (
        multi_vector,
        own,
        sentence_transformers,
        stanford,
        transformers,
    )

    readers = {
        "own": own.read,
        "transformers": transformers.read,
        "sentence-transformers": sentence_transformers.read,
        "multi-vector": multi_vector.read,
        "stanford": stanford.read,
    }
    return readers[detect(folder)](folder)
