"""An index as a whole: made, moved, closed, compacted, its status."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from retrieval.errors import (
    IndexNotFound,
    StorageError,
)
from retrieval.index import Index
from retrieval.types import RETRIEVERS, Document, ProgressUpdate

from .fake_encoder import FakeEncoder
from .samples import CAT, DOG, FOX, ids


def test_no_index_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path, tmp_path / "nothing", tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(IndexNotFound, match="make one with `retrieval index PATH`"):
            Index.open(path)
        assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file"]  # left as it was


def test_where_no_index_can_be_made(tmp_path: Path, encoder: FakeEncoder) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match="no index can be created"):
        Index.create(tmp_path / "file", encoder=encoder)
    with pytest.raises(StorageError, match="contains other files"):
        Index.create(tmp_path, encoder=encoder)
    Index.create(tmp_path / "i", encoder=encoder).close()
    with pytest.raises(StorageError, match=r"there already is an index at"):
        Index.create(tmp_path / "i", encoder=encoder)


def test_an_index_whose_making_was_cut_short_is_none_and_can_be_made(
    tmp_path: Path, encoder: FakeEncoder
) -> None:
    folder = tmp_path / "i"
    folder.mkdir()
    (folder / "lock").touch()
    (folder / "store.sqlite").touch()
    with pytest.raises(IndexNotFound):
        Index.open(folder)
    with Index.create(folder, encoder=encoder) as index:
        assert index.add([DOG]) == 1


def test_a_moved_and_a_copied_index_work(
    index: Index, tmp_path: Path, encoder: FakeEncoder
) -> None:
    index.add([FOX, DOG, CAT])
    index.delete(["cat.txt"])
    shutil.copytree(index.path, tmp_path / "copy of it")  # while it is open
    expected = index.search("dog")
    index.close()
    index.path.rename(tmp_path / "moved")
    for name in ("copy of it", "moved"):
        with Index.open(tmp_path / name, encoder=encoder) as other:
            assert other.search("dog") == expected
            assert other.verify() == []
            assert other.add([CAT]) == 1
            assert other.verify() == []


def test_a_relative_path_stays_the_same_folder(
    tmp_path: Path, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Index.create("i", encoder=encoder) as index:
        monkeypatch.chdir("/")
        index.add([DOG])
        assert index.refresh() is False
        assert ids(index.search("dog")) == ["dog.txt"]
        assert index.verify() == []
        assert index.path == tmp_path / "i"


def test_a_closed_index_says_so(index: Index) -> None:
    index.close()
    index.close()
    for act in (
        lambda: index.search("x"),
        lambda: index.add([DOG]),
        lambda: index.get("x"),
        index.status,
        index.refresh,
        index.verify,
        index.compact,
    ):
        with pytest.raises(StorageError, match="was closed"):
            act()


def test_status(index: Index) -> None:
    index.add([FOX, DOG, Document("empty", "")])
    index.delete(["dog.txt"])
    status = index.status()
    assert (status.documents, status.passages, status.dead_passages) == (2, 1, 1)
    assert (status.generation, status.segments, status.files) == (2, 2, 0)
    assert (status.dense_dim, status.token_dim, status.passage_tokens) == (32, 16, 256)
    assert status.path == index.path
    assert status.bytes == sum(
        file.stat().st_size for file in index.path.rglob("*") if file.is_file()
    )
    assert sum(status.bytes_by_part.values()) == status.bytes
    for part, name in (("dense", "*/dense"), ("late", "*/late"), ("lexical", "*-lexical")):
        (folder,) = (index.path / "segments").glob(name)
        # tantivy's lock files are no part of what was committed
        held = [file for file in folder.rglob("*") if not file.name.endswith(".lock")]
        assert status.bytes_by_part[part] == sum(file.stat().st_size for file in held), part
    assert status.bytes_by_part["store"] >= (index.path / "store.sqlite").stat().st_size


def test_compact(index: Index, encoder: FakeEncoder) -> None:
    assert index.compact().dropped_passages == 0  # of nothing
    for n in range(5):
        index.add([Document(f"{n} {m}", f"text{n} and{m} " * 50) for m in range(10)])
    index.delete([f"{n} {m}" for n in range(5) for m in range(4)])
    queries = ["text1 and9", "and9", "text4"]
    before = index.search_batch(queries, retriever="late")
    encoded = len(encoder.encoded)
    report = index.compact()
    assert len(encoder.encoded) == encoded
    assert report.segments_before > report.segments_after == 2
    assert report.dropped_passages == 20
    assert index.status().dead_passages == 0
    assert report.bytes_after < report.bytes_before
    assert index.search_batch(queries, retriever="late") == before
    assert index.verify() == []
    index.add([DOG])
    assert ids(index.search("lazy dog", 1)) == ["dog.txt"]
    assert index.verify() == []


def test_many_small_commits_leave_few_segments(index: Index) -> None:
    for n in range(40):
        index.add([Document(f"d{n}", f"word{n} of a small commit")])
        assert index.status().segments <= 9 + 1
    for retriever in RETRIEVERS:
        for n in (0, 17, 39):
            assert ids(index.search(f"word{n}", 1, retriever=retriever)) == [f"d{n}"]
    on_disk = {path.name for path in (index.path / "segments").iterdir()}
    assert len(on_disk) == index.status().segments
    assert index.verify() == []


def test_progress_counts_up(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrieval.index.writing.encoding.BLOCK_CHARACTERS", 40)
    seen: list[ProgressUpdate] = []
    documents = [Document(f"d{n}", "five words are in here") for n in range(7)]
    index.add(documents, progress=seen.append)
    assert [now.done for now in seen] == sorted(now.done for now in seen)
    assert len(seen) > 2
    assert seen[-1] == ProgressUpdate("encoding", 7, None, "passages")
