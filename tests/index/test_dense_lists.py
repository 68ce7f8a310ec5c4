"""An index whose dense vectors get inverted lists: the same hits, whatever is asked and changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from retrieval.errors import IndexCorrupted
from retrieval.index import Index
from retrieval.indexes.dense import lists, segment
from retrieval.types import Document, Retriever

from .fake_encoder import FakeEncoder
from .promoted import documents
from .test_index import ids


@pytest.fixture
def early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists from few vectors on, of which few are looked at."""
    monkeypatch.setattr(lists, "FEWEST", 100)
    monkeypatch.setattr(segment, "PROBED", 60)


def listed(index: Index) -> int:
    return len(list(index.path.glob("segments/*/dense/dense.centroids.npy")))


@pytest.mark.usefixtures("early")
@pytest.mark.parametrize("token_dim", [None, 16])
def test_lists_come_by_themselves_and_are_kept(tmp_path: Path, token_dim: int | None) -> None:
    with Index.create(tmp_path / "i", encoder=FakeEncoder(token_dim=token_dim)) as index:
        for first in range(0, 400, 40):
            index.add(documents(first, first + 40))
        assert listed(index) == 1  # nine segments became one
        index.compact()
        assert listed(index) == 1
        index.delete(["d7"])
        index.add([Document("new", "a new text of its own")])
        assert ids(index.search("a new text of its own", 1, retriever="dense")) == ["new"]
        for document in documents(0, 40):
            found = ids(index.search(document.text, 3, retriever="dense"))
            assert (found[:1] == [document.id]) is (document.id != "d7")
        assert index.verify() == []


@pytest.mark.usefixtures("early")
@pytest.mark.parametrize("retriever", ["dense", "hybrid"])
def test_the_first_hits_are_the_same_however_many_are_asked_for(
    tmp_path: Path, retriever: Retriever
) -> None:
    with Index.create(tmp_path / "i", encoder=FakeEncoder()) as index:
        index.add(documents(0, 400))
        index.compact()
        assert listed(index) == 1
        for where in (None, "third == 1"):
            every = ids(index.search("shared word7 word31", 400, retriever=retriever, where=where))
            assert len(every) == (133 if where else 400)
            assert len(set(every)) == len(every)
            for k in (1, 5, 17, 70):
                some = index.search("shared word7 word31", k, retriever=retriever, where=where)
                assert ids(some) == every[:k]


@pytest.mark.usefixtures("early")
def test_a_damaged_list_is_named_by_the_search_that_meets_it(tmp_path: Path) -> None:
    with Index.create(tmp_path / "i", encoder=FakeEncoder()) as index:
        index.add(documents(0, 200))
        index.compact()
    (file,) = index.path.glob("segments/*/dense/dense.owners.npy")
    data = bytearray(file.read_bytes())
    data[128:] = b"\xff" * (len(data) - 128)
    file.write_bytes(data)
    with (
        Index.open(index.path, encoder=FakeEncoder()) as damaged,
        pytest.raises(IndexCorrupted, match=r"dense\.owners\.npy"),
    ):
        damaged.search("shared", retriever="dense")
