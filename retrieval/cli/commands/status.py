"""`retrieval status`: what an index contains, and whether it is as committed."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from retrieval.cli.options import AsJson, IndexPlace
from retrieval.cli.program import app
from retrieval.errors import InputError


@app.command()
def status(
    folder: IndexPlace = None,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify", help="Read every file and compare checksums; exit 1 if any fails."
        ),
    ] = False,
    machine: Annotated[
        bool,
        typer.Option(
            "--machine", help="Show instead what this machine runs each part on, and why."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what an index contains."""
    if machine:
        if verify or folder is not None:
            raise InputError("--machine is about this machine, not an index; give it alone")
        _show_machine(as_json)
        return
    from retrieval.cli.output.amounts import listing
    from retrieval.cli.output.json_output import print_json
    from retrieval.cli.output.reports import status as shown
    from retrieval.files.places import is_url
    from retrieval.service.json_shape import status_as_dict
    from retrieval.service.location import folder_of, index_to_read
    from retrieval.service.opening import status_of

    if folder is not None and is_url(folder):
        if verify:
            raise InputError(
                "--verify reads an index's folder; shards are verified by digest whenever "
                "they are downloaded"
            )
        _show_collection(folder, as_json)
        return
    facts, problems = status_of(index_to_read(folder_of(folder)), verify=verify)
    if as_json:
        print_json(status_as_dict(facts, problems))
    else:
        sys.stdout.write("" if facts is None else shown(facts))
        if problems:
            sys.stdout.write(listing("problems:", problems))
        elif verify:
            sys.stdout.write(f"{'verified':<12} every file is what was committed\n")
    if problems:
        raise typer.Exit(1)


def _show_collection(url: str, as_json: bool) -> None:
    from retrieval.cli.output.json_output import print_json
    from retrieval.cli.output.reports import collection as shown
    from retrieval.service.collections import status

    facts = status(url)
    if as_json:
        print_json(facts)
    else:
        sys.stdout.write(shown(facts))


def _show_machine(as_json: bool) -> None:
    from retrieval.cli.output.json_output import print_json
    from retrieval.cli.output.reports import machine as shown
    from retrieval.service.machine import choices

    found = choices()
    if as_json:
        print_json({one.job: {"used": one.used, "why_not": one.why_not} for one in found})
    else:
        sys.stdout.write(shown(found))
