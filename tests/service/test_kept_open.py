"""An index that a server keeps open while others change, delete and replace it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import retrieval.encoders
from retrieval import Document, Index
from retrieval.errors import IndexNotFound, StorageError
from retrieval.service import kept_open
from retrieval.service.kept_open import KeptOpen
from tests.index.fake_encoder import FakeEncoder


@pytest.fixture(autouse=True)
def _fake_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval.encoders, "load_encoder", lambda source=None: FakeEncoder())


def make(folder: Path, *ids: str) -> None:
    with Index.create(folder) as index:
        index.add([Document(id, f"text of {id}") for id in ids])


def test_a_request_sees_the_newest_generation(tmp_path: Path) -> None:
    make(tmp_path / "i", "a")
    kept = KeptOpen(tmp_path / "i")
    with kept.using() as index:
        assert index.ids() == ["a"]
    with kept.using() as same:
        assert same is index
    with Index.open(tmp_path / "i") as other:
        other.add([Document("b", "b")])
    with kept.using() as moved:
        assert moved is index
        assert moved.ids() == ["a", "b"]
    kept.close()


def test_a_commit_that_is_written_and_not_yet_seen_is_seen_by_the_next_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_open, "_SETTLED_NS", 3_600_000_000_000)
    make(tmp_path / "i", "a")
    kept = KeptOpen(tmp_path / "i")
    with kept.using() as index, Index.open(tmp_path / "i") as other:
        other.add([Document("b", "b")])
        with monkeypatch.context() as patch:  # the log has the commit, readers do not see it
            patch.setattr(Index, "refresh", lambda own: False)
            with kept.using():
                assert index.ids() == ["a"]
    with kept.using() as index:
        assert index.ids() == ["a", "b"]
    kept.close()


def test_files_that_have_not_changed_for_long_are_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "i", "a")
    kept = KeptOpen(tmp_path / "i")
    with kept.using() as index:
        for file in (tmp_path / "i").glob("store.sqlite*"):
            os.utime(file, (1_600_000_000, 1_600_000_000))
        with kept.using() as same:
            assert same is index
        monkeypatch.setattr(Index, "refresh", lambda own: pytest.fail("nothing has changed"))
        with kept.using() as same:
            assert same is index
    kept.close()


def test_an_index_that_was_replaced_serves_until_its_last_request_is_done(tmp_path: Path) -> None:
    make(tmp_path / "i", "old")
    make(tmp_path / "new", "new")
    kept = KeptOpen(tmp_path / "i")
    with kept.using() as old, kept.using() as again:
        assert again is old
        shutil.rmtree(tmp_path / "i")
        (tmp_path / "new").rename(tmp_path / "i")
        with kept.using() as new:
            assert new.ids() == ["new"]
        assert old.search("old")[0].document_id == "old"
    with pytest.raises(StorageError, match="closed"):
        old.ids()
    kept.close()
    with pytest.raises(StorageError, match="closed"):
        new.ids()


def test_a_folder_without_an_index(tmp_path: Path) -> None:
    kept = KeptOpen(tmp_path / "i")
    with pytest.raises(IndexNotFound), kept.using():
        pass
    kept.warm()  # says nothing: whoever searches is told
    assert not kept.exists
    kept.make()
    with kept.using() as index:
        index.add([Document("a", "a")])
        kept.make()  # there is one: it stays
        assert index.ids() == ["a"]
    shutil.rmtree(tmp_path / "i")
    with pytest.raises(IndexNotFound), kept.using():
        pass
    with pytest.raises(StorageError, match="closed"):
        index.ids()
    kept.close()
