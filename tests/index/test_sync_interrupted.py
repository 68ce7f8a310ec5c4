"""sync: stopped or disturbed on the way, it ends in what the files say all the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import retrieval.sync.run
from retrieval.documents import ReadResult, SourceFile
from retrieval.index import Index
from retrieval.index.writing.writer import Writer
from retrieval.sync import SyncProgress, sync

from .fake_encoder import FakeEncoder
from .source_files import counts, jsonl, write


def test_a_file_changed_back_after_an_interruption_is_read(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrieval.index.writing.writer.COMMIT_CHANGES", 5)

    def records(version: int) -> list[dict[str, object]]:
        return [{"_id": f"d{n}", "text": f"version {version}"} for n in range(20)]

    jsonl(tmp_path / "a.jsonl", records(1))
    sync(index, [tmp_path])
    jsonl(tmp_path / "a.jsonl", records(2), age=1)

    def interrupt(now: SyncProgress) -> None:
        if now.passages >= 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sync(index, [tmp_path], progress=interrupt)
    texts = {document.text for n in range(20) if (document := index.get(f"d{n}"))}
    assert texts == {"version 1", "version 2"}
    jsonl(tmp_path / "a.jsonl", records(1), age=2)
    assert counts(sync(index, [tmp_path]))[1] > 0
    texts = {document.text for n in range(20) if (document := index.get(f"d{n}"))}
    assert texts == {"version 1"}


@pytest.mark.parametrize("how", ["delete", "gone"])
def test_a_deletion_cut_short_is_made_good(
    index: Index, docs: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Every change is a commit here, and the one after the deletion does not come."""
    sync(index, [docs])
    kept = docs / "a.md", (docs / "a.md").read_text()
    with monkeypatch.context() as patch:
        patch.setattr("retrieval.index.writing.writer.COMMIT_CHANGES", 1)
        real = Writer.delete

        def delete(writer: Writer, number: int) -> None:
            real(writer, number)
            raise KeyboardInterrupt

        patch.setattr(Writer, "delete", delete)
        with pytest.raises(KeyboardInterrupt):
            if how == "delete":
                index.delete(["docs/a.md"])
            else:
                kept[0].unlink()
                sync(index, [docs])
    assert index.get("docs/a.md") is None
    write(*kept)
    assert counts(sync(index, [docs])) == (1, 0, 2, 0)
    assert index.get("docs/a.md") is not None


def test_a_file_edited_between_its_two_readings_is_read_whole(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = {"_id": "x", "text": "the x"}
    jsonl(tmp_path / "a.jsonl", [{"_id": "y", "text": "old"}])
    jsonl(tmp_path / "b.jsonl", [x])
    sync(index, [tmp_path])
    # x moves to the file that is read before the one that has it.
    jsonl(tmp_path / "a.jsonl", [{"_id": "y", "text": "old"}, x], age=1)
    jsonl(tmp_path / "b.jsonl", [{"_id": "z", "text": "the z"}], age=1)
    real, readings = retrieval.sync.run.read, []

    def read(source: SourceFile, options: object) -> ReadResult:
        readings.append(source.id)
        if readings.count("a.jsonl") == 2:
            jsonl(tmp_path / "a.jsonl", [{"_id": "y", "text": "new"}, x], age=2)
        return real(source, options)

    with monkeypatch.context() as patch:
        patch.setattr(retrieval.sync.run, "read", read)
        sync(index, [tmp_path])
    assert readings.count("a.jsonl") == 2
    sync(index, [tmp_path])
    for id, text in (("x", "the x"), ("y", "new"), ("z", "the z")):
        document = index.get(id)
        assert document is not None
        assert document.text == text
    assert counts(sync(index, [tmp_path])) == (0, 0, 3, 0)


def test_an_interrupted_sync_goes_on_where_it_was(
    index: Index, tmp_path: Path, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrieval.index.writing.writer.COMMIT_CHANGES", 10)
    for n in range(40):
        write(tmp_path / "docs" / f"{n:02}.txt", f"text{n}")
    jsonl(tmp_path / "docs" / "z.jsonl", [{"text": f"record{n}"} for n in range(40)])

    def interrupt_at(passages: int) -> Callable[[SyncProgress], None]:
        def interrupt(now: SyncProgress) -> None:
            if now.passages >= passages:
                raise KeyboardInterrupt

        return interrupt

    done = 0
    for passages in (15, 12, 18):
        with pytest.raises(KeyboardInterrupt):
            sync(index, [tmp_path / "docs"], progress=interrupt_at(passages))
        assert index.status().documents >= done
        assert index.verify() == []
        done = index.status().documents
    assert done > 20
    encoder.encoded.clear()
    report = sync(index, [tmp_path / "docs"])
    assert len(encoder.encoded) == report.added == 80 - done
    assert report.unchanged == done
    assert index.status().documents == 80
