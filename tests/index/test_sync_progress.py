"""sync: what it shows while it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

import retrieval.sync
from retrieval.documents import ReadOptions
from retrieval.index import Index
from retrieval.sync import SyncProgress, sync
from retrieval.types import COMPRESSING, ProgressUpdate

from .source_files import jsonl


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
    monkeypatch.setattr("retrieval.index.writing.writer.BLOCK_CHARACTERS", 4000)
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
    run = retrieval.sync.run.Run(ReadOptions(), seen.append)
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
