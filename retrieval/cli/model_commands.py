"""The commands under `retrieval model` and their options."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


class ExportName(StrEnum):
    """What an exported folder is made for."""

    OWN = "own"
    SENTENCE_TRANSFORMERS = "sentence-transformers"


models = typer.Typer(
    help="The embedded model and others.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@models.callback(invoke_without_command=True)
def _options(context: typer.Context) -> None:
    """The embedded model and others."""
    if context.invoked_subcommand is None:
        sys.stdout.write(f"{context.get_help()}\n")


@models.command("list", short_help="List the models on this machine.")
def list_models(as_json: AsJson = False) -> None:
    """List the models on this machine: those in the package, and those fetched from the Hub."""
    from retrieval.cli.model_runs import run_list

    run_list(as_json=as_json)


@models.command(short_help="Show what a model can do.")
def info(
    source: Annotated[
        str | None,
        typer.Argument(metavar="[SRC]", help="Folder or Hub id; the embedded model if not given."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a model can do: its vectors, its longest text, where it lies."""
    from retrieval.cli.model_runs import run_info

    run_info(source, as_json=as_json)


@models.command(short_help="Fetch a model from the Hugging Face Hub.")
def download(
    repository: Annotated[
        str, typer.Argument(metavar="ID", help="Hub id of the model, such as owner/name.")
    ],
    as_json: AsJson = False,
) -> None:
    """Fetch a model from the Hugging Face Hub, so that it can be used offline from then on."""
    from retrieval.cli.model_runs import run_download

    run_download(repository, as_json=as_json)


@models.command(short_help="Write a model into a folder.")
def export(
    target: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder to write; new, or empty.")
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
            "--format",
            help="own for this package, sentence-transformers for that and for transformers.",
        ),
    ] = ExportName.OWN,
    as_json: AsJson = False,
) -> None:
    """Write a model into a folder, to use it elsewhere or to train it further."""
    from retrieval.cli.model_runs import run_export

    run_export(target, source, format=format.value, as_json=as_json)
