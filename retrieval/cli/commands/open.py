"""`retrieval open`: showing the place that a hit names."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from retrieval.cli.options import AsJson, IndexPlace
from retrieval.cli.program import app


@app.command("open", short_help="Print or open the place of a hit.")
def open_place(
    hit: Annotated[
        str,
        typer.Argument(
            metavar="HIT", help="path:line as a hit shows it; a path or an id means the beginning."
        ),
    ],
    context: Annotated[
        int | None,
        typer.Option(
            "--context",
            "-C",
            metavar="N",
            min=0,
            help="Lines to show before and after the line; the passage's if not given.",
        ),
    ] = None,
    editor: Annotated[
        bool,
        typer.Option(
            "--editor",
            help="Open the file in $EDITOR at the line; other files in their own program, "
            "a PDF on its page.",
        ),
    ] = False,
    folder: IndexPlace = None,
    as_json: AsJson = False,
) -> None:
    """Print the place of a hit as it was indexed: its place, what it is, and its lines."""
    from retrieval.cli.output.json_output import print_json
    from retrieval.cli.output.place import place
    from retrieval.cli.output.style import Style
    from retrieval.service.json_shape import found_as_dict
    from retrieval.service.location import place_to_read, shown_from
    from retrieval.service.opened import open_to_read
    from retrieval.service.places import find_place, to_open

    read = place_to_read(folder)
    where = shown_from(read)
    with open_to_read(read) as opened:
        found = find_place(opened, hit, here=Path.cwd(), around=context)
        target = to_open(opened, found) if editor else None
    if as_json:
        print_json(found_as_dict(found, where))
    elif target is None:
        sys.stdout.write(place(found, where, Style.of(sys.stdout)))
    if target is not None:
        from retrieval.cli.editor import edit, view

        if target.line is None:
            view(target.file, found.place.page)
        else:
            edit(target.file, target.line)
