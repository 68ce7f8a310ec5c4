"""`retrieval eval compare`: whether one system is really better than another."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from retrieval.cli.commands.eval.group import evaluations
from retrieval.cli.options import AsJson


@evaluations.command("compare", short_help="Is A really better than B.")
def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="A folder of results.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another folder, or the same.")],
    measure: Annotated[
        str, typer.Option("--measure", metavar="NAME", help="Which measure.")
    ] = "nDCG@10",
    systems: Annotated[
        str | None,
        typer.Option(
            "--systems",
            metavar="X,Y",
            help="The systems of A and B to compare; those of the same name if not given.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare two evaluations query by query, with significance, or say why that is impossible."""
    from retrieval.cli.output.json_output import print_json
    from retrieval.cli.output.style import Style
    from retrieval.eval.compare import compare_folders
    from retrieval.eval.comparison_text import render_comparison_text

    found = compare_folders(a, b, measure, systems=systems)
    if as_json:
        print_json(found)
    else:
        style = Style.of(sys.stdout)
        sys.stdout.write(render_comparison_text(found, width=style.width, dress=style.dress))
    if not found.compared:
        raise typer.Exit(1)
