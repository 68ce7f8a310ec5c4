"""`/v1/indexes`, and an index's status and documents: listing, getting, adding, deleting."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

import anyio.to_thread
from anyio import CancelScope
from starlette.requests import Request
from starlette.responses import Response

from retrieval.errors import InputError
from retrieval.server.answers import Json
from retrieval.server.indexes import Indexes
from retrieval.server.ndjson import (
    TYPE,
    JsonLines,
    batches_of,
    brings_lines,
    value_of,
    wants_lines,
)
from retrieval.server.problems import Problem
from retrieval.server.requests import Limits, arguments_of, query_of
from retrieval.service.arguments import Argument, checked
from retrieval.service.json_shape import plain_value, status_as_dict
from retrieval.service.opened import add, add_each, delete
from retrieval.types import Document

MOST_DOCUMENTS = 1000

DEFAULT_DOCUMENTS = 100
"""Default number of documents per page."""

MOST_REFUSED = 1000
"""Maximum refused lines of a request; with more, it is not a collection of documents."""

_LISTED_AT_ONCE = 100

LIST = (
    Argument("where", "string", "which documents: see filters.md"),
    Argument("after", "string", "only ids that come after this one"),
    Argument(
        "limit",
        "integer",
        f"maximum number; {DEFAULT_DOCUMENTS} if not given, or all as lines",
        least=1,
    ),
    Argument("texts", "boolean", "whether to include texts; only as lines", default=False),
)
DOCUMENT = (
    Argument("id", "string", "the document's own id", required=True, longest=4096),
    Argument("text", "string", "its text", required=True, longest=16 << 20),
    Argument("title", "string", "its title", default=""),
    Argument("metadata", "object", "values for filters"),
)
ADD = (Argument("documents", "objects", "what to add", required=True, most=MOST_DOCUMENTS),)
DELETE = (
    Argument("where", "string", "which documents: see filters.md"),
    Argument("id", "string", "the document to delete"),
)


class Documents:
    """Handlers of the routes."""

    def __init__(self, indexes: Indexes, limits: Limits, *, read_only: bool) -> None:
        self._indexes = indexes
        self._limits = limits
        self._read_only = read_only

    async def names(self, request: Request) -> Response:
        """The indexes; the first is the default."""
        query_of(request, ())
        return Json({"indexes": self._indexes.names})

    async def status(self, request: Request) -> Response:
        """The status of an index."""
        query_of(request, ())

        def look() -> dict[str, Any]:
            with self._indexes.using(request.path_params["name"]) as index:
                return status_as_dict(index.status())

        return Json(await self._limits.in_thread(request, look))

    async def listed(self, request: Request) -> Response:
        """An index's documents in the order of their ids: a page, or all of them as lines."""
        values = query_of(request, LIST)
        if wants_lines(request):
            return await JsonLines.begun(self._lines(request, values))
        limit = values["limit"] or DEFAULT_DOCUMENTS
        if limit > MOST_DOCUMENTS or values["texts"]:
            raise InputError(
                f"a page has at most {MOST_DOCUMENTS} documents, without their texts; "
                f"request lines with the header `Accept: {TYPE}`"
            )

        def look() -> dict[str, Any]:
            with self._indexes.using(request.path_params["name"]) as index:
                rows = [
                    _listed(one, texts=False)
                    for one in index.documents(values["where"], after=values["after"], limit=limit)
                ]
            return {"documents": rows, "next_after": rows[-1]["id"] if len(rows) == limit else None}

        return Json(await self._limits.in_thread(request, look))

    async def _lines(
        self, request: Request, values: Mapping[str, Any]
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Documents of one generation, in batches, as fast as the client reads them."""

        def found() -> Generator[dict[str, Any]]:
            with self._indexes.using(request.path_params["name"]) as index:
                for one in index.documents(
                    values["where"], after=values["after"], limit=values["limit"]
                ):
                    yield _listed(one, texts=values["texts"])

        # It begins and ends in threads: opening an index, or closing one, may take long.
        listed = found()
        try:
            while rows := await self._limits.in_thread(
                request, lambda: list(itertools.islice(listed, _LISTED_AT_ONCE))
            ):
                for row in rows:
                    yield row
        finally:
            with CancelScope(shield=True):
                await anyio.to_thread.run_sync(listed.close)

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
        """Add documents, or replace those with the same ids: from a list, or one per line."""
        self._check_writable()
        name = self._indexes.named(request.path_params["name"])
        if brings_lines(request):
            query_of(request, ())
            return await JsonLines.begun(self._added(request, name))
        values = await arguments_of(request, self._limits, ADD)
        documents = [_numbered(*one) for one in enumerate(values["documents"])]

        def work() -> dict[str, Any]:
            with self._indexes.using(name) as index:
                changed = add(index, documents)
            return {"given": len(documents), "changed": changed}

        return Json(await self._limits.in_thread(request, work, writes=True))

    async def _added(self, request: Request, name: str) -> AsyncGenerator[dict[str, Any], None]:
        """Add documents from a body of lines; reports progress and refused lines.

        Each line is independent: invalid ones are left out. Other writers may come in between.
        """
        told: dict[str, Any] = {"given": 0, "changed": 0, "refused": 0}
        async with aclosing(batches_of(request, self._limits)) as batches:
            async for batch in batches:
                changed, refused = await self._limits.write(partial(self._add, name, batch))
                if len(refused) == len(batch) and not told["given"]:
                    raise Problem(400, "line {line}: {detail}".format(**refused[0]))
                told["given"] += len(batch)
                told["changed"] += changed
                told["refused"] += len(refused)
                for one in refused:
                    yield {"refused": one}
                if told["refused"] > MOST_REFUSED:
                    raise Problem(400, f"{told['refused']} lines were refused; see the first")
                yield {**told, "done": False}
        yield {**told, "done": True}

    def _add(
        self, name: str, lines: Sequence[tuple[int, bytes]]
    ) -> tuple[int, list[dict[str, Any]]]:
        """Add documents; returns how many changed, and `line` and `detail` of those refused."""
        documents: list[Document] = []
        numbers: list[int] = []
        refused: list[dict[str, Any]] = []
        for number, line in lines:
            try:
                given = value_of(line)
                if not isinstance(given, dict):
                    raise InputError("the line is not a JSON object; see /openapi.json")
                documents.append(_document(given))
                numbers.append(number)
            except (InputError, Problem) as error:
                refused.append({"line": number, "detail": str(error)})
        with self._indexes.using(name) as index:
            changed, left_out = add_each(index, documents)
        refused += [{"line": numbers[place], "detail": reason} for place, reason in left_out]
        refused.sort(key=lambda one: one["line"])
        return changed, refused

    async def delete(self, request: Request) -> Response:
        """Delete the document with an id, or those that match a filter."""
        self._check_writable()
        values = query_of(request, DELETE)
        if (values["id"] is None) == (values["where"] is None):
            raise InputError("give one of `id` and `where`")
        if values["where"] is not None and not values["where"].strip():
            raise InputError("where is empty, which matches every document; give `true` for that")

        def work() -> dict[str, Any]:
            with self._indexes.using(request.path_params["name"]) as index:
                ids = None if values["id"] is None else [values["id"]]
                return {"deleted": delete(index, ids, where=values["where"])}

        return Json(await self._limits.in_thread(request, work, writes=True))

    async def delete_one(self, request: Request) -> Response:
        """Delete a document."""
        self._check_writable()
        query_of(request, ())
        id = request.path_params["id"]

        def work() -> dict[str, Any]:
            with self._indexes.using(request.path_params["name"]) as index:
                deleted = delete(index, [id])
            if not deleted:
                raise Problem(404, f"the index holds no document {ascii(id)[:200]}")
            return {"deleted": deleted}

        return Json(await self._limits.in_thread(request, work, writes=True))

    def _check_writable(self) -> None:
        if self._read_only:
            raise Problem(
                403,
                "this server is read-only; to write, start it without --read-only, and with "
                "--allow-write if other machines can reach it",
            )


def _numbered(place: int, given: Mapping[str, Any]) -> Document:
    try:
        return _document(given)
    except InputError as error:
        raise InputError(f"documents[{place}]: {error}") from None


def _document(given: Mapping[str, Any]) -> Document:
    one = checked(DOCUMENT, given)
    return Document(one["id"], one["text"], one["title"], one["metadata"] or {})


def _listed(document: Document, *, texts: bool) -> dict[str, Any]:
    shaped: dict[str, Any] = plain_value(document)
    return shaped if texts else {name: one for name, one in shaped.items() if name != "text"}
