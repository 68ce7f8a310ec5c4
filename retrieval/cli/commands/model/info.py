"""`retrieval model info`: what a model can do."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from retrieval.cli.commands.model.group import models
from retrieval.cli.options import AsJson


@models.command(short_help="Show what a model can do.")
def info(
    source: Annotated[
        str | None,
        typer.Argument(metavar="[SRC]", help="Folder or Hub id; the embedded model if not given."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a model can do: its vectors, its maximum text length, its folder."""
    from retrieval.cli.output.amounts import size
    from retrieval.cli.output.json_output import print_json
    from retrieval.encoders import load_encoder
    from retrieval.encoders.checkpoints import detect, open_folder
    from retrieval.encoders.embedded import embedded_folder
    from retrieval.service.printable import safe
    from retrieval.store.files import folder_bytes

    folder = open_folder(embedded_folder() if source is None else source)
    encoder = load_encoder(source)
    facts = {
        "name": encoder.name,
        "format": detect(folder),
        "dense_dim": encoder.dense_dim,
        "token_dim": encoder.token_dim,
        "max_tokens": encoder.max_tokens,
        "fingerprint": encoder.fingerprint,
        "bytes": folder_bytes(folder.path),
        "path": folder.path,
    }
    if as_json:
        print_json(facts)
        return
    facts["bytes"] = size(folder_bytes(folder.path))
    for name, value in facts.items():
        label = {"dense_dim": "dense", "token_dim": "token", "bytes": "size"}.get(name, name)
        shown = "none" if value is None else value
        sys.stdout.write(f"{label.replace('_', ' '):<12} {safe(str(shown))}\n")
