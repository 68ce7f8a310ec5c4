"""`retrieval list`: the documents of an index."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from retrieval.cli.options import AsJson, IndexPlace, Where, filter_given
from retrieval.cli.program import app


@app.command("list", short_help="List the documents of an index.")
def list_documents(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATH]...", help="Files, folders, globs or ids; everything if not given."
        ),
    ] = None,
    where: Where = None,
    folder: IndexPlace = None,
    as_json: AsJson = False,
) -> None:
    """List the documents of an index: path, number of passages, title."""
    from retrieval.cli.output.amounts import listing
    from retrieval.cli.output.files import listed, unfitting
    from retrieval.cli.output.json_output import print_json
    from retrieval.cli.output.style import Style
    from retrieval.files.places import is_url
    from retrieval.index import Index
    from retrieval.service.contents import choose, choose_of_collection
    from retrieval.service.json_shape import listed_as_dict
    from retrieval.service.location import FOLDER, folder_of, index_to_read

    asked = filter_given(where)
    if folder is not None and is_url(folder):
        from retrieval.sharded import ShardedIndex

        place = Path(FOLDER)  # ids of a collection's files are relative to where it was built
        with ShardedIndex.open(folder) as collection:
            choice = choose_of_collection(collection, names or (), where=asked)
            hint = "" if choice.documents else unfitting(collection, asked)
    else:
        place = index_to_read(folder_of(folder))
        with Index.open(place) as opened:
            choice = choose(opened, names or (), where=asked)
            hint = "" if choice.documents else unfitting(opened, asked)
    if as_json:
        print_json([listed_as_dict(one) for one in choice.documents])
    else:
        sys.stdout.write(listed(choice.documents, place, Style.of(sys.stdout)))
    sys.stdout.flush()
    sys.stderr.write(hint)
    if choice.unknown:
        sys.stderr.write(listing("not in the index:", choice.unknown))
        raise typer.Exit(1)
