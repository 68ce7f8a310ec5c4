"""`retrieval model export`: writing a model into a folder."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from retrieval.cli.commands.model.group import models
from retrieval.cli.options import AsJson


class ExportName(StrEnum):
    """The library to export for."""

    OWN = "own"
    SENTENCE_TRANSFORMERS = "sentence-transformers"
    PYLATE = "pylate"
    ONNX = "onnx"


@models.command(short_help="Write a model into a folder.")
def export(
    target: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder to write; new or empty.")
    ],
    source: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="SRC",
            help="Folder of a model of this package; the embedded model if not given.",
        ),
    ] = None,
    format: Annotated[
        ExportName,
        typer.Option(
            "--to",
            help="own for this package, sentence-transformers for it and for transformers, "
            "pylate, or onnx for ONNX Runtime alone.",
        ),
    ] = ExportName.OWN,
    as_json: AsJson = False,
) -> None:
    """Write a model into a folder, to use it elsewhere or train it further."""
    from retrieval.cli.output.amounts import size
    from retrieval.cli.output.json_output import print_json
    from retrieval.encoders.checkpoints import open_folder
    from retrieval.encoders.embedded import embedded_folder
    from retrieval.encoders.export.formats import export_model
    from retrieval.store.files import folder_bytes

    folder = embedded_folder() if source is None else open_folder(source).path
    export_model(folder, target, format=format.value)
    if as_json:
        print_json({"path": target, "format": format.value, "bytes": folder_bytes(target)})
    else:
        sys.stdout.write(f"{target}: {format.value}, {size(folder_bytes(target))}\n")
