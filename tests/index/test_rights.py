"""Who may read an index: nobody but its owner, unless it is shared."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from retrieval.index import Index
from retrieval.service.opening import open_or_create
from retrieval.store.rights import rights_of, set_shared
from retrieval.types import Document

from .fake_encoder import FakeEncoder


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def rights(folder: Path) -> dict[str, set[int]]:
    """The rights of all files, and of all folders, of an index."""
    found: dict[str, set[int]] = {"files": set(), "folders": {folder.stat().st_mode & 0o777}}
    for path in folder.rglob("*"):
        if path.suffix == ".lock" and not path.stat().st_size:  # a reader's, and nothing is in it
            continue
        found["folders" if path.is_dir() else "files"].add(path.stat().st_mode & 0o777)
    return found


def written(folder: Path, **options: bool) -> Index:
    """An index that went through adding, deleting and compacting."""
    index = Index.create(folder, encoder=FakeEncoder(), **options)
    for number in range(3):
        index.add([Document(f"d{number}", f"private words {number}", "", {})])
    index.delete(["d1"])
    index.compact()
    index.add([Document("d3", "more words", "", {})])
    return index


def test_nobody_but_its_owner_can_read_an_index(tmp_path: Path) -> None:
    with written(tmp_path / "index"):
        # While it is open: SQLite keeps texts in files of its own, too.
        assert rights(tmp_path / "index") == {"files": {0o600}, "folders": {0o700}}


def test_a_folder_that_was_there_becomes_its_owners_alone(tmp_path: Path) -> None:
    (tmp_path / "index").mkdir(mode=0o755)
    with written(tmp_path / "index"):
        assert rights(tmp_path / "index") == {"files": {0o600}, "folders": {0o700}}


def test_a_shared_index_has_the_rights_that_new_files_get(tmp_path: Path) -> None:
    with written(tmp_path / "index", shared=True):
        assert rights(tmp_path / "index") == {"files": {0o644}, "folders": {0o755}}


def test_what_is_written_later_has_the_rights_of_what_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    with written(folder) as index:
        set_shared(folder, shared=True)
        assert rights_of(folder) == 0o644
        index.add([Document("d4", "later words", "", {})])
        assert rights(folder) == {"files": {0o644}, "folders": {0o755}}
    with open_or_create(folder, encoder=None, shared=False):
        pass
    with Index.open(folder, encoder=FakeEncoder()) as index:
        index.add([Document("d5", "last words", "", {})])
        assert rights(folder) == {"files": {0o600}, "folders": {0o700}}


def test_an_index_lies_beneath_a_folder_of_any_name(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9/index"))
    with written(folder) as index:
        assert {hit.document_id for hit in index.search("private", 2)} == {"d0", "d2"}
        assert index.verify() == []
    with Index.open(folder, encoder=FakeEncoder()) as index:
        assert index.search("private", retriever="lexical")
