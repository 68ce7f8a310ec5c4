"""Endpoints for the page: a document's structure, pictures of pages, similar passages."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from retrieval.errors import DocumentError
from retrieval.index import Index
from retrieval.server.answers import Json
from retrieval.server.indexes import Indexes
from retrieval.server.problems import Problem
from retrieval.server.requests import Limits, query_of
from retrieval.service.arguments import Argument
from retrieval.service.json_shape import hits_as_dicts, measured_as_dict, plain_value
from retrieval.service.lookup import related
from retrieval.service.opened import Opened
from retrieval.service.overview import left_out, overview
from retrieval.service.viewing import page_picture, view
from retrieval.types import Document

T = TypeVar("T")
Asked = TypeVar("Asked")

PAGE = (
    Argument("page", "integer", "its number", default=1, least=1),
    Argument("width", "integer", "maximum width in pixels", default=1000, least=50, most=3000),
)
RELATED = (
    Argument("line", "integer", "the line to find similar passages for", default=1, least=1),
    Argument("k", "integer", "how many hits", default=10, least=1, most=100),
)
MEASURE = (
    Argument(
        "queries",
        "integer",
        "how many queries to draw from passages",
        default=20,
        least=1,
        most=100,
    ),
)


class Viewing:
    """Handlers of the routes."""

    def __init__(self, indexes: Indexes, limits: Limits) -> None:
        self._indexes = indexes
        self._limits = limits

    async def view(self, request: Request) -> Response:
        """How a document is shown, in addition to its text."""
        query_of(request, ())

        def look(index: Opened) -> object:
            return plain_value(view(index, _document(index, request)))

        return Json(await self._asked(request, self._indexes.using, look))

    async def page(self, request: Request) -> Response:
        """A picture of a page."""
        values = query_of(request, PAGE)

        def look(index: Index) -> bytes:
            document = _document(index, request)
            try:
                return page_picture(index, document, values["page"], values["width"])
            except DocumentError as error:
                raise Problem(404, f"{ascii(document.id)[:200]}: {error}") from error

        picture = await self._asked(request, self._indexes.folder, look)
        return Response(picture, media_type="image/png")

    async def related(self, request: Request) -> Response:
        """Passages elsewhere that are similar to the text at a line of a document."""
        values = query_of(request, RELATED)

        def look(index: Opened) -> object:
            hits = related(index, _document(index, request), values["line"], values["k"])
            return plain_value({"hits": hits_as_dicts(hits)})

        return Json(await self._asked(request, self._indexes.using, look))

    async def overview(self, request: Request) -> Response:
        """The contents of an index, by folder, format, language and other metadata."""
        query_of(request, ())
        return Json(await self._asked(request, self._indexes.using, overview))

    async def left_out(self, request: Request) -> Response:
        """Which of the files that an index was given are not read, and why."""
        query_of(request, ())
        return await self._json(request, left_out)

    async def measure(self, request: Request) -> Response:
        """What the approximations of late interaction and of dense search miss."""
        asked = query_of(request, MEASURE)["queries"]
        return await self._json(
            request, lambda index: measured_as_dict(index.measure(sample=asked, depth=20))
        )

    async def _json(self, request: Request, look: Callable[[Index], object]) -> Response:
        return Json(
            await self._asked(request, self._indexes.folder, lambda index: plain_value(look(index)))
        )

    async def _asked(
        self,
        request: Request,
        using: Callable[[str], AbstractContextManager[Asked]],
        look: Callable[[Asked], T],
    ) -> T:
        """Run `look` on the request's index, in a thread."""

        def work() -> T:
            with using(request.path_params["name"]) as index:
                return look(index)

        return await self._limits.in_thread(request, work)


def _document(index: Opened, request: Request) -> Document:
    id = request.path_params["id"]
    document = index.get(id)
    if document is None:
        raise Problem(404, f"the index holds no document {ascii(id)[:200]}")
    return document
