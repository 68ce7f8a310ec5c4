"""`/v1/indexes`, and an index's status and documents: listed, got, added, deleted."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from retrieval.errors import InputError
from retrieval.server.answers import Json
from retrieval.server.indexes import Indexes
from retrieval.server.problems import Problem
from retrieval.server.requests import Limits, arguments_of, query_of
from retrieval.service.arguments import Argument, checked
from retrieval.service.json_shape import plain_value, status_as_dict
from retrieval.service.overview import left_out, overview
from retrieval.types import Document

MOST_DOCUMENTS = 1000

LIST = (
    Argument("where", "string", "which documents: see filters.md"),
    Argument("after", "string", "only ids that come after this one"),
    Argument("limit", "integer", "how many", default=100, least=1, most=MOST_DOCUMENTS),
)
DOCUMENT = (
    Argument("id", "string", "the document's own id", required=True, longest=4096),
    Argument("text", "string", "its text", required=True, longest=16 << 20),
    Argument("title", "string", "its title", default=""),
    Argument("metadata", "object", "what filters ask for"),
)
ADD = (Argument("documents", "objects", "what to add", required=True, most=MOST_DOCUMENTS),)
DELETE = (
    Argument("where", "string", "which documents: see filters.md"),
    Argument("id", "string", "the one document"),
)


class Documents:
    """What the routes do."""

    def __init__(self, indexes: Indexes, limits: Limits, *, read_only: bool) -> None:
        self._indexes = indexes
        self._limits = limits
        self._read_only = read_only

    async def names(self, request: Request) -> Response:
        """The indexes; the first is the default one."""
        query_of(request, ())
        return Json({"indexes": self._indexes.names})

    async def status(self, request: Request) -> Response:
        """What an index holds."""
        query_of(request, ())

        def look() -> dict[str, Any]:
            with self._indexes.using(request.path_params["name"]) as index:
                return status_as_dict(index.status())

        return Json(await self._limits.in_thread(request, look))

    async def overview(self, request: Request) -> Response:
        """What is in an index, by folder, format and language."""
        query_of(request, ())

        def look() -> dict[str, Any]:
            with self._indexes.using(request.path_params["name"]) as index:
                return overview(index)

        return Json(await self._limits.in_thread(request, look))

    async def left_out(self, request: Request) -> Response:
        """What of the files that an index was given is not read, and why."""
        query_of(request, ())

        def look() -> dict[str, Any]:
            with self._indexes.using(request.path_params["name"]) as index:
                return left_out(index)

        return Json(await self._limits.in_thread(request, look))

    async def list(self, request: Request) -> Response:
        """A page of an index's documents, in the order of their ids, without their texts."""
        values = query_of(request, LIST)

        def look() -> dict[str, Any]:
            with self._indexes.using(request.path_params["name"]) as index:
                found = list(
                    index.documents(values["where"], after=values["after"], limit=values["limit"])
                )
            rows = [
                {"id": one.id, "title": one.title, "metadata": plain_value(one.metadata)}
                for one in found
            ]
            more = len(rows) == values["limit"]
            return {"documents": rows, "next_after": rows[-1]["id"] if more else None}

        return Json(await self._limits.in_thread(request, look))

    async def get(self, request: Request) -> Response:
        """A document with its text."""
        query_of(request, ())
        id = request.path_params["id"]

        def look() -> dict[str, Any]:
            with self._indexes.using(request.path_params["name"]) as index:
                document = index.get(id)
            if document is None:
                raise Problem(404, f"the index holds no document {ascii(id)[:200]}")
            shaped: dict[str, Any] = plain_value(document)
            return shaped

        return Json(await self._limits.in_thread(request, look))

    async def add(self, request: Request) -> Response:
        """Add documents, or replace those of the same ids."""
        self._check_writable()
        values = await arguments_of(request, self._limits, ADD)
        documents = []
        for given in values["documents"]:
            one = checked(DOCUMENT, given)
            documents.append(Document(one["id"], one["text"], one["title"], one["metadata"] or {}))

        def work() -> dict[str, Any]:
            with self._indexes.using(request.path_params["name"]) as index:
                changed = index.add(documents)
            return {"given": len(documents), "changed": changed}

        return Json(await self._limits.in_thread(request, work, writes=True))

    async def delete(self, request: Request) -> Response:
        """Delete the document of an id, or those that a filter fits."""
        self._check_writable()
        values = query_of(request, DELETE)
        if (values["id"] is None) == (values["where"] is None):
            raise InputError("give one of `id` and `where`")
        if values["where"] is not None and not values["where"].strip():
            raise InputError("where is empty, which fits every document; `true` says so")

        def work() -> dict[str, Any]:
            with self._indexes.using(request.path_params["name"]) as index:
                ids = [values["id"]] if values["id"] is not None else index.ids(values["where"])
                return {"deleted": index.delete(ids)}

        return Json(await self._limits.in_thread(request, work, writes=True))

    async def delete_one(self, request: Request) -> Response:
        """Delete a document."""
        self._check_writable()
        query_of(request, ())
        id = request.path_params["id"]

        def work() -> dict[str, Any]:
            with self._indexes.using(request.path_params["name"]) as index:
                deleted = index.delete([id])
            if not deleted:
                raise Problem(404, f"the index holds no document {ascii(id)[:200]}")
            return {"deleted": deleted}

        return Json(await self._limits.in_thread(request, work, writes=True))

    def _check_writable(self) -> None:
        if self._read_only:
            raise Problem(403, "this server only reads; start it without --read-only to write")
