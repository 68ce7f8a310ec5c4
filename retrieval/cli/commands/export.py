"""`retrieval export`: writing the contents of an index for another system."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from retrieval.cli.options import AsJson, IndexPlace, Where, filter_given
from retrieval.cli.program import app


class SystemName(StrEnum):
    """The system to write for."""

    PARQUET = "parquet"
    VESPA = "vespa"
    LANCEDB = "lancedb"
    QDRANT = "qdrant"


@app.command(short_help="Write passages and vectors for another system.")
def export(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="What to write: a Parquet file, a folder for Vespa, a LanceDB database, or the "
            "address of a Qdrant server or its local folder.",
        ),
    ],
    system: Annotated[SystemName, typer.Option("--to", help="The system.", show_default=False)],
    name: Annotated[
        str,
        typer.Option(
            "--name", metavar="NAME", help="Of the table, collection or schema that is made."
        ),
    ] = "passages",
    where: Where = None,
    folder: IndexPlace = None,
    as_json: AsJson = False,
) -> None:
    """Write every passage with its text, metadata, dense and token vectors for another system.

    Nothing existing is overwritten. Queries there need the encoder of this index.
    """
    from retrieval.cli.output.json_output import print_json
    from retrieval.cli.output.progress import progress_bar
    from retrieval.service.exporting import export as write
    from retrieval.service.location import place_to_read
    from retrieval.service.opened import open_to_read

    with (
        open_to_read(place_to_read(folder)) as opened,
        progress_bar("writing passages") as bar,
    ):
        report = write(
            opened, system.value, target, name=name, where=filter_given(where), progress=bar
        )
    if as_json:
        print_json(report)
    else:
        sys.stdout.write(
            f"{report.passages:,} passages in {report.target} ({report.system}, {report.name}); "
            f"queries need the encoder {report.encoder}\n"
        )
