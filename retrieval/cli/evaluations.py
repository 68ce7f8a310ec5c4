"""The commands under `retrieval eval` and their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

RUN = "run"


class _Evaluations(TyperGroup):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """`retrieval eval DATASET...` is `retrieval eval run DATASET...`."""
        known = {*self.commands, *self.get_help_option_names(ctx)}
        return super().parse_args(ctx, args if args and args[0] in known else [RUN, *args])


evaluations = typer.Typer(
    cls=_Evaluations,
    help="Measure retrieval on test collections, and compare.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@evaluations.command(RUN, short_help="Run systems on test collections; `run` may be left out.")
def run(
    datasets: Annotated[
        list[str],
        typer.Argument(
            metavar="DATASET", help="Folders of collections, or names such as beir/scifact."
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder of the results; made if need be.")
    ],
    retriever: Annotated[
        list[str] | None,
        typer.Option(
            "--retriever",
            metavar="NAME",
            help="lexical, dense, late, hybrid, or none; give it more than once. All four if not "
            "given.",
        ),
    ] = None,
    system: Annotated[
        list[str] | None,
        typer.Option(
            "--system",
            metavar="SPEC",
            help="Also bm25s, st:NAME, encoder:NAME, run:FILE, or a variant such as late:bits=2; "
            "give it more than once.",
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option("--split", metavar="NAME", help="Judgements; test if not given."),
    ] = None,
    k: Annotated[
        int, typer.Option("-k", metavar="N", min=1, help="How many documents for each query.")
    ] = 100,
    queries: Annotated[
        int | None,
        typer.Option(
            "--queries", metavar="N", min=1, help="Ask at most N of each collection's queries."
        ),
    ] = None,
    no_texts: Annotated[
        bool,
        typer.Option("--no-texts", help="Keep no text of the collections in the results."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run systems on test collections and write results, runs and a report into a folder.

    Run it again after Ctrl-C: it goes on from what is done.
    """
    from retrieval.cli.evaluation import run_eval

    run_eval(
        datasets,
        out,
        retrievers=retriever,
        systems=system or [],
        split=split,
        k=k,
        queries=queries,
        keep_texts=not no_texts,
        as_json=as_json,
    )


@evaluations.command("compare", short_help="Is A really better than B.")
def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="A folder of results.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another, or the same.")],
    measure: Annotated[
        str, typer.Option("--measure", metavar="NAME", help="Which measure.")
    ] = "nDCG@10",
    systems: Annotated[
        str | None,
        typer.Option(
            "--systems",
            metavar="X,Y",
            help="The system of A and that of B; those of the same name if not given.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare two evaluations query by query, with significance, or say why they cannot be."""
    from retrieval.cli.evaluation import run_compare

    run_compare(a, b, measure=measure, systems=systems, as_json=as_json)
