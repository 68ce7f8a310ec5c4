"""An index that follows its files, on a real file system."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from retrieval.errors import IndexLocked, InputError, RetrievalError
from retrieval.index import Index
from retrieval.service import watching
from retrieval.service.updating import update
from retrieval.sync import SyncReport
from tests.index.fake_encoder import FakeEncoder


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "DEBOUNCE_MS", 100)
    monkeypatch.setattr(watching, "LOOK_MS", 100)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    (tmp_path / "docs" / "sub").mkdir(parents=True)
    (tmp_path / "docs" / "a.txt").write_text("about apples")
    (tmp_path / "note.txt").write_text("a note")
    with Index.create(tmp_path / "docs" / ".retrieval", encoder=FakeEncoder()) as made:
        yield made


class Watched:
    """A watch in a thread of its own, and what its updates did."""

    def __init__(self, index: Index) -> None:
        self.reports: list[SyncReport] = []
        self.locked: list[IndexLocked] = []
        self.stop = threading.Event()
        self._index = index
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        watching.watch(self._index, self._update, on_locked=self.locked.append, stop=self.stop)

    def _update(self) -> None:
        self.reports.append(update(self._index))

    def __enter__(self) -> Watched:
        self._thread.start()
        self.until(lambda: bool(self.reports or self.locked))
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()

    def until(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not done() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert done()


def test_what_changes_is_followed(index: Index, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    update(index, [docs])
    (docs / "early.txt").write_text("written before the watch began")
    with Watched(index) as watched:
        watched.until(lambda: index.get("early.txt") is not None)
        (docs / "sub" / "b.txt").write_text("about bananas")
        watched.until(lambda: index.get("sub/b.txt") is not None)
        (docs / "sub" / "b.txt").rename(docs / "c.txt")
        watched.until(lambda: index.get("c.txt") is not None)
        assert index.get("sub/b.txt") is None
        (docs / "c.txt").unlink()
        watched.until(lambda: index.get("c.txt") is None)


@pytest.mark.slow
def test_the_index_itself_is_not_followed(index: Index, tmp_path: Path) -> None:
    """It lies among the files, and changes with every update."""
    update(index, [tmp_path / "docs"])
    with Watched(index) as watched:
        (tmp_path / "docs" / "b.txt").write_text("about bananas")
        watched.until(lambda: index.get("b.txt") is not None)
        time.sleep(0.5)
        count = len(watched.reports)
        time.sleep(1)
        assert len(watched.reports) == count


def test_a_file_that_was_given_by_itself_is_followed(index: Index, tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    update(index, [note])
    with Watched(index) as watched:
        (tmp_path / "other.txt").write_text("nobody asked for this")
        new = tmp_path / "new"
        new.write_text("another note, which takes its place")
        new.rename(note)
        watched.until(lambda: "takes its place" in getattr(index.get("../note.txt"), "text", ""))
    assert index.status().documents == 1


def test_another_writer_is_waited_for(index: Index, tmp_path: Path) -> None:
    update(index, [tmp_path / "docs"])
    (tmp_path / "docs" / "b.txt").write_text("about bananas")
    with Index.open(index.path, encoder=FakeEncoder()) as other:
        with other.writing():
            watched = Watched(index)
            watched.__enter__()
            time.sleep(0.5)
            assert (len(watched.locked), watched.reports) == (1, [])
        watched.until(lambda: index.get("b.txt") is not None)
        watched.__exit__()


def test_there_must_be_something_to_watch(index: Index, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="was given no files or folders that exist"):
        watching.watch(index, lambda: None)


def test_a_system_that_watches_no_more_is_told_of_in_one_line(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its limits are met in different places, and watchfiles raises different errors."""
    update(index, [tmp_path / "docs"])
    for error in (RuntimeError("Too many open files (os error 24)"), OSError("limit reached")):

        def watched(*given: Any, error: Exception = error, **options: Any) -> Any:
            raise error

        monkeypatch.setattr("watchfiles.watch", watched)
        with pytest.raises(
            RetrievalError, match=r"the system cannot watch all folders \(.*\); raise"
        ):
            watching.watch(index, lambda: None)
