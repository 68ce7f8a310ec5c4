"""A deletion writes next to nothing, and what it leaves in the segments is never found."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from retrieval.index import Index
from retrieval.index.segments import Opened, OpenedSegments
from retrieval.index.vectors import VectorSegment
from retrieval.index.writing.lexical import WAITING_SHARE
from retrieval.index.writing.session import Session
from retrieval.store import SegmentRecord, Store
from retrieval.store.files import check_sizes
from retrieval.types import Document

from .fake_encoder import FakeEncoder

COUNT = 40


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with Index.create(tmp_path / "i", encoder=FakeEncoder()) as index:
        index.add(document(number) for number in range(COUNT))
        yield index


def document(number: int) -> Document:
    return Document(f"d{number}", f"shared own{number}")


def segments(index: Index, kind: str) -> list[SegmentRecord]:
    store = Store(index.path)
    try:
        return store.of_kind(kind)
    finally:
        store.close()


def check(index: Index, alive: set[int]) -> None:
    """All retrievers find these documents and no other, in this process and anew."""
    assert index.verify() == []
    with Index.open(index.path, encoder=FakeEncoder()) as other:
        for reader in (index, other):
            assert reader.status().passages == len(alive)
            for retriever in ("lexical", "dense", "late", "hybrid"):
                hits = reader.search("shared", COUNT, retriever=retriever)
                assert {hit.document_id for hit in hits} == {f"d{n}" for n in alive}
            for number in range(COUNT):
                found = reader.search(f"own{number}", 3, retriever="lexical")
                assert [hit.document_id for hit in found] == [f"d{number}"] * (number in alive)
                (best, *_) = reader.search(f"shared own{number}", 1)
                assert (best.document_id == f"d{number}") == (number in alive)


def test_a_few_wait_in_the_lexical_index(index: Index) -> None:
    before = segments(index, "lexical")
    index.delete(["d3", "d7"])
    assert segments(index, "lexical") == before
    check(index, set(range(COUNT)) - {3, 7})


def test_they_leave_when_there_is_something_to_add(index: Index) -> None:
    index.delete(["d3", "d7"])
    index.add([document(3)])
    (lexical,) = segments(index, "lexical")
    assert lexical.passages == COUNT - 1
    check(index, set(range(COUNT)) - {7})


def test_they_leave_when_they_are_many(index: Index) -> None:
    for number in range(COUNT // WAITING_SHARE + 1):
        index.delete([f"d{number}"])
        (lexical,) = segments(index, "lexical")
        left = number + 1 if number == COUNT // WAITING_SHARE else 0
        assert lexical.passages == COUNT - left
        check(index, set(range(number + 1, COUNT)))


def test_so_many_at_most_wait_however_many_there_are(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrieval.index.writing.lexical.WAITING_MOST", 1)
    index.delete(["d0"])
    assert [lexical.passages for lexical in segments(index, "lexical")] == [COUNT]
    index.delete(["d1"])
    assert [lexical.passages for lexical in segments(index, "lexical")] == [COUNT - 2]
    check(index, set(range(2, COUNT)))


def test_they_leave_with_the_vectors(index: Index) -> None:
    """When a merge drops a dead passage, nothing says any longer that it is dead."""
    index.add([document(COUNT), document(COUNT + 1), document(COUNT + 2)])  # a segment of its own
    index.delete([f"d{COUNT}"])
    assert [s.passages for s in segments(index, "vectors")] == [COUNT, 3]
    assert [s.passages for s in segments(index, "lexical")] == [COUNT + 3]
    index.delete([f"d{COUNT + 1}"])  # two in three are dead: it is written anew
    assert [s.passages for s in segments(index, "vectors")] == [COUNT, 1]
    assert [s.passages for s in segments(index, "lexical")] == [COUNT + 1]
    index.delete([f"d{COUNT + 2}"])
    check(index, set(range(COUNT)))


def test_they_leave_with_compact(index: Index) -> None:
    index.delete(["d3", "d7"])
    assert index.compact().dropped_passages == 2
    assert [lexical.passages for lexical in segments(index, "lexical")] == [COUNT - 2]
    check(index, set(range(COUNT)) - {3, 7})


def test_a_commit_opens_only_what_it_wrote(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []

    def check(folder: Path, segment: SegmentRecord) -> None:
        checked.append(segment.kind)
        check_sizes(folder, segment)

    monkeypatch.setattr("retrieval.index.segments.check_sizes", check)
    index.delete(["d3"])
    assert checked == []
    index.add([document(3)])
    assert checked == ["lexical"]  # the writer has the new vectors open


def test_what_takes_a_name_again_is_opened_anew(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that failed before its commit leaves its segments' names to the next one."""
    kept = []
    real = OpenedSegments.put

    def put(
        self: OpenedSegments, record: SegmentRecord, segment: VectorSegment
    ) -> Opened[VectorSegment]:
        kept.append(real(self, record, segment))
        return kept[-1]

    with monkeypatch.context() as patch:
        patch.setattr(OpenedSegments, "put", put)
        patch.setattr(Session, "_publish", fail)
        with pytest.raises(RuntimeError, match="on purpose"):
            index.add([document(COUNT)])
    with Index.open(index.path, encoder=FakeEncoder()) as other:
        other.add([document(COUNT + 1), document(COUNT + 2)])
    index.refresh()
    assert kept[0].record.name in {record.name for record in segments(index, "vectors")}
    hits = index.search("shared", 100, retriever="dense")
    assert {hit.document_id for hit in hits} == {
        f"d{n}" for n in [*range(COUNT), COUNT + 1, COUNT + 2]
    }


def fail(*_: object) -> None:
    raise RuntimeError("on purpose")


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux says what is mapped")
def test_nothing_stays_mapped_of_what_was_swept(index: Index) -> None:
    for number in range(3):
        index.add([document(COUNT + number)])
    index.delete(["d3"])
    index.compact()
    gc.collect()
    folder = index.path / "segments"
    lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    mapped = [Path(line.split(maxsplit=5)[-1]) for line in lines]
    names = {file.relative_to(folder).parts[0] for file in mapped if file.is_relative_to(folder)}
    assert names
    assert names <= {s.name for kind in ("vectors", "lexical") for s in segments(index, kind)}
