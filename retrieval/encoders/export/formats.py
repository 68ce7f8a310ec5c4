"""A model of this package's own format, written out for other programs; needs no torch.

own                    the folder as it is: runs anywhere that this package is installed
sentence-transformers  the dense vectors, in f32; transformers reads the trunk of it
pylate                 the token vectors, in f32; sentence-transformers reads these, too
onnx                   one file for ONNX Runtime, int8 as the model is, with a README
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

from retrieval.encoders.export import pylate, sentence_transformers, single_graph
from retrieval.encoders.export.pipeline import Model
from retrieval.errors import InputError

ExportFormat = Literal["own", "sentence-transformers", "pylate", "onnx"]

_WRITERS = {
    "sentence-transformers": sentence_transformers.write,
    "pylate": pylate.write,
    "onnx": single_graph.write,
}
EXPORT_FORMATS: tuple[ExportFormat, ...] = ("own", "sentence-transformers", "pylate", "onnx")


def export_model(source: Path, target: Path, *, format: ExportFormat = "own") -> None:
    """Write the model in the folder `source` into the folder `target`.

    Args:
        source: a folder of the package's own format, such as the embedded model's.
        target: a new or an empty folder.
        format: one of `EXPORT_FORMATS`.

    Raises:
        InputError: the target is not empty, or the format is unknown.
        CheckpointError: the source is not a model of this package, lacks what the format needs, or
            has what the format cannot express.
        MissingDependency: onnx is needed and not installed.
    """
    if format not in EXPORT_FORMATS:
        raise InputError(f"format {format!r} is unknown; choose from {', '.join(EXPORT_FORMATS)}")
    model = Model.read(source)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"{target} is not empty; name a new or an empty folder")
    if format == "own":
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        _WRITERS[format](model, target)
