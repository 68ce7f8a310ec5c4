"""A disk that is full, a folder that cannot be written: what was kept, and that it was."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from retrieval.errors import InputError, StorageError
from retrieval.index import Index
from retrieval.store import StoreWriter
from retrieval.types import Document

from .fake_encoder import FakeEncoder

KEPT = [Document(f"kept{n}", f"word{n} of what is kept") for n in range(10)]


def check_kept(index: Index, others: int) -> None:
    """The documents of earlier commits, and so many more, are there, whole, without garbage."""
    assert index.status().documents == len(KEPT) + others
    assert index.verify() == []
    for document in KEPT:
        assert index.get(document.id) == document
    found = index.search("kept", 100, retriever="lexical")
    assert {hit.document_id for hit in found} >= {document.id for document in KEPT}


def check_swept(index: Index) -> None:
    """No folder of a commit that failed is left."""
    names = {path.name for path in (index.path / "segments").iterdir()}
    assert len(names) == index.status().segments


def test_a_disk_fills_up_and_is_freed(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrieval.index.writing.writer.COMMIT_CHANGES", 40)
    rng = random.Random(3)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(2_000_000))

    def documents() -> Iterator[Document]:
        for n in range(100_000):
            words = " ".join(f"{rng.getrandbits(40):x}" for _ in range(40))
            yield Document(f"d{n}", f"common {words}")

    with Index.create(small_disk / "index", encoder=FakeEncoder()) as index:
        index.add(KEPT)
        for _ in range(3):  # full, again and again, at another place each time
            before = index.status().documents
            with pytest.raises(StorageError, match="no space left") as caught:
                index.add(documents())
            held = index.status()
            assert f"generation {held.generation} with {held.documents} documents" in str(
                caught.value
            )
            assert held.documents >= before
            check_kept(index, held.documents - len(KEPT))
            check_swept(index)
        ballast.unlink()
        assert index.add([Document("after", "there is space again")]) == 1
        assert index.delete([f"d{n}" for n in range(held.documents)]) == held.documents - len(KEPT)
        check_kept(index, 1)


def no_space(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def failing_from(nth: int, function: Callable[..., object]) -> Callable[..., object]:
    calls = 0

    def call(*arguments: object, **options: object) -> object:
        nonlocal calls
        calls += 1
        return no_space() if calls >= nth else function(*arguments, **options)

    return call


@pytest.mark.parametrize("name", ["fsync", "mkdir", "open"])
@pytest.mark.parametrize("nth", [1, 2, 3, 5, 8, 13])
def test_no_space_at_any_moment(index: Index, name: str, nth: int) -> None:
    index.add(KEPT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, name, failing_from(nth, getattr(os, name)))
        try:
            index.add([Document("late", "one more document")])
        except StorageError as error:
            assert "\n" not in str(error)
    check_kept(index, index.status().documents - len(KEPT))
    if name != "open":  # without which nothing can be removed either
        check_swept(index)
    index.add([Document("later", "and yet another")])
    check_kept(index, index.status().documents - len(KEPT))
    check_swept(index)


def test_no_space_for_the_commit_itself(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    index.add(KEPT)
    with monkeypatch.context() as patch:
        patch.setattr(StoreWriter, "commit", no_space)
        with pytest.raises(StorageError, match="generation 1 with 10 documents is kept"):
            index.add([Document("late", "one more document")])
        with pytest.raises(StorageError, match="no space left"):
            index.compact()
    check_kept(index, 0)
    check_swept(index)


def test_a_disk_without_a_byte_free_can_be_searched(small_disk: Path) -> None:
    folder = small_disk / "index"
    with Index.create(folder, encoder=FakeEncoder()) as index:
        index.add(KEPT)
    with contextlib.suppress(OSError), (small_disk / "filling").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 16))
    with contextlib.suppress(OSError), (small_disk / "filling").open("ab", buffering=0) as file:
        while True:
            file.write(b"0")
    with Index.open(folder, encoder=FakeEncoder()) as index:
        check_kept(index, 0)
        with pytest.raises(StorageError, match="no space left"):
            index.add([Document("x", "y")])
    (small_disk / "filling").unlink()
    with Index.open(folder, encoder=FakeEncoder()) as index:
        index.add([Document("x", "y")])
        check_kept(index, 1)


def test_a_read_only_disk_can_be_searched(small_disk: Path) -> None:
    folder = small_disk / "index"
    with Index.create(folder, encoder=FakeEncoder()) as index:
        index.add(KEPT)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with Index.open(folder, encoder=FakeEncoder()) as index:
        assert index.search("word3", 1)[0].document_id == "kept3"
        assert index.verify() == []
        assert not index.refresh()
        for write in (lambda: index.add([Document("x", "y")]), index.compact):
            with pytest.raises(StorageError, match="make its folder writable"):
                write()
    with pytest.raises(StorageError, match="no index can be created"):
        Index.create(small_disk / "other", encoder=FakeEncoder())


def test_a_document_about_full_disks_is_no_full_disk(index: Index) -> None:
    """Errors quote ids, and libraries say only by words that there is no space."""
    with pytest.raises(InputError, match="is not a text"):
        index.add([Document("why the disk is full.md", 3)])  # type: ignore[arg-type]
