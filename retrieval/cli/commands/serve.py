"""`retrieval serve`: HTTP for programs, and a page for people."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Annotated

import typer

from retrieval.cli.options import EncoderSource
from retrieval.cli.program import app

_NEEDED = ("starlette", "uvicorn", "prometheus_client")


@app.command(short_help="Serve people, programs and agents (HTTP).")
def serve(
    folders: Annotated[
        list[Path] | None,
        typer.Option(
            "--index",
            metavar="DIR",
            help="Folder of an index, more than once for several, the first is the default one; "
            "the nearest .retrieval in this folder or one above it if not given.",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option("--port", metavar="N", min=0, max=65535, help="Port; 0 is any that is free."),
    ] = 7700,
    uds: Annotated[
        Path | None,
        typer.Option(
            "--uds", metavar="PATH", help="Unix socket to listen on, in the place of an address."
        ),
    ] = None,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Bring indexes up to date when their files change."),
    ] = False,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Refuse to add and delete documents.")
    ] = False,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            metavar="FILE",
            help="File whose first line requests must bring as Authorization: Bearer; needed "
            "where other machines reach the address.",
        ),
    ] = None,
    allow_write: Annotated[
        bool,
        typer.Option(
            "--allow-write",
            help="Let agents (MCP) bring an index up to date: before each search, and by the tool "
            "`index`; and let documents be added and deleted where other machines reach the "
            "address.",
        ),
    ] = False,
    encoder: EncoderSource = None,
) -> None:
    """Serve indexes over HTTP until Ctrl-C: a page to search in, programs, and agents at /mcp."""
    from functools import partial

    from retrieval.errors import InputError, MissingDependency
    from retrieval.service.location import index_to_read
    from retrieval.service.opening import is_index
    from retrieval.store.schema import not_found

    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingDependency(
            f"serving needs {' and '.join(missing)}, not installed: "
            "pip install 'modernbert-retrieval[server]'"
        )
    from retrieval.mcp.http import StreamableHttp
    from retrieval.server import running

    if allow_write and read_only:
        raise InputError("--allow-write and --read-only contradict each other; give one of them")

    places = folders or [index_to_read(None)]
    for place in places:
        if not is_index(place):
            raise not_found(place)
    names = ", ".join(str(place) for place in places)
    running.serve(
        places,
        host=host,
        port=port,
        uds=uds,
        read_only=read_only,
        allow_write=allow_write,
        follow=watch,
        token_file=token_file,
        encoder=encoder,
        agents=partial(StreamableHttp, allow_write=allow_write),
        on_start=lambda at: sys.stderr.write(f"serving {names} at {at}; Ctrl-C ends it\n"),
    )
