"""`retrieval install`: adding the server to the configuration of a coding agent or an editor."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from retrieval.cli.options import AsJson
from retrieval.cli.program import app


@app.command(short_help="Connect a coding agent or an editor to the index.")
def install(
    client: Annotated[
        str,
        typer.Argument(
            metavar="CLIENT",
            help="One of claude-code, codex, cursor, vscode, zed, opencode.",
        ),
    ],
    remove: Annotated[bool, typer.Option("--remove", help="Remove the entry.")] = False,
    project: Annotated[
        bool,
        typer.Option(
            "--project",
            help="Write the configuration of the project in this folder, not the user's own.",
        ),
    ] = False,
    folder: Annotated[
        str | None,
        typer.Option(
            "--index",
            metavar="DIR|URL",
            help="Folder of the index, or URL of a collection in shards; the index of the client's "
            "open project, if not given.",
        ),
    ] = None,
    allow_write: Annotated[
        bool,
        typer.Option("--allow-write", help="Let the client's agent bring the index up to date."),
    ] = False,
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="The entry's name.")
    ] = "retrieval",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Write without asking.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write an entry for `retrieval mcp` into a client's configuration, after showing it."""
    from retrieval.cli.output.json_output import print_json
    from retrieval.errors import InputError
    from retrieval.files.places import is_url
    from retrieval.mcp.clients.installing import installation, removal

    if not name.strip() or not name.isprintable():
        raise InputError(f"--name is {name!r}; give a name that can be printed")
    where = Path.cwd() if project else None
    if remove:
        change = removal(client, name, where)
    else:
        arguments = ["--allow-write"] if allow_write else []
        if folder is not None:
            if allow_write and is_url(folder):
                raise InputError(
                    f"{folder} is a collection in shards, which agents can only read; leave out "
                    "--allow-write"
                )
            place = folder if is_url(folder) else str(Path(folder).absolute())
            arguments += ["--index", place]
        change = installation(client, name, arguments, where)
    writes = change.changes and not dry_run
    if not as_json:
        sys.stdout.write(change.diff or f"{change.file} is already up to date\n")
        sys.stdout.flush()
    if writes and not yes:
        if as_json or not sys.stdin.isatty():
            raise InputError("nothing was written; give --yes to write, or --dry-run to look")
        writes = typer.confirm(f"write {change.file}?", err=True)
    if writes:
        change.write()
    if as_json:
        print_json(
            {
                "client": client,
                "file": str(change.file),
                "changes": change.changes,
                "written": writes,
                "diff": change.diff,
            }
        )
    elif writes:
        sys.stdout.write(f"written: {change.file}\n")
