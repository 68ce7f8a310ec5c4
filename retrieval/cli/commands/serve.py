"""`retrieval serve`: HTTP for programs, and a page for people."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from retrieval.cli.options import EncoderSource, PartialAnswers
from retrieval.cli.program import app

_NEEDED = ("starlette", "uvicorn", "prometheus_client")
_HOST, _PORT = "127.0.0.1", 7700


@app.command(short_help="Serve people, programs and agents (HTTP).")
def serve(
    urls: Annotated[
        list[str] | None,
        typer.Argument(metavar="[URL]...", help="Collections in shards; as with --index."),
    ] = None,
    folders: Annotated[
        list[str] | None,
        typer.Option(
            "--index",
            metavar="DIR|URL",
            help="Folder of an index, or URL of a collection in shards; may be repeated, the "
            "first is the default; the nearest .retrieval in this folder or one "
            "above it if none is given.",
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            "--host", metavar="ADDRESS", help="Address to listen on; 127.0.0.1 if not given."
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            metavar="N",
            min=0,
            max=65535,
            help="Port, 7700 if not given; 0 is any that is free.",
        ),
    ] = None,
    uds: Annotated[
        Path | None,
        typer.Option(
            "--uds", metavar="PATH", help="Unix socket to listen on, instead of an address."
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
            help="File whose first line requests must send as Authorization: Bearer; required "
            "if other machines can reach the address.",
        ),
    ] = None,
    allow_write: Annotated[
        bool,
        typer.Option(
            "--allow-write",
            help="Let agents (MCP) bring an index up to date: before each search, and by the tool "
            "`index`; and let documents be added and deleted even if other machines can reach "
            "the address.",
        ),
    ] = False,
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="ADDRESS",
            help="Serve collections by replicas of their shards on a Ray cluster: its host:port, "
            "or local for one on this machine.",
        ),
    ] = None,
    replicas: Annotated[
        int | None,
        typer.Option(
            "--replicas",
            metavar="N",
            min=1,
            help="With --ray: replicas of each shard; 1 if not given.",
        ),
    ] = None,
    partial: Annotated[
        PartialAnswers | None,
        typer.Option(
            "--partial",
            help="With --ray: whether a search goes on without an unavailable shard, and says so; "
            "refuse if not given.",
        ),
    ] = None,
    encoder: EncoderSource = None,
) -> None:
    """Serve indexes over HTTP until Ctrl-C: a page to search in, programs, and agents at /mcp.

    A collection in shards is searched in this process or, with --ray, on a cluster.
    """
    from functools import partial as with_options

    from retrieval.errors import InputError, MissingDependency
    from retrieval.files.places import is_url
    from retrieval.service.location import index_to_read
    from retrieval.service.opening import is_index
    from retrieval.sharded.generations import found_newest
    from retrieval.sharded.storage import ObjectStorage
    from retrieval.store.schema import not_found

    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingDependency(
            f"serving needs {' and '.join(missing)}, which is not installed: "
            "pip install 'modernbert-retrieval[server]'"
        )
    from retrieval.mcp.http import StreamableHttp
    from retrieval.server import running

    if allow_write and read_only:
        raise InputError("--allow-write and --read-only contradict each other; give one of them")

    if uds is not None and not (host is None and port is None):
        raise InputError("--uds cannot be used with --host or --port; leave these out")
    for url in urls or ():
        if not is_url(url):
            raise InputError(f"{url!r} is not a collection's URL; name a folder with --index {url}")
    named: list[Path | str] = [*(urls or ())]
    named += [one if is_url(one) else Path(one) for one in folders or ()]
    places = named or [index_to_read(None)]
    collections = [place for place in places if isinstance(place, str)]
    _check_cluster(collections, ray, replicas, partial)
    for place in places:
        if isinstance(place, str):
            found_newest(ObjectStorage(place))  # report at once if there is none
        elif not is_index(place):
            raise not_found(place)
    open_collection = None
    if ray is not None:
        from retrieval.service.serving import served

        allowed = partial is PartialAnswers.ALLOW
        open_collection = with_options(
            served, ray=ray, replicas=replicas or 1, partial=allowed, encoder=encoder
        )
    names = ", ".join(str(place) for place in places)
    running.serve(
        places,
        host=_HOST if host is None else host,
        port=_PORT if port is None else port,
        uds=uds,
        read_only=read_only,
        allow_write=allow_write,
        follow=watch,
        token_file=token_file,
        encoder=encoder,
        agents=with_options(StreamableHttp, allow_write=allow_write),
        open_collection=open_collection,
        on_start=lambda at: sys.stderr.write(f"serving {names} at {at}; Ctrl-C ends it\n"),
    )


def _check_cluster(
    collections: Sequence[str],
    ray: str | None,
    replicas: int | None,
    partial: PartialAnswers | None,
) -> None:
    """Refuse options that need a cluster without one."""
    from retrieval.errors import InputError

    if ray is None and (replicas is not None or partial is not None):
        raise InputError(
            "--replicas and --partial need --ray ADDRESS; give that, or leave them out"
        )
    if ray is not None and not collections:
        raise InputError("--ray serves collections in shards; name one by its URL")
