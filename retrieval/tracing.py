"""Spans of OpenTelemetry where its API is installed, and nothing where it is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeAlias

Tell: TypeAlias = Callable[..., None]
"""Takes attributes of a span by their names, once they are known."""


@contextmanager
def span(name: str, **attributes: Any) -> Iterator[Tell]:
    """A span called `retrieval.NAME` as long as the block runs; an exception is recorded in it.

    Args:
        name: what is done.
        attributes: texts, numbers and booleans, which are called `retrieval.KEY`.
    """
    tracer = _tracer()
    if tracer is None:
        yield _ignore
        return
    with tracer.start_as_current_span(f"retrieval.{name}") as current:

        def tell(**known: Any) -> None:
            for key, value in known.items():
                current.set_attribute(f"retrieval.{key}", value)

        tell(**attributes)
        yield tell


def _ignore(**known: Any) -> None:
    """Nobody asked."""


@cache
def _tracer() -> Any:
    try:
        from opentelemetry import trace
    except ImportError:
        return None
    return trace.get_tracer("retrieval")
