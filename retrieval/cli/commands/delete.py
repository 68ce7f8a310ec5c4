"""`retrieval delete`: deleting documents from an index."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from retrieval.cli.options import (
    AsJson,
    IndexPlace,
    RayAddress,
    Where,
    Workers,
    check_for_shards,
    filter_given,
)
from retrieval.cli.program import app


@app.command(short_help="Delete documents from an index.")
def delete(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATH]...", help="Files, folders, globs or ids of documents."),
    ] = None,
    where: Where = None,
    folder: IndexPlace = None,
    workers: Workers = 1,
    ray: RayAddress = None,
    as_json: AsJson = False,
) -> None:
    """Delete documents from an index; the files they came from stay."""
    from retrieval.cli.output.amounts import count, listing
    from retrieval.cli.output.files import unfitting
    from retrieval.cli.output.json_output import print_json
    from retrieval.files.places import is_url
    from retrieval.index import Index
    from retrieval.service import contents
    from retrieval.service.location import folder_of, index_to_read

    asked = filter_given(where)
    if folder is not None and is_url(folder):
        from retrieval.sharded import ShardedIndex

        with ShardedIndex.open(folder) as collection:
            deleted, unknown = contents.delete_of_collection(
                collection, names or (), where=asked, workers=workers, ray=ray
            )
            hint = "" if deleted else unfitting(collection, asked)
    else:
        check_for_shards({"--ray": ray, "--workers": None if workers == 1 else workers})
        with Index.open(index_to_read(folder_of(folder))) as opened:
            deleted, unknown = contents.delete(opened, names or (), where=asked)
            hint = "" if deleted else unfitting(opened, asked)
    if as_json:
        print_json({"deleted": deleted, "unknown": unknown})
    else:
        sys.stdout.write(f"{count(deleted, 'document')} deleted\n")
        sys.stdout.flush()
        if unknown:
            sys.stderr.write(listing("not in the index:", unknown))
    sys.stderr.write(hint)
    if unknown:
        raise typer.Exit(1)
