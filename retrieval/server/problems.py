"""Errors as responses: RFC 9457, with one line of what was found, expected and to do."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from retrieval.cancellation import CancelledError
from retrieval.errors import (
    EncoderError,
    IndexLocked,
    IndexNotFound,
    InputError,
    MissingDependency,
    RetrievalError,
)
from retrieval.server.answers import Json

CLIENT_GONE = 499
"""nginx's status for a request whose client disconnected; nobody reads it."""


class Problem(Exception):  # noqa: N818 -- the RFC's word
    """An error response.

    Attributes:
        status: HTTP status.
        detail: one line.
        headers: headers to send with it.
    """

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True)
class Described:
    """An error in the form of a response.

    Attributes:
        status: HTTP status.
        detail: one line.
        code: the class of the error, if it has one.
        headers: headers to send with it.
    """

    status: int
    detail: str
    code: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> dict[str, Any]:
        """The JSON object."""
        line = " ".join(self.detail.split())
        title = HTTPStatus(self.status).phrase
        body: dict[str, Any] = {"title": title, "status": self.status, "detail": line}
        body["message"] = line  # shown by OpenAI's and Cohere's clients
        return body | ({"code": self.code} if self.code else {})

    def answer(self) -> Response:
        """The `application/problem+json` response."""
        answer = Json(self.body, self.status, self.headers)
        answer.headers["content-type"] = "application/problem+json"
        return answer


def problem(
    status: int, detail: str, *, code: str = "", headers: Mapping[str, str] | None = None
) -> Response:
    """An `application/problem+json` response; `code` is the class of the error, if it has one."""
    return Described(status, detail, code, headers or {}).answer()


def described(error: Exception) -> Described:
    """The description of the response to an error."""
    if isinstance(error, Problem):
        return Described(error.status, error.detail, headers=error.headers)
    if isinstance(error, CancelledError):
        return Described(CLIENT_GONE, "")
    code = type(error).__name__
    if isinstance(error, RetrievalError):
        headers = {"retry-after": "5"} if isinstance(error, IndexLocked) else {}
        return Described(_status(error), str(error), code, headers)
    traceback.print_exception(error, file=sys.stderr)
    return Described(500, f"unexpected {code}; the server's log has the traceback", code)


def answer_to(error: Exception) -> Response:
    """The response to an error."""
    said = described(error)
    return Response(status_code=CLIENT_GONE) if said.status == CLIENT_GONE else said.answer()


async def answer_to_http(request: Request, error: Exception) -> Response:
    """The response if no route matches, or none for the method."""
    status = int(getattr(error, "status_code", 500))
    headers: Mapping[str, str] = getattr(error, "headers", None) or {}
    if status == 405:
        allowed = ", ".join(_methods_at(request))
        headers = {**headers, "allow": allowed}
        detail = f"this path is not for {request.method}; it is for {allowed}"
    elif status == 404:
        detail = "there is nothing at this path; /openapi.json lists all paths"
    else:
        detail = str(getattr(error, "detail", "") or HTTPStatus(status).phrase)
    return problem(status, detail, headers=headers)


def _methods_at(request: Request) -> list[str]:
    """The methods of all routes of a request's path; Starlette itself names those of the first."""
    return sorted(
        method
        for route in request.app.routes
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE
        for method in route.methods or ()
    )


def _status(error: RetrievalError) -> int:
    match error:
        case InputError():
            return 400
        case IndexNotFound():
            return 404
        case IndexLocked():
            return 409
        case EncoderError():
            return 422
        case MissingDependency():
            return 501
    return 503
