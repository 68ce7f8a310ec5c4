"""Many readers beside one writer: what a reader sees is one generation, whole."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path

import pytest

from retrieval.errors import IndexLocked, InputError, StorageError
from retrieval.index import Index
from retrieval.types import Document

from .fake_encoder import FakeEncoder
from .generations import SIZE, check_one_generation, generation, read_until, write_rounds


def reading_process(folder: Path, start: Barrier, stop: Event) -> None:
    with Index.open(folder, encoder=FakeEncoder()) as index:
        check_one_generation(index)
    start.wait(60)
    assert read_until(folder, stop.is_set) > 2


@pytest.fixture
def folder(index: Index) -> Path:
    index.add(generation(0))
    return index.path


@pytest.mark.slow
def test_threads_read_while_another_index_writes(folder: Path) -> None:
    done = threading.Event()
    with ThreadPoolExecutor(4) as pool:
        readers = [pool.submit(read_until, folder, done.is_set) for _ in range(3)]
        try:
            write_rounds(folder, count=8)
        finally:
            done.set()
        assert all(reader.result(60) > 2 for reader in readers)


@pytest.mark.slow
def test_processes_read_while_this_one_writes(folder: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start, done = context.Barrier(3), context.Event()
    readers = [
        context.Process(target=reading_process, args=(folder, start, done)) for _ in range(2)
    ]
    for reader in readers:
        reader.start()
    start.wait(60)
    write_rounds(folder, count=8)
    done.set()
    for reader in readers:
        reader.join(60)
    assert [reader.exitcode for reader in readers] == [0, 0]


def test_threads_share_one_index_that_writes(index: Index) -> None:
    """Searches go on in the same Index while it commits, merges, compacts and moves on."""
    index.add(generation(0))
    done = threading.Event()

    def search() -> int:
        rounds = 0
        while not done.is_set():
            texts = {hit.text.split()[0] for hit in index.search("shared", 100)}
            assert len(texts) == 1
            rounds += 1
        return rounds

    with ThreadPoolExecutor(4) as pool:
        searchers = [pool.submit(search) for _ in range(3)]
        try:
            for number in range(1, 9):
                index.add(generation(number))
            index.compact()
        finally:
            done.set()
        assert all(searcher.result(60) > 3 for searcher in searchers)
    assert check_one_generation(index) == 8


def test_writing_threads_of_one_index_wait_for_each_other(index: Index) -> None:
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(index.add, [Document(f"d{n}", f"word{n}")]) for n in range(12)]
        assert [job.result(60) for job in jobs] == [1] * 12
    assert index.status().documents == 12
    assert index.verify() == []


def test_a_writing_call_cannot_wait_for_itself(index: Index) -> None:
    def documents() -> Iterator[Document]:
        yield Document("a", "word")
        index.delete(["b"])
        yield Document("never", "word")

    for nested in (
        lambda: index.add(documents()),
        lambda: index.add([Document("c", "word")], progress=lambda *_: index.compact()),
    ):
        with pytest.raises(InputError, match="from within a call that is changing it"):
            nested()
    assert index.add([Document("d", "word")]) == 1
    assert index.get("never") is None


def test_status_beside_a_writer_that_sweeps(folder: Path) -> None:
    with Index.open(folder, encoder=FakeEncoder()) as reader, ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write_rounds, folder, count=12)
        while not writing.done():
            assert reader.status().bytes > 0
        writing.result()


def test_status_when_a_folder_goes_while_it_is_walked(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, gone = os.scandir, []

    def scandir(path: str) -> object:
        if isinstance(path, str) and Path(path).parent.name == "segments" and not gone:
            gone.append(path)
            shutil.rmtree(path)
        return real(path)

    with Index.open(folder, encoder=FakeEncoder()) as reader:
        whole = reader.status().bytes
        monkeypatch.setattr(os, "scandir", scandir)
        assert 0 < reader.status().bytes < whole
    assert gone


def test_a_reader_without_rights_is_told_of_another_s_commit(
    index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing can be locked in a folder that is not writable; who owns it may write."""
    told = r"store\.sqlite has changed since it was opened"
    index.close()  # and with it the write-ahead log goes
    with monkeypatch.context() as patch:
        patch.setattr("retrieval.store.schema.os.access", lambda *_: False)
        reader = Index.open(folder, encoder=FakeEncoder())
    with reader:
        assert check_one_generation(reader) == 0
        write_rounds(folder, count=1)
        for ask in (lambda: reader.search("shared"), lambda: reader.get("d0"), reader.status):
            with pytest.raises(StorageError, match=told):
                ask()
        assert reader.refresh()
        assert check_one_generation(reader) == 1


