"""The first codec is trained on what came in first, and does not hang on when commits fell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from retrieval import LateOptions
from retrieval.index import Index
from retrieval.index.writing import compressing
from retrieval.indexes import CompressedSegment, open_late
from retrieval.indexes.late import training

from .promoted import create, documents, folder_in_memory

DOCUMENTS = documents(0, 100)


@pytest.fixture
def folder() -> Iterator[Path]:
    with folder_in_memory() as place:
        yield place


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passages that stay exact, where they are many else."""
    monkeypatch.setattr(compressing, "EXACT", 20)
    monkeypatch.setattr(compressing, "TOGETHER", 60)
    monkeypatch.setattr(training, "SAMPLE_A_CENTROID", 3)  # so that a part of them is drawn


def _write(index: Index, first: int, last: int, commit_each: int) -> None:
    with index.writing() as writer:
        for number, document in enumerate(DOCUMENTS[first:last], start=1):
            writer.put(document)
            if number % commit_each == 0:
                writer.commit()


def _stored(folder: Path) -> tuple[str, dict[int, NDArray[np.integer]]]:
    """The key of the one codec, and each passage's centroids and residuals."""
    keys, stored = set(), {}
    for place in sorted((folder / "segments").glob("*-vectors/late")):
        segment = open_late(place)
        assert isinstance(segment, CompressedSegment)
        keys.add(segment.codec.key)
        bounds = segment.offsets.tolist()
        for id, first, last in zip(segment.ids.tolist(), bounds, bounds[1:], strict=False):
            tokens = slice(first, last)
            stored[id] = np.column_stack((segment.codes[tokens], segment.residuals[tokens]))
    (key,) = keys
    return key, stored


@pytest.mark.parametrize("commit_each", [7, 33])
@pytest.mark.parametrize("count", [50, 100])
def test_commits_change_nothing_of_what_is_stored(
    folder: Path, tmp_path: Path, count: int, commit_each: int
) -> None:
    with create(folder, LateOptions()) as index:
        _write(index, 0, count, commit_each)
    with create(tmp_path / "index", LateOptions()) as index:
        _write(index, 0, count, count)
    key, vectors = _stored(folder)
    other_key, others = _stored(tmp_path / "index")
    assert key == other_key
    assert vectors.keys() == others.keys()
    for id, expected in others.items():
        np.testing.assert_array_equal(vectors[id], expected)


def test_what_comes_in_by_one_call_stays_exact_until_that_ends(folder: Path) -> None:
    with create(folder, LateOptions()) as index:
        with index.writing() as writer:
            for document in DOCUMENTS[:50]:
                writer.put(document)
            writer.commit()
            assert index.status().regimes == {"exact": 50}
        assert index.status().regimes == {"compressed": 50}


def test_what_a_call_left_exact_when_it_was_stopped_is_compressed_by_the_next(
    folder: Path,
) -> None:
    with create(folder, LateOptions()) as index:
        with pytest.raises(KeyboardInterrupt), index.writing() as writer:
            for document in DOCUMENTS[:50]:
                writer.put(document)
            writer.commit()
            raise KeyboardInterrupt
        assert index.status().regimes == {"exact": 50}
        index.add(DOCUMENTS[:50])  # which are there
        assert index.status().regimes == {"compressed": 50}
