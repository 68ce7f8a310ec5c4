"""An index that is removed, renamed or replaced while it is open: told, and never written into."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from retrieval.errors import IndexNotFound, StorageError
from retrieval.index import Index
from retrieval.types import Document

from .fake_encoder import FakeEncoder


def made(folder: Path, word: str) -> Index:
    index = Index.create(folder, encoder=FakeEncoder())
    index.add([Document(word, f"{word} common")])
    return index


@pytest.mark.parametrize("renamed", [True, False])
def test_an_index_that_is_gone_is_told(tmp_path: Path, renamed: bool) -> None:
    with made(tmp_path / "i", "first") as index:
        if renamed:
            (tmp_path / "i").rename(tmp_path / "moved")
        else:
            shutil.rmtree(tmp_path / "i")
        assert index.search("common", 1)[0].document_id == "first"
        for act in (lambda: index.add([Document("new", "words")]), index.compact, index.refresh):
            with pytest.raises(IndexNotFound, match="was removed or renamed since it was opened"):
                act()
        assert not (tmp_path / "i").exists()


def test_another_index_in_its_place_is_not_written_into(tmp_path: Path) -> None:
    with made(tmp_path / "i", "first") as index:
        (tmp_path / "i").rename(tmp_path / "moved")
        made(tmp_path / "i", "second").close()
        for act in (lambda: index.add([Document("new", "words")]), index.clear, index.refresh):
            with pytest.raises(StorageError, match="it was replaced since; open it again"):
                act()
        assert index.search("common", 1)[0].document_id == "first"
    with Index.open(tmp_path / "i", encoder=FakeEncoder()) as second:
        assert second.ids() == ["second"]
        assert second.verify() == []


def test_an_index_that_a_backup_took_the_place_of_is_told(tmp_path: Path) -> None:
    with made(tmp_path / "i", "first") as index:
        shutil.copytree(tmp_path / "i", tmp_path / "backup")
        index.add([Document("later", "later common")])
        shutil.rmtree(tmp_path / "i")
        shutil.copytree(tmp_path / "backup", tmp_path / "i")
        with pytest.raises(StorageError, match="it was replaced since; open it again"):
            index.add([Document("new", "words")])
