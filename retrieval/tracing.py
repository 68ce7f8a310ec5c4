"""OpenTelemetry spans where its API is installed; without it, nothing happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeAlias

Tell: TypeAlias = Callable[..., None]
"""Sets attributes of a span, given as keyword arguments."""


@contextmanager
def span(name: str, **attributes: Any) -> Iterator[Tell]:
    """A span `retrieval.NAME` around the block; an exception is recorded in it.

    Args:
        name: the operation.
        attributes: strings, numbers and booleans, recorded as `retrieval.KEY`.
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
    """Used where there is no tracer."""


@cache
def _tracer() -> Any:
    try:
        from opentelemetry import trace
    except ImportError:
        return None
    return trace.get_tracer("retrieval")
