"""Who may ask, and the headers of every answer.

A page of another site cannot read answers (no CORS headers are sent), cannot reach the server by a
name of its own (DNS rebinding: `Host` is checked), and cannot send what changes anything: `Origin`
is checked, and bodies must be `application/json`, which a browser asks leave for.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retrieval.server.page import FILES
from retrieval.server.problems import problem

HEADERS: Mapping[str, str] = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' blob:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

OPEN = frozenset({"/health", "/ready", *FILES})
"""Paths that need no token: they tell nothing of what is indexed."""


class Guard:
    """Lets requests through to an app, or refuses them."""

    def __init__(
        self, app: ASGIApp, *, hosts: frozenset[str] | None = LOOPBACK, token: str | None = None
    ) -> None:
        """Say what is let through.

        Args:
            app: what answers.
            hosts: names that `Host` may have, without a port; None is any.
            token: what requests must bring as `Authorization: Bearer`; None is nothing.
        """
        self._app = app
        self._hosts = hosts
        self._token = token.encode() if token is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        refused = self._refusal(scope)
        if refused is None:
            await self._app(scope, receive, sending)
            return
        status, detail = refused
        headers = {"www-authenticate": "Bearer"} if status == 401 else {}
        await problem(status, detail, headers=headers)(scope, receive, sending)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._hosts is not None and _name(host) not in self._hosts:
            return 421, f"this server is not {host[:100]!r}; ask for localhost or 127.0.0.1"
        origin = headers.get("origin")
        if origin is not None and _netloc(origin) != host.lower():
            return 403, f"pages of {origin[:100]!r} may not ask this server"
        if self._token is not None and scope["path"] not in OPEN:
            kind, _, given = headers.get("authorization", "").partition(" ")
            # Header values are Latin-1; a token is compared by its bytes.
            right = hmac.compare_digest(given.strip().encode("latin-1"), self._token)
            if kind.lower() != "bearer" or not right:
                return 401, "the token is missing or wrong; send it as Authorization: Bearer TOKEN"
        return None


def _name(host: str) -> str:
    """The name in a `Host` header, without its port."""
    host = host.lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
