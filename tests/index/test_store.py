"""What the store promises below the index: one transaction, durable, numbers never used twice."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from retrieval.errors import IndexCorrupted, IndexLocked, StorageError
from retrieval.files.packed import packed
from retrieval.index import Index
from retrieval.store import (
    Commit,
    NewDocument,
    PassageRow,
    Settings,
    Store,
    StoreWriter,
    files,
    schema,
    writing,
)
from retrieval.store.files import SegmentRecord, check_contents, seal
from retrieval.store.guard import is_disk_full, sqlite_errors, translate
from retrieval.store.writing import Relabel
from retrieval.types import Document

from .fake_encoder import FakeEncoder

SETTINGS = Settings("name", "source", "ab12", 8, None, 256)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    schema.create(tmp_path, SETTINGS)
    (tmp_path / "segments").mkdir()
    return tmp_path


def new(number: int, text: str = "one two") -> NewDocument:
    rows = [PassageRow(number * 10 + place, number, place, 0, 3, 1, 1) for place in range(2)]
    return NewDocument(number, Document(f"d{number}", text, "t", {"n": number}), None, rows)


def test_what_goes_in_comes_out(folder: Path) -> None:
    writer = StoreWriter(folder)
    assert writer.settings == SETTINGS
    segment = files.SegmentRecord("s1", "vectors", 4, {"a/b": files.FileRecord(3, "ff")})
    writer.commit(Commit(add=[new(1), new(2)], add_segments=[segment], next_segment=2))
    writer.close()
    store = Store(folder)
    assert store.generation == 1
    assert store.segments == (segment,)
    assert (store.next_document, store.next_passage, store.next_segment) == (3, 22, 2)
    assert store.get("d1") == Document("d1", "one two", "t", {"n": 1})
    assert store.passage_ids().tolist() == [10, 11, 20, 21]
    assert store.passages_of(2) == new(2).passages
    assert store.matching("d.id = ?", ["d2"]).tolist() == [20, 21]
    assert store.passages(list(range(5000))).keys() == {10, 11, 20, 21}  # beyond SQLite's limit
    store.close()
    with pytest.raises(StorageError, match="was closed"):
        store.get("d1")


def test_a_commit_is_all_or_nothing(folder: Path) -> None:
    writer = StoreWriter(folder)
    writer.commit(Commit(add=[new(1)]))
    with pytest.raises(sqlite3.IntegrityError):
        writer.commit(Commit(delete=[1], add=[new(2), new(2)]))
    assert writer.generation == 1
    assert [writer.get(f"d{n}") is not None for n in (1, 2)] == [True, False]
    writer.commit(Commit(delete=[1], add=[new(2)]))  # the failed one left no transaction behind
    assert writer.generation == 2
    assert writer.dead().tolist() == [10, 11]
    writer.commit(Commit(buried=np.array([10], np.int64)))
    assert writer.dead().tolist() == [11]
    writer.close()


def test_a_store_holds_its_generation(folder: Path) -> None:
    writer = StoreWriter(folder)
    writer.commit(Commit(add=[new(1)]))
    before = Store(folder)
    changed = Document("d1", "one two", "t", {"n": "changed"})
    writer.commit(Commit(add=[new(2)], relabel=[Relabel(1, changed, "file")]))
    writer.vacuum()
    writer.checkpoint()
    after = Store(folder)
    assert (before.generation, after.generation) == (1, 2)
    assert before.get("d2") is None
    assert before.get("d1") == new(1).document
    assert after.get("d1") == changed
    assert after.ids_of_source("file") == {"d1": 1}
    assert list(after.integrity()) == []
    for store in (before, after, writer):
        store.close()


def test_older_texts_are_packed_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def counted(text: str) -> str | bytes:
        tried.append(text)
        return packed(text)

    long = Document("long", "one two " * 99)
    with contextlib.closing(StoreWriter(folder)) as writer:
        writer.commit(Commit(add=[new(1), NewDocument(2, long, None, [])]))
        monkeypatch.setattr(writing, "packed", counted)
        writer.vacuum()
        assert not tried, "a new index packs what comes"
        with writer._reading() as database:  # as an older format has it
            database.execute("UPDATE texts SET text = ? WHERE document = 2", (long.text,))
            database.execute("DELETE FROM meta WHERE key = 'packed'")
        writer.vacuum()
        assert sorted(tried) == ["one two", long.text]
        writer.vacuum()
        assert len(tried) == 2, "what does not become smaller is left alone"
        assert writer.get("long") == long
        with writer._reading() as database:
            kinds = database.execute("SELECT typeof(text) FROM texts ORDER BY document").fetchall()
        assert kinds == [("text",), ("blob",)]


def test_a_commit_outlives_a_power_cut(folder: Path) -> None:
    writer = StoreWriter(folder)
    with writer._reading() as database:
        assert database.execute("PRAGMA synchronous").fetchone() == (2,)
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    writer.close()


def test_files_and_folders_are_on_the_disk_before_the_commit(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    forced: set[str] = set()
    # A file that the generation before had too is linked: it was forced under its other name.
    contents: set[int] = set()
    real_fsync, real_commit = os.fsync, StoreWriter.commit

    def fsync(descriptor: int) -> None:
        forced.add(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        contents.add(os.fstat(descriptor).st_ino)
        real_fsync(descriptor)

    def commit(store: StoreWriter, change: Commit) -> None:
        segments = store.folder / "segments"
        assert str(segments) in forced
        for segment in change.add_segments:
            for name in segment.files:
                file = segments / segment.name / name
                stat = file.stat()
                assert str(file) in forced or (stat.st_nlink > 1 and stat.st_ino in contents)
                assert {str(file.parent), str(segments / segment.name)} <= forced
        real_commit(store, change)
        forced.clear()

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("no /proc to see what is forced to the disk")
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(StoreWriter, "commit", commit)
    for n in range(10):  # the last one merges
        index.add([Document(f"d{n}", f"word{n}")])
    index.delete(["d1"])
    index.compact()
    assert index.status().generation == 12


def test_numbers_are_never_used_twice(index: Index) -> None:
    seen: set[int] = set()
    names: set[str] = set()
    for n in range(6):
        index.add([Document("a", f"text{n}"), Document(f"b{n}", "more")])
        if n % 2:
            index.compact()
        store = Store(index.path)
        row = store.find("a")
        assert row is not None
        (passage,) = store.passages_of(row.number)
        assert passage.id not in seen
        seen.add(passage.id)
        fresh = {segment.name for segment in store.segments} - names
        assert max(fresh) > max(names, default="")
        names |= fresh
        store.close()
    index.delete(["a", *(f"b{n}" for n in range(6))])
    index.compact()
    index.add([Document("a", "text")])
    store = Store(index.path)
    assert store.passage_ids().min() > max(seen)
    store.close()


def test_the_log_does_not_grow_without_end(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrieval.index.writing.session._LOG_BYTES", 200_000)
    sizes = []
    for n in range(12):
        index.add([Document(f"d{n}", f"word{n} " * 10_000)])  # 70 kB each
        sizes.append((index.path / "store.sqlite-wal").stat().st_size)
    assert max(sizes) < 600_000
    assert (index.path / "store.sqlite").stat().st_size > 600_000


def test_garbage_that_resists_the_sweep_does_no_harm(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_rmtree = shutil.rmtree

    def refuse(path: Path, **options: bool) -> None:
        if Path(path).is_relative_to(index.path):
            raise PermissionError(errno.EPERM, "not permitted", str(path))
        real_rmtree(path, **options)

    (index.path / "segments" / "00000001-vectors").mkdir()
    (index.path / "segments" / "stray file").write_text("x")
    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", refuse)
        index.add([Document("a", "text")])
        index.add([Document("a", "other")])
    assert index.verify() == []
    index.add([Document("b", "text")])
    held = {path.name for path in (index.path / "segments").iterdir()}
    assert len(held) == index.status().segments


def test_a_lock_that_cannot_be_had(index: Index, tmp_path: Path) -> None:
    (index.path / "lock").unlink()
    (index.path / "lock").mkdir()
    with pytest.raises(StorageError, match=r"lock cannot be opened for writing \(Is a directory\)"):
        index.add([Document("a", "text")])


def error_of(code: int, message: str = "said SQLite") -> sqlite3.Error:
    error = sqlite3.OperationalError(message)
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "kind", "match"),
    [
        (error_of(sqlite3.SQLITE_CORRUPT), IndexCorrupted, "x.db is damaged"),
        (error_of(sqlite3.SQLITE_NOTADB), IndexCorrupted, "x.db is damaged"),
        (error_of(sqlite3.SQLITE_IOERR_SHORT_READ), IndexCorrupted, "x.db is damaged"),
        (error_of(sqlite3.SQLITE_ERROR, "no such table: a"), IndexCorrupted, "no such table"),
        (sqlite3.OperationalError("Could not decode to UTF-8"), IndexCorrupted, "not UTF-8"),
        (error_of(sqlite3.SQLITE_FULL), StorageError, "no space left"),
        (error_of(sqlite3.SQLITE_BUSY), IndexLocked, "busy"),
        (error_of(sqlite3.SQLITE_READONLY), StorageError, "cannot be written"),
        (error_of(sqlite3.SQLITE_CANTOPEN), StorageError, "cannot be opened"),
        (error_of(sqlite3.SQLITE_IOERR_FSYNC), StorageError, "check the disk"),
    ],
)
def test_what_sqlite_says_in_a_user_s_words(
    error: sqlite3.Error, kind: type[StorageError], match: str
) -> None:
    with pytest.raises(kind, match=match) as caught, sqlite_errors(Path("x.db")):
        raise error
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)


def test_a_full_disk_is_named_when_nothing_can_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=4096))
    said = translate(error_of(sqlite3.SQLITE_IOERR_SHMSIZE), Path("x.db"))
    assert "no space left" in str(said)


def test_a_mistake_in_a_statement_stays_one() -> None:
    assert translate(error_of(sqlite3.SQLITE_ERROR, "near X: syntax error"), Path("x.db")) is None
    with pytest.raises(sqlite3.ProgrammingError), sqlite_errors(Path("x.db")):
        raise sqlite3.ProgrammingError("wrong number of bindings")


def chained(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "x"), True),
        (OSError(errno.EDQUOT, "x"), True),
        (OSError(errno.EACCES, "x"), False),
        (error_of(sqlite3.SQLITE_FULL), True),
        (error_of(sqlite3.SQLITE_CORRUPT), False),
        (chained(StorageError("cannot write"), OSError(errno.ENOSPC, "x")), True),
        (chained(StorageError("cannot write"), OSError(errno.EIO, "x")), False),
        (ValueError("IoError: No space left on device"), True),
    ],
)
def test_a_full_disk_is_told_from_other_errors(error: BaseException, full: bool) -> None:
    assert is_disk_full(error) is full


def test_a_segment_is_summed_up_once(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hard link to a file that was read before is not read again at every commit."""
    index.add([Document(f"d{n}", f"word{n} and more") for n in range(50)])
    read: list[str] = []
    real = files._digest

    def digest(stream: Any) -> str:
        read.append(Path(stream.name).name)
        return real(stream)

    monkeypatch.setattr(files, "_digest", digest)
    index.add([Document("one more", "text")])
    store = Store(index.path)
    (lexical,) = store.of_kind("lexical")
    store.close()
    assert 0 < len(set(read) & lexical.files.keys()) < len(lexical.files)
    assert index.verify() == []


@pytest.mark.parametrize("size", [1000, 3 << 20])
def test_a_file_that_is_altered_is_named_by_however_many_threads(tmp_path: Path, size: int) -> None:
    for place in range(5):
        (tmp_path / f"{place}.idx").write_bytes(os.urandom(size))
    record = SegmentRecord(
        "lexical", "lexical", 1, seal(tmp_path, previous=None, known={}, rights=0o700)
    )
    whole = check_contents(tmp_path, record, most=16 * size)
    assert len(whole) == 5
    assert len(check_contents(tmp_path, record, most=3 * size)) == 3
    assert check_contents(tmp_path, record, most=0, known=whole) == whole
    with (tmp_path / "3.idx").open("r+b") as file:
        file.write(b"another")
    with pytest.raises(IndexCorrupted, match=r"3\.idx is damaged: its checksum"):
        check_contents(tmp_path, record, most=16 * size)


def test_a_fake_encoder_is_an_encoder() -> None:
    from retrieval.types import Encoder

    assert isinstance(FakeEncoder(), Encoder)
