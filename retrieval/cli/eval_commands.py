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
    measure: Annotated[
        list[str] | None,
        typer.Option(
            "--measure",
            metavar="NAME",
            help="As ir-measures writes it, such as nDCG@10 or R@100; give it more than once. The "
            "seven usual ones if not given.",
        ),
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
    from retrieval.cli.eval_runs import run_eval

    run_eval(
        datasets,
        out,
        retrievers=retriever,
        systems=system or [],
        split=split,
        measures=measure,
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
    from retrieval.cli.eval_runs import run_compare

    run_compare(a, b, measure=measure, systems=systems, as_json=as_json)


@evaluations.command("make", short_help="Make a test set of your own from an index.")
def make(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder of the test set; made if need be.")
    ],
    query: Annotated[
        list[str] | None,
        typer.Option("--query", metavar="TEXT", help="A query; give it more than once."),
    ] = None,
    queries: Annotated[
        Path | None,
        typer.Option(
            "--queries", metavar="FILE", help="Queries, one a line; - reads standard input."
        ),
    ] = None,
    log: Annotated[
        Path | None,
        typer.Option(
            "--log", metavar="FILE", help="Search log as CSV or JSONL: query, document, count."
        ),
    ] = None,
    min_clicks: Annotated[
        int,
        typer.Option(
            "--min-clicks", metavar="N", min=1, help="Clicks that make a document relevant."
        ),
    ] = 1,
    propose: Annotated[
        int | None,
        typer.Option(
            "--propose",
            metavar="N",
            min=1,
            help="Take N queries from headings, titles and docstrings of the documents.",
        ),
    ] = None,
    judge: Annotated[
        bool,
        typer.Option("--judge", help="Judge what the retrievers find, here in the terminal."),
    ] = False,
    depth: Annotated[
        int,
        typer.Option(
            "--depth", metavar="N", min=1, help="Documents of each retriever that are judged."
        ),
    ] = 10,
    retriever: Annotated[
        list[str] | None,
        typer.Option(
            "--retriever",
            metavar="NAME",
            help="Whose documents are judged; give it more than once. All that the index has if "
            "not given.",
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option("--seed", metavar="N", help="Decides what is proposed, and orders pools."),
    ] = 0,
    index: Annotated[
        Path | None,
        typer.Option(
            "--index",
            metavar="DIR",
            help="Folder of the index; the nearest .retrieval in this folder or one above it if "
            "not given.",
        ),
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            "--encoder",
            metavar="SRC",
            help="Folder or Hub id of the encoder; the one the index was built with if not given.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a test set of your own: queries, what is relevant to them, and the index's documents.

    Run it again to add queries or to go on judging. Without any option it asks for queries.
    """
    from retrieval.cli.eval_making import Sources, run_make
    from retrieval.service import location

    run_make(
        folder,
        location.index_to_read(index),
        Sources(query or [], queries, log, min_clicks, propose, seed),
        judge=judge,
        depth=depth,
        retrievers=retriever,
        encoder=encoder,
        as_json=as_json,
    )
