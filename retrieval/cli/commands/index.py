"""`retrieval index`: make an index, or bring it up to date."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrieval.cli.options import DEFAULT_MEMORY, AsJson, Memory
from retrieval.cli.program import app

if TYPE_CHECKING:
    from retrieval.sync import SyncReport


@app.command(short_help="Index files and folders.")
def index(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PATH]...",
            help="Files and folders to index; all that the index was given before if not given.",
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--index",
            metavar="DIR",
            help="Folder of the index; the nearest .retrieval here or above, within the "
            "repository, or a new one here, if not given.",
        ),
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            "--encoder",
            metavar="SRC",
            help="Folder or Hub id of an encoder for a new index; the embedded one if not given.",
        ),
    ] = None,
    passage_tokens: Annotated[
        int | None,
        typer.Option(
            "--passage-tokens",
            metavar="N",
            min=1,
            help="Longest passage of a new index, in tokens; 256 if not given.",
        ),
    ] = None,
    bits: Annotated[
        int | None,
        typer.Option(
            "--bits",
            metavar="N",
            help="Bits of a component of a compressed token vector: 2 or 4; 4 if not given.",
        ),
    ] = None,
    pooling: Annotated[
        int | None,
        typer.Option(
            "--pooling",
            metavar="N",
            help="Merge token vectors until one in N is left, 1 to 4; 1 if not given.",
        ),
    ] = None,
    exact_passages: Annotated[
        int | None,
        typer.Option(
            "--exact-passages",
            metavar="N",
            help="Passages up to which token vectors stay uncompressed; 10000 if not given.",
        ),
    ] = None,
    list_passages: Annotated[
        int | None,
        typer.Option(
            "--list-passages",
            metavar="N",
            help="Passages beyond which inverted lists are used; 50000 if not given.",
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Read all files again, also those that seem unchanged.")
    ] = False,
    memory: Memory = DEFAULT_MEMORY,
    as_json: AsJson = False,
) -> None:
    """Index files and folders: read what is new or changed, forget what is gone.

    Makes the index if there is none. Run it again at any time, also after Ctrl-C: it goes on from
    what is committed. It remembers what it was given.
    """
    from retrieval.cli.output.json_output import print_json
    from retrieval.cli.output.progress import progress_bar
    from retrieval.service import location, updating
    from retrieval.service.json_shape import report_as_dict
    from retrieval.service.opening import is_index, open_or_create

    given = paths or []
    if given:
        place = location.index_to_write(folder, updating.holds)
    else:
        place = location.index_to_read(folder)
    if not is_index(place):
        updating.check_paths(place, given)
    if folder is None and location.is_elsewhere(place):
        sys.stderr.write(f"index: {place} (--index {location.FOLDER} for one of this folder)\n")
    late = {
        "bits": bits,
        "pooling": pooling,
        "exact_passages": exact_passages,
        "list_passages": list_passages,
    }
    with (
        open_or_create(
            place, encoder=encoder, passage_tokens=passage_tokens, late=late, memory=memory << 20
        ) as opened,
        progress_bar("looking for changes") as progress,
    ):
        report = updating.update(opened, given, again=again, progress=progress)
    if as_json:
        print_json(report_as_dict(report, place))
    else:
        _print(report, given, place)


def _print(report: SyncReport, paths: Sequence[Path], folder: Path) -> None:
    from retrieval.cli.output.amounts import listing
    from retrieval.cli.output.reports import synced
    from retrieval.service.printable import safe

    sys.stdout.write(synced(report, folder))
    sys.stdout.flush()
    if not (report.added or report.updated or report.unchanged or report.moved):
        names = ", ".join(safe(str(path)) for path in paths) or "what the index was given"
        sys.stderr.write(f"no file to index in {names}; name a folder that holds text\n")
    if report.skipped:
        reasons = ", ".join(f"{number:,} {reason}" for reason, number in report.skipped.items())
        sys.stderr.write(f"skipped: {reasons}\n")
    if report.problems:
        sys.stderr.write(listing("problems:", report.problems))
