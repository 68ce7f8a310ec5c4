"""sync: what it shows while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

import retrieval.sync
from retrieval.documents import ReadOptions
from retrieval.index import Index
from retrieval.sync import SyncProgress, sync
from retrieval.sync.labels import Labeller
from retrieval.types import COMPRESSING, Embeddings, LateOptions, ProgressUpdate

from .fake_encoder import FakeEncoder
from .source_files import jsonl, write


def test_progress_ends_where_it_said(index: Index, docs: Path) -> None:
    seen: list[SyncProgress] = []
    sync(index, [docs], progress=seen.append)
    assert seen[0].files_total == 3
    assert seen[-1].files == 3
    assert (
        seen[-1].done
        == seen[-1].total
        == sum(file.stat().st_size for file in docs.rglob("*") if file.is_file())
    )
    assert seen[-1].passages == 3
    assert seen[-1].tokens > 0
    assert [now.files for now in seen] == sorted(now.files for now in seen)
    seen.clear()
    sync(index, [docs], progress=seen.append)
    assert seen == []  # nothing to do


@pytest.mark.parametrize("records", [1, 40])
def test_progress_is_of_what_is_encoded(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, records: int
) -> None:
    """Not of what is read, which is a moment for one long text, and for many short ones."""
    monkeypatch.setattr("retrieval.index.writing.encoding.BLOCK_CHARACTERS", 4000)
    words = [f"word{n}" for n in range(8000)]
    texts = [" ".join(words[n::records]) for n in range(records)]
    jsonl(tmp_path / "docs" / "a.jsonl", [{"text": text} for text in texts])
    seen: list[SyncProgress] = []
    sync(index, [tmp_path / "docs"], progress=seen.append)
    assert len(seen) > 8
    total, passages = seen[-1].total, seen[-1].passages
    assert total is not None
    for now in seen:
        assert now.done / total == pytest.approx(now.passages / passages, abs=0.15)
    assert seen[-1].done == total
    assert [now.done for now in seen] == sorted(now.done for now in seen)


def test_progress_tells_of_compression() -> None:
    seen: list[SyncProgress] = []
    run = retrieval.sync.run.Run(ReadOptions(), Labeller(()), seen.append)
    run.advance(ProgressUpdate(COMPRESSING, 3, 9, "token vectors"))
    run.advance(ProgressUpdate(COMPRESSING, 9, 9, "token vectors"))
    told = [(now.stage, now.done, now.total) for now in seen]
    assert told == [(COMPRESSING, 3, 9), ("encoding", 0, 0)]


def test_time_left(index: Index, docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrieval.sync.remaining._LEAST_S", 0.0)
    seen: list[SyncProgress] = []
    sync(index, [docs], progress=seen.append)
    known = [now.seconds_left for now in seen if now.seconds_left is not None]
    assert known
    assert known[-1] == 0
    assert all(left >= 0 for left in known)


def test_the_time_that_compressing_takes_is_not_taken_for_that_of_encoding(
    tmp_path: Path, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour of it leaves the speed of encoding as it was."""
    monkeypatch.setattr("retrieval.index.writing.compressing.TOGETHER", 100)
    monkeypatch.setattr("retrieval.index.writing.encoding.BLOCK_CHARACTERS", 400)
    monkeypatch.setattr("retrieval.index.writing.writer.COMMIT_CHANGES", 10)
    for number in range(60):
        words = " ".join(f"w{number} v{n}" for n in range(40))
        write(tmp_path / "docs" / f"{number:02}.txt", words)
    clock = [0.0]
    monkeypatch.setattr("retrieval.sync.run.time.monotonic", lambda: clock[0])
    real = encoder.encode_documents

    def encode(texts: Sequence[str]) -> Embeddings:
        clock[0] += sum(map(len, texts)) / 100
        return real(texts)

    monkeypatch.setattr(encoder, "encode_documents", encode)
    seen: list[tuple[str, float | None, float]] = []

    def note(now: SyncProgress) -> None:
        if now.stage == COMPRESSING:
            clock[0] += 3600
        seen.append((now.stage, now.seconds_left, clock[0]))

    late = LateOptions(exact_passages=100)
    with Index.create(tmp_path / "i", encoder=encoder, passage_tokens=8, late=late) as index:
        sync(index, [tmp_path / "docs"], progress=note)
    first = [stage for stage, _, _ in seen].index(COMPRESSING)
    after = [(left, at) for stage, left, at in seen[first:] if stage != COMPRESSING and left]
    assert len(after) > 20
    breaks = sum(stage == COMPRESSING for stage, _, at in seen)
    assert breaks > 1
    assert all(left < 1000 for left, _ in after)
