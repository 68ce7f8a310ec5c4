"""The routes, put together."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

import anyio.to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from retrieval.errors import RetrievalError
from retrieval.files.given import Paths, names_of
from retrieval.server.answers import Json
from retrieval.server.endpoints import endpoints
from retrieval.server.following import Following
from retrieval.server.guard import LOOPBACK, Guard
from retrieval.server.indexes import DEFAULT, Indexes
from retrieval.server.metrics import Metrics
from retrieval.server.openapi import Handler, document
from retrieval.server.page import page_routes
from retrieval.server.paths import without_types
from retrieval.server.problems import answer_to, answer_to_http, problem
from retrieval.server.requests import Limits, body_of
from retrieval.service.kept_collection import KeptCollection
from retrieval.service.kept_open import KeptOpen
from retrieval.sharded import Collection


class Agents(Protocol):
    """Handles coding agents' requests at `/mcp`."""

    async def post(self, request: Request, name: str, value: Any) -> Response:
        """Respond to a message for the index of that name."""

    def delete(self, request: Request) -> Response:
        """End a session."""

    def close(self) -> None:
        """End all sessions."""


def make_app(
    places: Paths,
    *,
    encoder: str | None = None,
    read_only: bool = False,
    follow: bool = False,
    hosts: frozenset[str] | None = LOOPBACK,
    token: str | None = None,
    limits: Limits | None = None,
    agents: Callable[[Mapping[str, KeptOpen | KeptCollection]], Agents] | None = None,
    open_collection: Callable[[str], Collection] | None = None,
) -> ASGIApp:
    """An ASGI application that serves indexes.

    Args:
        places: folders of indexes and URLs of collections, one or several; the first is the
            default.
        encoder: the encoder that they were built with, if it is loaded from another place.
        read_only: refuse to add and delete documents.
        follow: whether indexes are brought up to date when their files change.
        hosts: names that `Host` may have; None is any.
        token: the token that requests have to send; None requires none.
        limits: limits of requests.
        agents: creates the handler of agents' requests from the indexes; None has none.
        open_collection: opens the collection at a URL; None opens it in this process.

    Raises:
        InputError: two indexes have one name, or there is nothing to follow.
        RetrievalError: an index to keep up to date cannot be opened.
    """
    indexes = Indexes(names_of(places), encoder=encoder, open_collection=open_collection)
    limits = limits or Limits()
    metrics = Metrics(indexes, limits)
    table = endpoints(indexes, limits, metrics, read_only=read_only)
    described = document(table, token=token is not None)

    async def openapi(request: Request) -> Response:
        return Json(described)

    async def health(request: Request) -> Response:
        return Json({"status": "ok"})

    async def ready(request: Request) -> Response:
        def look() -> None:
            for name in indexes.names:
                with indexes.using(name) as index:
                    index.status()

        try:
            await limits.in_thread(request, look)
        except (RetrievalError, OSError) as error:
            return problem(503, "an index cannot be opened", code=type(error).__name__)
        return Json({"status": "ready"})

    answering = None if agents is None else agents(indexes.kept)
    following = Following(indexes) if follow else None

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        threading.Thread(target=indexes.warm, name="warm", daemon=True).start()
        if following is not None:
            following.start()
        yield
        if following is not None:
            await anyio.to_thread.run_sync(following.stop)
        if answering is not None:
            answering.close()
        indexes.close()

    routes = [
        *page_routes(),
        Route("/health", health, methods=["GET"]),
        Route("/ready", _answered(ready, limits), methods=["GET"]),
        Route("/openapi.json", openapi, methods=["GET"]),
        Route("/metrics", _answered(metrics.answer, limits), methods=["GET"]),
        *([] if answering is None else _agent_routes(answering, indexes, limits)),
        *(Route(one.path, _answered(one.handler, limits), methods=[one.method]) for one in table),
    ]
    app = Starlette(
        routes=routes,
        # With `Exception`, Starlette would raise them again after the response.
        exception_handlers={HTTPException: answer_to_http},
        lifespan=lifespan,
    )
    # The address to redirect to would be made of what a proxy passes on: without TLS, and without
    # the path under which it serves.
    app.router.redirect_slashes = False
    paths = {route.endpoint: without_types(route.path) for route in routes}
    return metrics.counting(Guard(app, hosts=hosts, token=token), paths)


def _agent_routes(agents: Agents, indexes: Indexes, limits: Limits) -> list[Route]:
    async def post(request: Request) -> Response:
        name = indexes.named(request.path_params.get("name", DEFAULT))
        return await agents.post(request, name, await body_of(request, limits))

    async def delete(request: Request) -> Response:
        return agents.delete(request)

    return [
        Route(path, _answered(handler, limits), methods=[method])
        for path in ("/mcp", "/mcp/{name}")
        for method, handler in (("POST", post), ("DELETE", delete))
    ]


def _answered(handler: Handler, limits: Limits) -> Handler:
    """The handler, with errors turned into responses."""

    async def answered(request: Request) -> Response:
        try:
            return await handler(request)
        except Exception as error:
            return answer_to(error)
        finally:
            limits.release(request)

    return answered
