"""`retrieval search`: the hits of a query, and on demand what its tokens matched."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from retrieval.cli.options import AsJson, EncoderSource, IndexFolder, RetrieverName, Where
from retrieval.cli.program import app


@app.command(short_help="Search an index.")
def search(
    query: Annotated[
        list[str],
        typer.Argument(metavar="QUERY", help="What to look for; - reads it from standard input."),
    ],
    k: Annotated[int, typer.Option("-k", metavar="N", min=1, help="How many hits.")] = 10,
    retriever: Annotated[
        RetrieverName, typer.Option("--retriever", help="Who answers; hybrid fuses the others.")
    ] = RetrieverName.HYBRID,
    where: Where = None,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Show what each token of the query matched best."),
    ] = False,
    rescore: Annotated[
        int,
        typer.Option(
            "--rescore",
            metavar="N",
            min=0,
            help="With --retriever late: encode the N best again, order them uncompressed.",
        ),
    ] = 0,
    folder: IndexFolder = None,
    encoder: EncoderSource = None,
    as_json: AsJson = False,
) -> None:
    """Search an index; best hits first, each with its place, score and the lines that match."""
    from retrieval.cli.output import hits
    from retrieval.cli.output.files import changed_files
    from retrieval.cli.output.json_output import print_json
    from retrieval.cli.output.style import Style
    from retrieval.index import Index
    from retrieval.service import location, searching
    from retrieval.service.json_shape import hits_as_dicts
    from retrieval.service.updating import changes

    text = sys.stdin.read() if query == ["-"] else " ".join(query)
    place = location.index_to_read(folder)
    if folder is None and location.is_elsewhere(place):
        sys.stderr.write(f"index: {place}\n")
    options = searching.SearchOptions(
        k=k, retriever=retriever.value, where=where, rescore=rescore, explain=explain
    )
    with Index.open(place, encoder=encoder) as opened:
        answer = searching.search(opened, text, options)
        if as_json:
            print_json(hits_as_dicts(answer.hits, answer.matches))
        else:
            if not answer.hits:
                sys.stderr.write("nothing found\n")
            sys.stdout.write(hits.hits(answer.hits, place, Style.of(sys.stdout), answer.matches))
        sys.stdout.flush()
        sys.stderr.write(changed_files(changes(opened), place, named=folder is not None))
