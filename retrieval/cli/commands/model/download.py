"""`retrieval model download`: fetching a model from the Hugging Face Hub."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from retrieval.cli.commands.model.group import models
from retrieval.cli.options import AsJson


@models.command(short_help="Fetch a model from the Hugging Face Hub.")
def download(
    repository: Annotated[
        str, typer.Argument(metavar="ID", help="Hub id of the model, such as owner/name.")
    ],
    as_json: AsJson = False,
) -> None:
    """Fetch a model from the Hugging Face Hub, so that it can be used offline from then on."""
    from retrieval.cli.output.json_output import print_json
    from retrieval.encoders.checkpoints import detect, open_folder
    from retrieval.errors import InputError

    if not repository.strip():
        raise InputError("ID is empty; give a Hub id, such as owner/name")
    if Path(repository).expanduser().exists():
        raise InputError(f"{repository} is on this machine already; use it with --encoder")
    if not sys.stderr.isatty():
        # they would be shown even in pipes
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    folder = open_folder(repository)
    if as_json:
        print_json({"name": repository, "format": detect(folder), "path": folder.path})
    else:
        sys.stdout.write(f"{repository}: {detect(folder)}, in {folder.path}\n")
