"""Prometheus metrics: `/metrics`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import anyio.to_thread
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retrieval.errors import RetrievalError
from retrieval.server.indexes import Indexes
from retrieval.server.requests import Limits

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the histogram's buckets."""

_METHODS = frozenset({"GET", "POST", "DELETE", "HEAD", "PUT", "PATCH", "OPTIONS"})
_UNKNOWN = "other"
"""Label for unknown methods and paths, which clients could invent without limit."""


class Metrics:
    """Counts requests, and serves `/metrics`.

    Attributes:
        tokens: tokens of texts that were embedded and reranked.
    """

    def __init__(self, indexes: Indexes, limits: Limits) -> None:
        """Args: the indexes and limits to report on, besides requests."""
        self._indexes = indexes
        self._limits = limits
        own = self._registry = CollectorRegistry()
        ProcessCollector(registry=own)
        self._requests = Counter(
            "retrieval_http_requests",
            "Requests answered; 499 is a client that went away.",
            ("method", "route", "status"),
            registry=own,
        )
        self._seconds = Histogram(
            "retrieval_http_request_duration_seconds",
            "From a request's head to the end of its answer.",
            ("route",),
            buckets=SECONDS,
            registry=own,
        )
        self._under_way = Gauge(
            "retrieval_http_requests_in_progress", "Requests under way.", registry=own
        )
        self._waiting = Gauge(
            "retrieval_queue_requests", "Requests that wait for a thread.", ("work",), registry=own
        )
        self._held = Gauge(
            "retrieval_queue_bytes", "Bodies of requests that are not answered yet.", registry=own
        )
        self.tokens = Counter(
            "retrieval_tokens", "Tokens of texts embedded and reranked.", ("route",), registry=own
        )
        self._generation = Gauge(
            "retrieval_index_generation",
            "The commit that searches see.",
            ("index",),
            registry=own,
        )
        self._documents = Gauge(
            "retrieval_index_documents", "Documents in the index.", ("index",), registry=own
        )

    async def answer(self, request: Request) -> Response:
        """All metrics in the text format."""
        readers, writers = self._limits.waiting_now()
        self._waiting.labels("read").set(readers)
        self._waiting.labels("write").set(writers)
        self._held.set(self._limits.held)

        def look() -> None:
            for name in self._indexes.names:
                try:
                    with self._indexes.using(name) as index:
                        self._generation.labels(name).set(index.generation)
                        self._documents.labels(name).set(len(index))
                except (RetrievalError, OSError):  # reported by `/ready`
                    self._generation.remove(name)
                    self._documents.remove(name)

        await anyio.to_thread.run_sync(look)  # not in the queue, whose length is reported
        return Response(
            generate_latest(self._registry), headers={"content-type": CONTENT_TYPE_LATEST}
        )

    def counting(self, app: ASGIApp, routes: Mapping[Any, str]) -> ASGIApp:
        """Wrap an app to count its requests.

        Args:
            app: the application.
            routes: the paths of the app's endpoints.
        """

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            status = 500

            async def sending(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)

            began = time.perf_counter()
            try:
                with self._under_way.track_inprogress():
                    await app(scope, receive, sending)
            finally:
                route = routes.get(scope.get("endpoint"), _UNKNOWN)
                method = scope["method"] if scope["method"] in _METHODS else _UNKNOWN
                self._requests.labels(method, route, str(status)).inc()
                self._seconds.labels(route).observe(time.perf_counter() - began)

        return counted
