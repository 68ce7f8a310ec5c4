"""Links, pipes and devices in place of an index's files: told, never followed or waited for."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from retrieval.errors import IndexCorrupted, RetrievalError, StorageError
from retrieval.files.lock import WriterLock
from retrieval.files.regular import open_regular, read_regular
from retrieval.index import Index
from retrieval.types import RETRIEVERS, Document

from .fake_encoder import FakeEncoder
from .older_formats import of_format


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with Index.create(tmp_path / "i", encoder=FakeEncoder(), passage_tokens=20) as index:
        index.add([Document(f"d{n}", f"word{n} common") for n in range(20)])
    return tmp_path / "i"


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def nowhere(path: Path) -> None:
    path.symlink_to(path.name)


def a_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("put", [pipe, device, nowhere, a_folder])
def test_whatever_stands_in_the_place_of_a_file_is_told(
    folder: Path, put: Callable[[Path], None]
) -> None:
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert len(files) > 10
    for number, file in enumerate(files):
        copy = shutil.copytree(folder, folder.parent / f"copy{number}")
        strange = copy / file.relative_to(folder)
        strange.unlink()
        put(strange)
        try:
            with Index.open(copy, encoder=FakeEncoder()) as index:
                problems = index.verify()
                for retriever in RETRIEVERS:
                    index.search("common", retriever=retriever)
                index.add([Document("new", "more common words")])
                index.compact()
        except RetrievalError as error:
            assert str(copy) in str(error)
        else:  # nothing of it is needed
            assert not problems
            assert file.name in (".gitignore", "lock")


def test_a_link_in_the_place_of_the_lock_is_not_written_to(folder: Path) -> None:
    own = folder.parent / "own.txt"
    own.write_text("a text of the user's")
    (folder / "lock").unlink()
    (folder / "lock").symlink_to(own)
    with (
        Index.open(folder, encoder=FakeEncoder()) as index,
        pytest.raises(StorageError, match="lock is a link; delete it"),
    ):
        index.add([Document("new", "words")])
    (folder / "lock").unlink()
    os.mkfifo(folder / "lock")
    with (
        pytest.raises(StorageError, match="lock is not a regular file"),
        WriterLock(folder / "lock"),
    ):
        pass
    assert own.read_text() == "a text of the user's"


def test_what_a_link_of_segments_names_is_not_swept(folder: Path) -> None:
    own = folder.parent / "own"
    shutil.move(folder / "segments", own)
    (own / "letter.txt").write_text("a text of the user's")
    (folder / "segments").symlink_to(own)
    with pytest.raises(IndexCorrupted, match="segments is a link"):
        Index.open(folder, encoder=FakeEncoder())
    assert (own / "letter.txt").exists()


@pytest.mark.parametrize("name", [".gitignore", "lock", "segments", "store.sqlite"])
def test_no_index_is_made_over_a_link(tmp_path: Path, name: str) -> None:
    own = tmp_path / "own.txt"
    own.write_text("a text of the user's")
    (tmp_path / "i").mkdir()
    (tmp_path / "i" / name).symlink_to(own)
    with pytest.raises(RetrievalError, match="link"):
        Index.create(tmp_path / "i", encoder=FakeEncoder())
    assert own.read_text() == "a text of the user's"
    assert [path.name for path in (tmp_path / "i").iterdir()] == [name]


def test_an_older_index_is_not_raised_over_a_link(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "letter.txt").write_text("a text of the user's")
    folder = of_format(2, tmp_path / "i", [Document("d", "words")], FakeEncoder())
    with sqlite3.connect(folder / "store.sqlite") as database:
        (number,) = database.execute("SELECT value FROM meta WHERE key = 'next_segment'").fetchone()
    database.close()
    (folder / "segments" / f"{int(number):08d}-lexical").symlink_to(own)
    with Index.open(folder, encoder=FakeEncoder()) as index:
        assert index.search("words")
    assert (own / "letter.txt").exists()


def test_regular_files_alone_are_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    assert read_regular(tmp_path / "link", max_bytes=5) == b"12345"
    with pytest.raises(OSError, match="has 5 bytes, and the limit is 4"):
        read_regular(tmp_path / "file", max_bytes=4)
    with pytest.raises(OSError, match="symbolic"):
        open_regular(tmp_path / "link", follow=False)
    for name in ("pipe", "zero", "."):
        with pytest.raises(OSError, match="not a regular file"):
            open_regular(tmp_path / name)
