"""Opening: an index that is made if need be, and a writer that waits for another."""

from __future__ import annotations

import logging
import multiprocessing
import pickle
import threading
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from retrieval.errors import EncoderMismatch, IndexLocked, IndexNotFound, InputError, StorageError
from retrieval.index import Index
from retrieval.types import Document

from .fake_encoder import FakeEncoder


def test_an_index_is_made_if_there_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "index"
    with pytest.raises(IndexNotFound):
        Index.open(folder)
    with Index.open(folder, encoder=FakeEncoder(), create=True) as index:
        index.add([Document("x", "y")])
        assert index.status().passage_tokens == 256
    with Index.open(folder, encoder=FakeEncoder(), create=True) as again:
        assert again.ids() == ["x"]
    with pytest.raises(EncoderMismatch):
        Index.open(folder, encoder=FakeEncoder(dense_dim=8), create=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("mine")
    with pytest.raises(StorageError, match="contains other files"):
        Index.open(tmp_path / "other", encoder=FakeEncoder(), create=True)


def test_threads_that_make_the_same_index_all_open_it(tmp_path: Path) -> None:
    opened: list[Index] = []
    begin = threading.Barrier(8)

    def make() -> None:
        begin.wait(60)
        opened.append(Index.open(tmp_path / "i", encoder=FakeEncoder(), create=True, timeout=60))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(opened) == 8
    for number, index in enumerate(opened):
        assert index.add([Document(str(number), "word")]) == 1
        index.close()
    with Index.open(tmp_path / "i") as index:
        assert len(index) == 8


def hold(folder: Path, ready: Event, done: Event) -> None:
    with Index.open(folder, encoder=FakeEncoder()) as index, index.writing():
        ready.set()
        done.wait(60)


def test_a_writer_waits_for_another_and_says_for_whom(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "index"
    Index.create(folder, encoder=FakeEncoder()).close()
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    holder = context.Process(target=hold, args=(folder, ready, done))
    holder.start()
    try:
        assert ready.wait(60)
        with Index.open(folder, encoder=FakeEncoder(), timeout=0.1) as hasty:
            since = time.monotonic()
            message = rf"process {holder.pid}\) holds .*lock and still did after 0.1 seconds; wait"
            with pytest.raises(IndexLocked, match=message):
                hasty.add([Document("a", "b")])
            assert time.monotonic() - since >= 0.1
        with Index.open(folder, encoder=FakeEncoder(), timeout=60) as patient:
            caplog.clear()
            threading.Timer(0.3, done.set).start()
            with caplog.at_level(logging.INFO, "retrieval"):
                assert patient.add([Document("a", "b")]) == 1
            (told,) = [one for one in caplog.records if one.levelno == logging.INFO]
            assert f"waiting up to 60 seconds for process {holder.pid}" in told.getMessage()
    finally:
        done.set()
        holder.join(60)


def test_the_time_to_wait_is_kept_by_pickle_and_checked(tmp_path: Path) -> None:
    with Index.create(tmp_path / "i", encoder=FakeEncoder()) as index:
        assert index.timeout == 0
    with (
        Index.open(tmp_path / "i", encoder=FakeEncoder(), timeout=2.5) as index,
        pickle.loads(pickle.dumps(index)) as again,
    ):
        assert again.timeout == 2.5
    for wrong in (-1, float("inf"), float("nan"), True, "3"):
        with pytest.raises(InputError, match="is not a number of seconds; give 0 or more"):
            Index.open(tmp_path / "i", encoder=FakeEncoder(), timeout=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("url", ["s3://bucket/name", "file:///tmp/name"])
def test_a_url_is_no_folder(url: str) -> None:
    with pytest.raises(IndexNotFound, match=f"named by its URL, {url}, in commands"):
        Index.open(Path(url))
