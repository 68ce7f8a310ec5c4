"""`retrieval mcp`: the tools of the Model Context Protocol, for coding agents."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retrieval.cli.options import EncoderSource
from retrieval.cli.program import app


@app.command(short_help="Serve coding agents (MCP, standard input and output).")
def mcp(
    place: Annotated[
        str | None,
        typer.Option(
            "--index",
            metavar="DIR|URL",
            help="Folder of the index, or URL of a collection in shards; the nearest .retrieval "
            "here or above, within the repository, or a new one here, if not given.",
        ),
    ] = None,
    allow_write: Annotated[
        bool,
        typer.Option(
            "--allow-write",
            help="Bring the index up to date before each search, and offer the tool `index`.",
        ),
    ] = False,
    encoder: EncoderSource = None,
) -> None:
    """Serve the Model Context Protocol on standard input and output.

    If there is no index, the first search creates one of the folder that would contain it.
    """
    from retrieval.errors import InputError
    from retrieval.files.places import is_url
    from retrieval.mcp.stdio import serve
    from retrieval.service.location import folder_of, index_to_write

    def holds(index: Path, place: Path) -> bool:
        from retrieval.service import updating  # imports numpy, which would delay `initialize`

        return updating.holds(index, place)

    if place is not None and is_url(place):
        if allow_write:
            raise InputError(
                f"{place} is a collection in shards, which agents can only read; leave out "
                f"--allow-write, and update it with `retrieval index PATH --index {place}`"
            )
        serve(place, encoder=encoder)
        return
    folder = folder_of(place)
    if folder is not None and not folder.absolute().parent.is_dir():
        raise InputError(
            f"--index: {folder} is not an index, nor in a folder that could be searched; name "
            "the folder of an index, or a new one in the folder to search"
        )
    serve(index_to_write(folder, holds), encoder=encoder, allow_write=allow_write)
