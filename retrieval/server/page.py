"""The page at `/`: a few static files that use the same API as programs."""

from __future__ import annotations

from importlib import resources

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

FILES = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    **{
        f"/{name}.js": (f"{name}.js", "text/javascript")
        for name in ("page", "common", "marks", "document", "overview")
    },
    "/page.svg": ("page.svg", "image/svg+xml"),
}
"""The file in `static/` and its media type, by path."""


def page_routes() -> list[Route]:
    """Routes that serve the files."""
    return [_route(path, *file) for path, file in FILES.items()]


def _route(path: str, name: str, kind: str) -> Route:
    content = (resources.files("retrieval.server") / "static" / name).read_bytes()

    async def answer(request: Request) -> Response:
        return Response(content, media_type=kind)

    return Route(path, answer, methods=["GET"])
