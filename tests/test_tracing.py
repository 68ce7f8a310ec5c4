"""Spans of OpenTelemetry where its API is installed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from retrieval import Document, Index, tracing
from retrieval.errors import InputError
from tests.index.fake_encoder import FakeEncoder


class Recorded:
    """A span that keeps what it is told."""

    def __init__(self, name: str) -> None:
        self.name, self.attributes, self.error = name, {}, None  # type: ignore[var-annotated]

    def set_attribute(self, key: str, value: Any) -> None:
        self.attributes[key] = value


class Recorder:
    """A tracer that keeps its spans."""

    def __init__(self) -> None:
        self.spans: list[Recorded] = []

    @contextmanager
    def start_as_current_span(self, name: str) -> Iterator[Recorded]:
        self.spans.append(Recorded(name))
        try:
            yield self.spans[-1]
        except BaseException as error:
            self.spans[-1].error = error  # type: ignore[assignment]
            raise


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    trace = pytest.importorskip("opentelemetry.trace")
    made = Recorder()
    monkeypatch.setattr(trace, "get_tracer", lambda name: made if name == "retrieval" else None)
    tracing._tracer.cache_clear()
    yield made
    tracing._tracer.cache_clear()


def test_searches_and_commits_are_spans(tmp_path: Path, recorder: Recorder) -> None:
    with Index.create(tmp_path / "i", encoder=FakeEncoder()) as index:
        index.add([Document("a", "A lock."), Document("b", "A snapshot.")])
        index.search("lock", k=1, retriever="lexical")
        index.search_batch(["lock", "snapshot"], k=2, retriever="dense")
        with pytest.raises(InputError):
            index.search("lock", k=0)
    commit, first, batch, wrong = recorder.spans
    assert (commit.name, commit.attributes) == (
        "retrieval.commit",
        {"retrieval.documents": 2, "retrieval.deleted": 0},
    )
    assert first.name == "retrieval.search"
    assert first.attributes == {
        "retrieval.retriever": "lexical",
        "retrieval.queries": 1,
        "retrieval.k": 1,
        "retrieval.hits": 1,
        "retrieval.generation": 1,
    }
    assert (batch.attributes["retrieval.queries"], batch.attributes["retrieval.hits"]) == (2, 4)
    assert isinstance(wrong.error, InputError)


def test_without_it_nothing_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    tracing._tracer.cache_clear()
    try:
        with tracing.span("search", k=3) as tell:
            tell(hits=1)
    finally:
        tracing._tracer.cache_clear()


def test_with_its_api_alone_spans_go_nowhere() -> None:
    pytest.importorskip("opentelemetry.trace")
    tracing._tracer.cache_clear()
    with pytest.raises(ZeroDivisionError), tracing.span("search", k=3) as tell:
        tell(hits=1 // 0)
