"""`retrieval search`: the hits of a query, and the matches of its tokens on request."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from retrieval.cli.options import (
    AsJson,
    EncoderSource,
    GroupName,
    IndexPlace,
    RetrieverName,
    Where,
    filter_given,
)
from retrieval.cli.program import app
from retrieval.errors import InputError
from retrieval.service.printable import safe

if TYPE_CHECKING:
    from retrieval.index.searching import Searching
    from retrieval.service.searching import SearchOptions


@app.command(short_help="Search an index.")
def search(
    query: Annotated[
        list[str],
        typer.Argument(
            metavar="QUERY...",
            help="What to look for; several words need no quotes, and - reads it from standard "
            "input.",
        ),
    ],
    k: Annotated[int, typer.Option("-k", metavar="N", min=1, help="How many hits.")] = 10,
    offset: Annotated[
        int,
        typer.Option("--offset", metavar="N", min=0, help="Leave out so many of the best hits."),
    ] = 0,
    retriever: Annotated[
        RetrieverName,
        typer.Option("--retriever", help="Which retriever answers; hybrid fuses the others."),
    ] = RetrieverName.HYBRID,
    where: Where = None,
    group: Annotated[
        GroupName | None,
        typer.Option(
            "--group",
            help="Show as hits documents with their best passages, or passages; if not given, "
            "documents, with --json passages.",
        ),
    ] = None,
    per_group: Annotated[
        int | None,
        typer.Option(
            "--per-group", metavar="N", min=1, help="Show at most so many passages of a document."
        ),
    ] = None,
    diversity: Annotated[
        float,
        typer.Option(
            "--diversity",
            metavar="X",
            min=0.0,
            max=1.0,
            help="How much hits are to differ from each other, from 0 to 1.",
        ),
    ] = 0.0,
    copies: Annotated[
        bool,
        typer.Option(
            "--copies", help="List passages with the same text separately, not as one hit."
        ),
    ] = False,
    min_relevance: Annotated[
        float,
        typer.Option(
            "--min-relevance",
            metavar="X",
            min=0.0,
            max=1.0,
            help="Leave out hits of lower relevance; 0.2 leaves out what has nothing to do with "
            "the query.",
        ),
    ] = 0.0,
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
            help="With --retriever late: encode the N best again, order by uncompressed vectors.",
        ),
    ] = 0,
    context: Annotated[
        int,
        typer.Option(
            "--context",
            "-C",
            metavar="N",
            min=0,
            help="Lines to show before and after those that match.",
        ),
    ] = 0,
    files: Annotated[
        bool,
        typer.Option("--files", "-l", help="Print only the hits' file names, one per line."),
    ] = False,
    folder: IndexPlace = None,
    encoder: EncoderSource = None,
    as_json: AsJson = False,
) -> None:
    """Search an index; best hits first, each with its place, relevance and the lines that match."""
    from retrieval.cli.output import hits
    from retrieval.cli.output.files import changed_files, unfitting
    from retrieval.cli.output.json_output import print_json
    from retrieval.cli.output.style import Style
    from retrieval.cli.standard_input import all_text
    from retrieval.index import Index
    from retrieval.service import location, searching
    from retrieval.service.json_shape import hits_as_dicts
    from retrieval.service.opened import open_to_read

    text = all_text() if query == ["-"] else " ".join(query)
    read = location.place_to_read(folder)
    place = location.shown_from(read)
    if folder is None and location.is_elsewhere(place):
        sys.stderr.write(f"index: {place}\n")
    if files and (as_json or explain or context):
        raise InputError("--files prints names alone; leave out --json, --explain and --context")
    if group is None:
        group = GroupName.PASSAGE if as_json else GroupName.DOCUMENT
    asked = filter_given(where)
    options = searching.SearchOptions(
        k=k,
        retriever=retriever.value,
        where=asked,
        rescore=rescore,
        explain=explain,
        copies=copies or files,
        group="document" if group == GroupName.DOCUMENT else None,
        per_group=per_group,
        diversity=diversity,
        min_relevance=min_relevance,
        offset=offset,
    )
    with open_to_read(read, encoder=encoder) as opened:
        answer = searching.search(opened, text, options)
        around = None
        if context:
            from retrieval.service.lookup import lines_around

            around = lines_around(opened, answer.hits, context)
        if not answer.hits:
            hint = unfitting(opened, asked)
            if not as_json:
                hint = f"{_nothing(opened, text, options)}\n{hint}"
            sys.stderr.write(hint)
        if as_json:
            print_json(hits_as_dicts(answer.hits, answer.matches, around))
        elif files:
            sys.stdout.write(hits.files(answer.hits, place))
        else:
            style = Style.of(sys.stdout)
            sys.stdout.write(
                hits.hits(answer.hits, place, style, answer.matches, around, context, after=offset)
            )
        sys.stdout.flush()
        if isinstance(opened, Index) and opened.known_files(most=1):
            from retrieval.service.updating import changes

            sys.stderr.write(changed_files(changes(opened), place, named=folder is not None))


def _nothing(index: Searching, query: str, options: SearchOptions) -> str:
    """Why there is no hit: nothing was found, or nothing relevant enough."""
    from retrieval.service import searching

    if not options.min_relevance and not options.offset:
        return "nothing found"
    found = searching.search(index, query, replace(options, k=1, offset=0, min_relevance=0.0)).hits
    if not found:
        return "nothing found"
    best = found[0]
    if best.relevance >= options.min_relevance:
        return f"no hit beyond the first {options.offset:,}"
    return (
        f"nothing has a relevance of {options.min_relevance:g} or more; the best has "
        f"{best.relevance:.2f}: {safe(best.path or best.document_id)}"
    )
