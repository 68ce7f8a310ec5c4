"""The group `retrieval model`, whose commands add themselves to it."""

from __future__ import annotations

import sys

import typer

from retrieval.cli.program import Commands

models = Commands(
    help="The embedded model and others.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@models.callback(invoke_without_command=True)
def _options(context: typer.Context) -> None:
    """The embedded model and others."""
    if context.invoked_subcommand is None:
        sys.stdout.write(f"{context.get_help()}\n")
