"""The server's endpoints as data, and their OpenAPI 3.1 document."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from retrieval import __version__
from retrieval.server.ndjson import TYPE as NDJSON
from retrieval.server.paths import parameters_of, without_types
from retrieval.service.arguments import Argument, schema_of

Handler = Callable[[Request], Awaitable[Response]]

_MEANS = {"name": "an index's name, or `default` for the first", "id": "a document's id"}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one path.

    Attributes:
        method: HTTP method.
        path: with its parameters in braces.
        summary: one line.
        handler: handles requests.
        query: arguments in the URL.
        body: arguments of the JSON object in the body; None if there is none.
        example: an example of that object, or values for `query`.
        writes: whether it changes the index.
        answer: JSON Schema type of the response, or its media type if it is not JSON.
        line: arguments of the objects in a body of lines, instead of `body`.
        lines: whether the response can be lines.
    """

    method: str
    path: str
    summary: str
    handler: Handler
    query: Sequence[Argument] = ()
    body: Sequence[Argument] | None = None
    example: Mapping[str, Any] = field(default_factory=dict)
    writes: bool = False
    answer: str = "object"
    line: Sequence[Argument] | None = None
    lines: bool = False


def document(endpoints: Sequence[Endpoint], *, token: bool) -> dict[str, Any]:
    """The OpenAPI 3.1 document of these endpoints.

    https://spec.openapis.org/oas/v3.1.0

    Args:
        endpoints: all endpoints.
        token: whether requests have to send a token.
    """
    paths: dict[str, dict[str, Any]] = {}
    for one in endpoints:
        path = without_types(one.path)
        paths.setdefault(path, {})[one.method.lower()] = _operation(one)
    components: dict[str, Any] = {"schemas": {"Problem": _PROBLEM}}
    said: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "retrieval",
            "version": __version__,
            "description": "Search over indexed documents: lexical, dense, late interaction.",
        },
        "paths": paths,
        "components": components,
    }
    if token:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        said["security"] = [{"token": []}]
    return said


_PROBLEM = {
    "type": "object",
    "description": "An error as in RFC 9457; `code` is the error's class.",
    "properties": {
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "message": {"type": "string", "description": "the same as `detail`"},
        "code": {"type": "string"},
    },
    "required": ["title", "status", "detail"],
}


def _operation(one: Endpoint) -> dict[str, Any]:
    parameters = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _MEANS[name],
            "schema": {"type": "string"},
        }
        for name in parameters_of(one.path)
    ]
    for argument in one.query:
        schema = argument.schema()
        parameters.append(
            {
                "name": argument.name,
                "in": "query",
                "required": argument.required,
                "description": schema.pop("description"),
                "schema": schema,
            }
        )
    answers: dict[str, Any] = (
        {one.answer: {}}
        if "/" in one.answer
        else {"application/json": {"schema": {"type": one.answer}}}
    )
    if one.lines:
        answers[NDJSON] = {"schema": {"type": "string", "description": "one object per line"}}
    operation: dict[str, Any] = {
        "summary": one.summary,
        "operationId": _operation_id(one),
        "responses": {
            "200": {
                "description": "done",
                "content": answers,
            },
            "default": {
                "description": "an error",
                "content": {
                    "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
                },
            },
        },
    }
    if parameters:
        operation["parameters"] = parameters
    if one.body is not None:
        bodies: dict[str, Any] = {
            "application/json": {"schema": schema_of(one.body), "example": dict(one.example)}
        }
        if one.line is not None:
            # OpenAPI 3.1 cannot describe the lines; 3.2 has itemSchema.
            bodies[NDJSON] = {"schema": {"type": "string"}, "x-itemSchema": schema_of(one.line)}
        operation["requestBody"] = {"required": True, "content": bodies}
    return operation


def _operation_id(one: Endpoint) -> str:
    words = re.findall(r"\w+", without_types(one.path))
    return "_".join([one.method.lower(), *words])
