"""Access checks, and the headers of every response.

A page of another site cannot read responses (no CORS headers are sent), cannot reach the server by
a name of its own (DNS rebinding: `Host` is checked), and cannot send modifying requests: `Origin`
is checked, and bodies must be `application/json`, for which a browser first asks permission.
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
"""Paths that need no token, as they reveal nothing about the index."""


class Guard:
    """Lets requests through to an app, or refuses them."""

    def __init__(
        self, app: ASGIApp, *, hosts: frozenset[str] | None = LOOPBACK, token: str | None = None
    ) -> None:
        """Set what is let through.

        Args:
            app: the application.
            hosts: names that `Host` may have, without a port; None is any.
            token: the token to send as `Authorization: Bearer`; None requires none.
        """
        self._app = app
        self._hosts = hosts
        self._token = token.encode() if token is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
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
            return 421, f"this server is not {host[:100]!r}; use localhost or 127.0.0.1"
        origin = headers.get("origin")
        if origin is not None and _netloc(origin) != host.lower():
            return 403, f"pages from {origin[:100]!r} may not use this server"
        if self._token is not None and scope["path"] not in OPEN:
            kind, _, given = headers.get("authorization", "").partition(" ")
            # Header values are Latin-1; tokens are compared as bytes.
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
