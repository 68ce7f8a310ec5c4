"""JSON responses for any text."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import JSONResponse, Response


def as_json(value: Any) -> bytes:
    """JSON in UTF-8, on one line; half a surrogate pair, which UTF-8 lacks, as an escape."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii")


class Json(JSONResponse):
    """A response with a JSON value."""

    def render(self, content: Any) -> bytes:
        """The response body."""
        return as_json(content)


def json_answer(body: bytes) -> Response:
    """A response from bytes of `as_json`."""
    return Response(body, media_type=Json.media_type)