def test_a_reader_keeps_its_generation_whatever_is_swept(folder: Path) -> None:
    with Index.open(folder, encoder=FakeEncoder()) as reader:
        write_rounds(folder, count=6)
        assert check_one_generation(reader) == 0
        shutil.rmtree(folder / "segments")  # not even then: all of it is open
        assert check_one_generation(reader) == 0


def test_refresh_moves_on_and_says_so(folder: Path) -> None:
    with Index.open(folder, encoder=FakeEncoder()) as reader:
        assert not reader.refresh()
        write_rounds(folder, count=1)
        assert check_one_generation(reader) == 0
        assert reader.refresh()
        assert check_one_generation(reader) == 1
        assert not reader.refresh()


def test_opening_outlives_a_sweep(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit and its sweep between a reader's look at the store and at the files."""
    from retrieval.index import segments

    races = iter(range(1, 4))
    real = segments.check_sizes

    def check_sizes(*arguments: object) -> None:
        number = next(races, None)
        if number is not None:
            with monkeypatch.context() as patch:
                patch.setattr(segments, "check_sizes", real)
                with Index.open(folder, encoder=FakeEncoder()) as writer:
                    writer.add(generation(number))
        real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(segments, "check_sizes", check_sizes)
    with Index.open(folder, encoder=FakeEncoder()) as reader:
        assert check_one_generation(reader) == 3


def test_a_second_writer_is_told_who_writes(folder: Path) -> None:
    with (
        Index.open(folder, encoder=FakeEncoder()) as one,
        Index.open(folder, encoder=FakeEncoder()) as other,
        one.writing(),
    ):
        check_one_generation(other)
        for write in (
            lambda: other.add([Document("x", "y")]),
            lambda: other.delete(["d1"]),
            other.compact,
        ):
            with pytest.raises(IndexLocked, match=rf"writer \(process {os.getpid()}\) holds"):
                write()
    with Index.open(folder, encoder=FakeEncoder()) as index:
        assert index.add([Document("x", "y")]) == 1


def held_lock(folder: Path, ready: Event) -> None:
    with Index.open(folder, encoder=FakeEncoder()) as index, index.writing():
        ready.set()
        time.sleep(600)


def test_a_lock_dies_with_its_process(folder: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    holder = context.Process(target=held_lock, args=(folder, ready))
    holder.start()
    assert ready.wait(60)
    with Index.open(folder, encoder=FakeEncoder()) as index:
        with pytest.raises(IndexLocked, match=rf"process {holder.pid}\)"):
            index.delete(["d1"])
        holder.kill()
        holder.join(60)
        assert index.delete(["d1"]) == 1


def test_a_fork_must_open_the_index_anew(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(StorageError, match="open it again here"):
        index.search("x")


def test_an_index_may_be_closed_while_it_is_searched(index: Index) -> None:
    index.add(generation(0))
    entered, leave = threading.Event(), threading.Event()
    encoder = index.encoder
    real = encoder.encode_queries

    def slow(*arguments: object, **options: object) -> object:
        entered.set()
        leave.wait(60)
        return real(*arguments, **options)  # type: ignore[arg-type]

    encoder.encode_queries = slow  # type: ignore[method-assign, assignment]
    with ThreadPoolExecutor(1) as pool:
        search = pool.submit(index.search, "shared", 100)
        assert entered.wait(60)
        index.close()
        leave.set()
        assert len(search.result(60)) == SIZE
    with pytest.raises(StorageError, match="was closed"):
        index.search("shared")
