"""The server as a process: sockets, startup and shutdown."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from retrieval.errors import InputError
from retrieval.malloc import bound_arenas
from retrieval.server.app import Agents, make_app
from retrieval.server.connections import Connection
from retrieval.server.guard import LOOPBACK
from retrieval.service.kept_collection import KeptCollection
from retrieval.service.kept_open import KeptOpen
from retrieval.sharded import Collection

GRACE_S = 10
"""Time for running requests to finish at shutdown."""

LEAST_TOKEN = 16
"""Minimum characters of a token; a shorter one could be guessed."""


def serve(
    places: Sequence[Path | str],
    *,
    host: str = "127.0.0.1",
    port: int = 7700,
    uds: Path | None = None,
    read_only: bool = False,
    allow_write: bool = False,
    follow: bool = False,
    token_file: Path | None = None,
    encoder: str | None = None,
    agents: Callable[[Mapping[str, KeptOpen | KeptCollection]], Agents] | None = None,
    open_collection: Callable[[str], Collection] | None = None,
    on_start: Callable[[str], object] = lambda place: None,
) -> None:
    """Serve indexes until the process is told to stop; running requests are then finished.

    Args:
        places: folders of indexes and URLs of collections; the first is the default.
        host: an address of this machine.
        port: port to listen on; 0 chooses a free one.
        uds: a Unix socket to listen on, instead of an address.
        read_only: refuse to add and delete documents.
        allow_write: allow that even if other machines can reach the address.
        follow: whether indexes are brought up to date when their files change.
        token_file: a file whose first line is the token that requests have to send.
        encoder: the encoder that they were built with, if it is loaded from another place.
        agents: see `make_app`.
        open_collection: see `make_app`.
        on_start: called with the address when the server listens.

    Raises:
        InputError: the address cannot be used, other machines can reach it and there is no token,
            or the token cannot be used.
    """
    bound_arenas()
    token = None if token_file is None else _token(token_file)
    local = uds is not None or _is_loopback(host)
    if not local and token is None:
        raise InputError(
            f"{host} can be reached from other machines; give --token-file FILE, whose token "
            "requests have to send, or use 127.0.0.1"
        )
    # If a token is required, pages of other sites lack it, whatever host name they use.
    hosts = LOOPBACK | {host.lower()} if uds is None and token is None else None
    app = make_app(
        places,
        encoder=encoder,
        read_only=read_only or not (local or allow_write),
        follow=follow,
        hosts=hosts,
        token=token,
        agents=agents,
        open_collection=open_collection,
    )
    listening = _unix_socket(uds) if uds is not None else _socket(host, port)
    # uvicorn finishes running requests and then raises the signal again.
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        on_start(str(uds) if uds is not None else _url(listening))
        uvicorn.Server(configured(app)).run(sockets=[listening])
    finally:
        signal.signal(signal.SIGTERM, before)
        listening.close()
        if uds is not None:
            uds.unlink(missing_ok=True)


def configured(app: ASGIApp) -> uvicorn.Config:
    """uvicorn's configuration for an app."""
    return uvicorn.Config(
        app,
        loop="asyncio",
        http=Connection,
        ws="none",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )


def _socket(host: str, port: int) -> socket.socket:
    try:
        (family, kind, protocol, _, address), *_ = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        listening = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise InputError(f"{host!r} is not an address of this machine: {error}") from None
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen()
    except OSError as error:
        listening.close()
        raise InputError(
            f"cannot listen on {host} port {port}: {error.strerror or error}; give another --port"
        ) from None
    return listening


def _unix_socket(path: Path) -> socket.socket:
    """A socket that only this user can connect to."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket() and not _is_answered(path):
            path.unlink()  # left over from a server that was killed
        before = os.umask(0o177)
        try:
            listening.bind(str(path))
        finally:
            os.umask(before)
        listening.listen()
    except OSError as error:
        listening.close()
        raise InputError(
            f"cannot listen on {path}: {error.strerror or error}; give another --uds"
        ) from None
    return listening


def _is_answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
        try:
            trial.connect(str(path))
        except ConnectionRefusedError:
            return False
    return True


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _token(file: Path) -> str:
    try:
        lines = file.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not ASCII"
        raise InputError(f"the token cannot be read from {file}: {reason}") from None
    token = lines[0].strip() if lines else ""
    if len(token) < LEAST_TOKEN or not token.isprintable() or " " in token:
        raise InputError(
            f"the first line of {file} is not a token of at least {LEAST_TOKEN} characters without "
            f"spaces; make one: {Path(sys.executable).name} -c 'import secrets; "
            "print(secrets.token_urlsafe())'"
        )
    return token
