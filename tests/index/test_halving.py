"""Token vectors of 4 bits become such of 2 once there are many, by themselves and once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from retrieval import LateOptions
from retrieval.index import Index
from retrieval.index.writing import codecs, compressing
from retrieval.indexes.late import narrowing
from retrieval.indexes.late.training import centroids_for
from retrieval.types import COMPRESSING, ProgressUpdate

from .fake_encoder import FakeEncoder
from .promoted import check, check_swept, create, documents, folder_in_memory, late_segments

TOKENS = 9  # of each document
MANY = 100 * TOKENS
"""Token vectors from which on these tests have 2 bits."""


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(compressing, "EXACT", 20)
    monkeypatch.setattr(compressing, "EXACT_OF_BITS", 20)
    monkeypatch.setattr(codecs, "MANY", MANY)
    with folder_in_memory() as place:
        yield place


def bits(folder: Path) -> list[int]:
    """Of each compressed segment, largest first."""
    return [segment.codec.bits for segment in late_segments(folder)]


def test_so_many_have_centroids_that_are_fine() -> None:
    assert centroids_for(codecs.MANY) == narrowing.FINE > centroids_for(codecs.MANY // 2)


def test_4_bits_become_2_once_there_are_many(folder: Path) -> None:
    with create(folder, LateOptions()) as index:
        expected = documents(0, 60)
        index.add(expected)
        for last in (99, 101):
            assert set(bits(folder)) == {4}
            (first,) = {segment.codec.key for segment in late_segments(folder)}
            more = documents(len(expected), last)
            index.add(more)
            expected += more
        assert bits(folder) == [2]
        (segment,) = late_segments(folder)
        assert segment.codec.key != first
        assert segment.codec.trained_tokens == 101 * TOKENS
        check(index, expected)
        check_swept(index)
        before = segment.folder
        # What comes then has 2 bits at once, and what is stored so is not stored a second time.
        for last in (103, 180):
            more = documents(len(expected), last)
            index.add(more)
            expected += more
        assert bits(folder) == [2, 2, 2]
        assert {s.codec.key for s in late_segments(folder)} == {segment.codec.key}
        assert before in {s.folder for s in late_segments(folder)}
        check(index, expected)
        index.compact()
        (compacted,) = late_segments(folder)
        assert compacted.codec.key == segment.codec.key
        check(index, expected)
        check_swept(index)
    with Index.open(folder, encoder=FakeEncoder()) as index:
        check(index, expected)


@pytest.mark.parametrize("wanted", [4, 2])
def test_what_the_user_chose_stays(folder: Path, wanted: int) -> None:
    late = LateOptions(bits=4) if wanted == 4 else LateOptions(bits=2)
    with create(folder, late) as index:
        for first in (0, 60, 120):
            index.add(documents(first, first + 60))
        index.compact()
        assert bits(folder) == [wanted]


def test_many_that_come_at_once_get_2_bits_at_once(folder: Path) -> None:
    with create(folder, LateOptions()) as index:
        index.add(documents(0, 101))
        assert bits(folder) == [2]
        assert (index.status().generation, index.status().regimes) == (2, {"compressed": 101})
        check(index, documents(0, 101))


def test_a_first_codec_of_few_is_no_codec_of_2_bits(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is trained on the first passages of a call; all of them train the next, of 2 bits."""
    monkeypatch.setattr(compressing, "TOGETHER", 40)
    with create(folder, LateOptions(exact_passages=100)) as index:
        index.add(documents(0, 101))
        (segment,) = late_segments(folder)
        assert (segment.codec.bits, segment.codec.trained_tokens) == (2, 101 * TOKENS)
        assert (index.status().generation, index.status().regimes) == (3, {"compressed": 101})
        check(index, documents(0, 101))
        check_swept(index)


def test_the_dead_do_not_count(folder: Path) -> None:
    with create(folder, LateOptions()) as index:
        index.add(documents(0, 80))
        index.delete([document.id for document in documents(0, 30)])
        index.add(documents(80, 120))
        assert set(bits(folder)) == {4}
        index.add(documents(120, 135))
        assert bits(folder) == [2]
        check(index, documents(0, 80)[30:] + documents(80, 120) + documents(120, 135))


def test_exact_ones_wait_for_their_own_promotion(folder: Path) -> None:
    with create(folder, LateOptions(exact_passages=50)) as index:
        index.add(documents(0, 80))
        index.add(documents(80, 110))
        assert (bits(folder), index.status().regimes) == ([4], {"compressed": 80, "exact": 30})
        index.add(documents(110, 140))
        assert (bits(folder), index.status().regimes) == ([2], {"compressed": 140})
        check(index, documents(0, 80) + documents(80, 110) + documents(110, 140))


def test_an_interrupted_halving_is_made_up_for(folder: Path) -> None:
    def interrupt(now: ProgressUpdate) -> None:
        if now.stage == COMPRESSING:
            raise KeyboardInterrupt

    first, more = documents(0, 90), documents(90, 120)
    with create(folder, LateOptions()) as index:
        index.add(first)
        with (
            pytest.raises(KeyboardInterrupt),
            index.writing(progress=interrupt) as writer,
        ):
            for document in more:
                writer.put(document)
        assert set(bits(folder)) == {4}
        check(index, first + more)
        check_swept(index)
        index.delete(["d0"])
        assert bits(folder) == [2]
        check(index, (first + more)[1:])
        check_swept(index)


def test_an_index_that_was_made_with_4_bits_keeps_them(folder: Path) -> None:
    """As indexes were before their number of bits was left open."""
    late = LateOptions()
    with create(folder, replace(late, bits=4)) as index:
        index.add(documents(0, 90))
    with Index.open(folder, encoder=FakeEncoder()) as index:
        assert index.status().late.bits == 4
        index.add(documents(90, 130))
        index.compact()
        assert bits(folder) == [4]


def test_a_codec_is_outgrown_by_all_that_it_stores(folder: Path) -> None:
    """However small the segments are: what was trained on the first stores others ill."""
    with create(folder, LateOptions()) as index:
        index.add(documents(0, 22))
        expected = documents(0, 22)
        for first in range(22, 94, 12):
            (before,) = {s.codec.trained_tokens for s in late_segments(folder)}
            index.add(documents(first, first + 12, words="elsewhere"))
            expected += documents(first, first + 12, words="elsewhere")
            grown = max(late_segments(folder), key=lambda segment: segment.tokens).codec
            all_of_it = len(expected) * TOKENS
            due = all_of_it >= codecs.GROWTH * before
            assert grown.trained_tokens == (all_of_it if due else before)
            assert {segment.codec.key for segment in late_segments(folder)} == {grown.key}
        assert (grown.trained_tokens, grown.bits) == (94 * TOKENS, 4)
        check(index, expected)
        check_swept(index)
