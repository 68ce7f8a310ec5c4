"""`retrieval eval make`: a test set of your own, from an index."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retrieval.cli.commands.eval.group import evaluations
from retrieval.cli.options import AsJson, EncoderSource, IndexFolder


@evaluations.command("make", short_help="Make a test set of your own from an index.")
def make(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder of the test set; made if need be.")
    ],
    query: Annotated[
        list[str] | None,
        typer.Option("--query", metavar="TEXT", help="A query; may be repeated."),
    ] = None,
    queries: Annotated[
        Path | None,
        typer.Option(
            "--queries", metavar="FILE", help="Queries, one per line; - reads standard input."
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
        typer.Option("--judge", help="Judge what the retrievers find, in the terminal."),
    ] = False,
    depth: Annotated[
        int,
        typer.Option("--depth", metavar="N", min=1, help="Documents to judge from each retriever."),
    ] = 10,
    retriever: Annotated[
        list[str] | None,
        typer.Option(
            "--retriever",
            metavar="NAME",
            help="Retriever whose documents are judged; may be repeated. All of the index's, if "
            "not given.",
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option("--seed", metavar="N", help="Seed of proposals and of the order of judging."),
    ] = 0,
    index: IndexFolder = None,
    encoder: EncoderSource = None,
    as_json: AsJson = False,
) -> None:
    """Make a test set of your own: queries, what is relevant to them, and the index's documents.

    Run it again to add queries or to continue judging. Without options it asks for queries.
    """
    from retrieval.cli.testset.make import Sources, make_test_set
    from retrieval.service.location import index_to_read

    make_test_set(
        folder,
        index_to_read(index),
        Sources(query or [], queries, log, min_clicks, propose, seed),
        judge=judge,
        depth=depth,
        retrievers=retriever,
        encoder=encoder,
        as_json=as_json,
    )
