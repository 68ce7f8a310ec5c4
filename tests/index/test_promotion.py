"""Promotion: token vectors are compressed by themselves, and nothing of it is to be noticed."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval import LateOptions
from retrieval.errors import StorageError
from retrieval.index import Index, vectors
from retrieval.index.writing.merge_policy import FAN_IN
from retrieval.index.writing.session import Session
from retrieval.indexes.arrays import ArrayWriter
from retrieval.types import COMPRESSING, Document, ProgressUpdate

from .fake_encoder import FakeEncoder
from .promoted import (
    EARLY,
    check,
    check_swept,
    create,
    documents,
    folder_in_memory,
    late_segments,
    truth,
)


@pytest.fixture
def folder() -> Iterator[Path]:
    with folder_in_memory() as place:
        yield place


@pytest.fixture
def early(folder: Path) -> Iterator[Index]:
    with create(folder) as index:
        yield index


@pytest.fixture(autouse=True)
def lists_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few passages there are."""
    monkeypatch.setattr("retrieval.indexes.late.narrowing.SCANNED", 0)


def test_regimes_follow_the_number_of_passages(early: Index) -> None:
    early.add(documents(0, 20))
    assert (early.status().regimes, early.status().generation) == ({"exact": 20}, 1)
    early.add(documents(20, 21))
    assert (early.status().regimes, early.status().generation) == ({"compressed": 21}, 3)
    early.add(documents(21, 40))
    assert early.status().regimes == {"compressed": 21, "exact": 19}
    early.add(documents(40, 65))
    assert early.status().regimes == {"compressed": 21, "lists": 44}
    check(early, documents(0, 20) + documents(20, 21) + documents(21, 40) + documents(40, 65))
    early.compact()
    assert early.status().regimes == {"lists": 65}
    check(early, documents(0, 20) + documents(20, 21) + documents(21, 40) + documents(40, 65))
    check_swept(early)


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few passages are many: they are committed in parts, and joined when the call ends."""
    monkeypatch.setattr("retrieval.index.writing.merge_policy.SMALLEST", 8)
    monkeypatch.setattr("retrieval.index.writing.writer.COMMIT_CHANGES", 10)


@pytest.mark.usefixtures("many")
def test_a_call_that_brings_many_leaves_one_segment(early: Index) -> None:
    early.add(documents(0, 64))
    assert early.status().generation > 6, "it was committed in parts"
    assert len(late_segments(early.path)) == 1
    check(early, documents(0, 64))
    check_swept(early)


@pytest.mark.usefixtures("many")
def test_a_call_that_brings_many_writes_each_passage_a_second_time_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again: list[int] = []
    merged = vectors.merge_vectors

    def noted(*given: Any) -> None:
        again.append(sum(len(segment.ids) for segment in given[1]))
        merged(*given)

    monkeypatch.setattr(vectors, "merge_vectors", noted)
    with create(folder, LateOptions()) as index:
        index.add(documents(0, 30))
        again.clear()
        index.add(documents(30, 340))
        assert len(list(index.path.glob("segments/*/late"))) == 1
        assert sum(again) == 340
        (words,) = index.path.glob("segments/*/meta.json")
        assert len(json.loads(words.read_text())["segments"]) == 1
        assert index.verify() == []


@pytest.mark.parametrize("bits", [2, 4])
def test_scores_and_ranks_before_and_after(folder: Path, bits: Any) -> None:
    """They are those of the encoder's own vectors, up to what compression costs."""
    docs = documents(0, 60)
    queries = [" ".join(document.text.split()[2:6]) for document in docs[:12]]
    late = LateOptions(exact_passages=60, list_passages=60, bits=bits)
    slack = {2: 0.4, 4: 0.1}[bits]
    with create(folder, late) as index:
        index.add(docs)
        for regime, more in (("exact", []), ("lists", documents(60, 61))):
            index.add(more)
            docs += more
            assert index.status().regimes == {regime: len(docs)}
            kept = []
            for query, hits in zip(
                queries, index.search_batch(queries, 10, retriever="late"), strict=True
            ):
                exactly = truth(index, query, docs)
                assert len(hits) == 10
                for hit in hits:
                    assert abs(hit.score - exactly[hit.document_id]) < slack
                best = sorted(exactly, key=lambda id: -exactly[id])[:10]
                kept.append(len({hit.document_id for hit in hits} & set(best)) / 10)
            assert np.mean(kept) >= {"exact": 0.97, "lists": {2: 0.7, 4: 0.9}[bits]}[regime]
        report = index.measure(queries, k=10)
        assert report.recall_at_k >= 0.95
        assert report.regimes == {"lists": 61}


def test_documents_change_after_promotion(early: Index) -> None:
    first = documents(0, 30)
    early.add(first)
    early.delete([document.id for document in first[:10]])
    check(early, first[10:])
    changed = documents(10, 15, seed=1)
    early.add(changed)
    now = changed + first[15:]
    check(early, now)
    assert early.status().regimes == {"compressed": 15, "exact": 5}
    assert not early.search("own0x12", 1, retriever="lexical")
    hits = early.search("shared", 100, retriever="late", where="third == 1 and seed == 0")
    assert {hit.document_id for hit in hits} == {f"d{n}" for n in range(15, 30) if n % 3 == 1}
    assert early.search("shared", 100, retriever="late", where="third == 7") == []
    early.compact()
    assert early.status().regimes == {"compressed": 20}
    assert early.status().dead_passages == 0
    check(early, now)
    early.delete([document.id for document in now])
    early.compact()
    assert early.status().regimes == {}
    assert early.search("shared", 10, retriever="late") == []
    early.add(documents(0, 21, seed=2))
    check(early, documents(0, 21, seed=2))
    check_swept(early)


def test_everything_is_compressed_where_nothing_may_be_exact(folder: Path) -> None:
    with create(folder, LateOptions(exact_passages=0, list_passages=0)) as index:
        for n in range(4):
            index.add(documents(n, n + 1))
            assert index.status().regimes == {"lists": n + 1}
            # The first one's tokens made the codec, which is poor: but none is missing.
            hits = index.search("shared own0x0", 10, retriever="late")
            assert {hit.document_id for hit in hits} == {f"d{m}" for m in range(n + 1)}
        assert index.search("shared own0x0 own0x0", 1, retriever="late")[0].document_id == "d0"
        index.compact()
        assert index.status().regimes == {"lists": 4}
        assert index.verify() == []


def test_without_token_vectors_there_is_nothing_to_promote(folder: Path) -> None:
    encoder = FakeEncoder(32, None)
    with Index.create(folder, encoder=encoder, late=EARLY) as index:
        for n in range(FAN_IN + 2):
            index.add(documents(5 * n, 5 * n + 5))
        status = index.status()
        assert status.regimes == {}
        assert status.generation == FAN_IN + 2
        assert status.segments == 3  # merged as ever, one more, and the lexical one
        assert index.verify() == []


def test_a_reader_keeps_what_it_opened(early: Index) -> None:
    first = documents(0, 20)
    early.add(first)
    with Index.open(early.path, encoder=FakeEncoder()) as reader:
        before = reader.search_batch(["own0x7 word3", "shared"], 30, retriever="late")
        early.add(documents(20, 40))
        early.compact()
        check_swept(early)
        assert reader.status().regimes == {"exact": 20}
        assert reader.search_batch(["own0x7 word3", "shared"], 30, retriever="late") == before
        assert reader.refresh()
        assert reader.status().regimes == {"compressed": 40}
        check(reader, first + documents(20, 40))


def test_segments_share_a_codec_until_it_is_outgrown(early: Index) -> None:
    early.add(documents(0, 30))
    (first,) = late_segments(early.path)
    for n in range(2):
        early.add(documents(40 * n + 30, 40 * n + 70))
    segments = late_segments(early.path)
    assert len(segments) == 3
    assert {segment.codec.key for segment in segments} == {first.codec.key}
    assert first.codec.trained_tokens == 30 * 9
    early.add(documents(110, 230))
    grown = max(late_segments(early.path), key=lambda segment: segment.tokens)
    assert grown.tokens == 120 * 9 >= 4 * first.codec.trained_tokens
    assert grown.codec.key != first.codec.key
    assert grown.codec.trained_tokens == grown.tokens
    early.compact()
    (last,) = late_segments(early.path)
    assert last.codec.trained_tokens in (grown.tokens, last.tokens)
    assert early.verify() == []


@pytest.mark.parametrize("others", [30, 15])
def test_compact_trains_anew_what_has_drifted(folder: Path, others: int) -> None:
    """Whether what came later is compressed by now, or exact still."""
    with create(folder) as early:
        check_drift(early, others)


def test_vectors_of_2_bits_are_not_stored_a_second_time(folder: Path) -> None:
    """Neither for drift nor for growth: what is outgrown is what narrows them."""
    with create(folder, replace(EARLY, bits=2)) as index:
        index.add(documents(0, 30))
        (first,) = late_segments(index.path)
        index.add(documents(30, 60, words="elsewhere"))
        index.compact()
        (segment,) = late_segments(index.path)
        assert (segment.codec.key, segment.coarse_quantiser) == (first.codec.key, None)
        index.add(documents(60, 500))
        index.compact()
        (segment,) = late_segments(index.path)
        assert segment.codec.key == first.codec.key
        assert first.codec.trained_tokens == 30 * 9
        assert segment.narrowing.trained_tokens >= 4 * 30 * 9
        assert segment.tokens == 500 * 9
        check(index, documents(0, 30) + documents(30, 60, words="elsewhere") + documents(60, 500))


def check_drift(early: Index, others: int) -> None:
    early.add(documents(0, 40))
    (first,) = late_segments(early.path)
    early.compact()
    (same,) = late_segments(early.path)
    assert same.codec.key == first.codec.key
    assert same.error == pytest.approx(first.error)
    early.add(documents(40, 40 + others, words="elsewhere"))
    regime = "compressed" if others > 20 else "exact"
    assert early.status().regimes.get(regime, 0) >= others
    segments = late_segments(early.path)
    assert {segment.codec.key for segment in segments} == {first.codec.key}
    if others > 20:
        assert min(segment.error for segment in segments) < 0.7 * max(
            segment.error for segment in segments
        )
    early.compact()
    (anew,) = late_segments(early.path)
    assert anew.codec.key != first.codec.key
    assert anew.codec.trained_tokens == anew.tokens
    assert anew.error <= 1.2 * anew.codec.trained_error
    check(early, documents(0, 40) + documents(40, 40 + others, words="elsewhere"))
    early.compact()
    assert late_segments(early.path)[0].codec.key == anew.codec.key


def no_space(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def failing_from(nth: int, function: Callable[..., Any]) -> Callable[..., Any]:
    calls = 0

    def call(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        return no_space() if calls >= nth else function(*arguments, **options)

    return call


def no_space_to_promote(patch: pytest.MonkeyPatch, owner: Any, name: str, nth: int) -> None:
    """The nth call of this function fails, counted from the moment when promotion begins."""
    real = Session._promote

    def promote(session: Session, **kinds: bool) -> None:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(owner, name, failing_from(nth, getattr(owner, name)))
            real(session, **kinds)

    patch.setattr(Session, "_promote", promote)


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize(
    ("owner", "name", "nth"),
    [
        *((os, "fsync", nth) for nth in (1, 5, 14)),
        (os, "mkdir", 1),
        (os, "mkdir", 2),
        (ArrayWriter, "append", 1),
        (ArrayWriter, "append", 4),
    ],
)
def test_a_disk_that_fills_during_promotion(
    early: Index, owner: Any, name: str, nth: int, several: bool
) -> None:
    """What was added is kept and searched as before; the next commit promotes."""
    first = []
    if several:  # as many segments as are merged anyway with the next
        for n in range(FAN_IN):
            first += documents(2 * n, 2 * n + 2)
            early.add(first[-2:])
    more = documents(16 if several else 0, 25)
    with pytest.MonkeyPatch.context() as patch:
        no_space_to_promote(patch, owner, name, nth)
        with pytest.raises(StorageError, match=r"(?i)no space left") as caught:
            early.add(more)
    assert "\n" not in str(caught.value)
    assert early.status().regimes == {"exact": 25}
    check(early, first + more)
    check_swept(early)
    early.add(documents(25, 26))
    assert early.status().regimes == {"compressed": 26}
    check(early, first + more + documents(25, 26))
    check_swept(early)


def fill(file: Path, left: int) -> None:
    """Let so many bytes be free on the disk of this file."""
    with file.open("wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(bytes(4096))
        except OSError as error:
            assert error.errno == errno.ENOSPC
        ballast.truncate(ballast.tell() - left)


def test_a_small_disk_is_full_at_every_step(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real one: with a page more free each time, until promotion goes through."""
    ballast, failed = small_disk / "ballast", 0
    real = Session._promote

    def promote(session: Session, **kinds: bool) -> None:
        fill(ballast, 4096 * failed)
        real(session, **kinds)

    with create(small_disk / "index") as index:
        index.add(documents(0, 20))
        monkeypatch.setattr(Session, "_promote", promote)
        for failed in range(200):
            more = [document for n in range(failed + 1) for document in documents(20 + n, 21 + n)]
            try:
                index.add(more[-1:])
            except StorageError as error:
                assert "no space left" in str(error).lower()
                assert "\n" not in str(error)
                assert index.status().regimes == {"exact": 20 + len(more)}
                ballast.unlink()
                check(index, documents(0, 20) + more, "late")
                check_swept(index)
            else:
                break
        assert failed > 10
        assert "exact" not in index.status().regimes
        ballast.unlink()
        check(index, documents(0, 20) + more)
        check_swept(index)


def test_an_interrupted_promotion_is_made_up_for(early: Index) -> None:
    def interrupt(now: ProgressUpdate) -> None:
        if now.stage == COMPRESSING:
            raise KeyboardInterrupt

    with (
        pytest.raises(KeyboardInterrupt),
        early.writing(progress=interrupt) as writer,
    ):
        for document in documents(0, 25):
            writer.put(document)
    check_swept(early)
    assert early.status().regimes == {"exact": 25}
    check(early, documents(0, 25))
    with pytest.raises(KeyboardInterrupt):
        early.compact(progress=interrupt)
    assert early.status().regimes == {"exact": 25}
    check_swept(early)
    early.delete(["d0"])
    assert early.status().regimes == {"compressed": 24}
    check(early, documents(0, 25)[1:])


def test_searches_go_on_all_the_while(folder: Path) -> None:
    """Every search sees all documents of one generation, none twice, none that is gone."""
    late = LateOptions(exact_passages=5, list_passages=24)
    size = 12

    def generation(number: int) -> list[Document]:
        return [
            Document(f"d{n}", f"round{number} own{n} own{n} shared", metadata={"n": n})
            for n in range(size)
        ]

    done = threading.Event()
    seen: set[int] = set()

    def search(index: Index, where: str | None) -> int:
        searches = 0
        wanted = {f"d{n}" for n in range(size if where is None else size // 2)}
        while not done.is_set():
            index.refresh()
            for retriever in ("late", "hybrid"):
                hits = index.search("shared own3", 100, retriever=retriever, where=where)  # type: ignore[arg-type]
                assert {hit.document_id for hit in hits} == wanted
                assert len(hits) == len(wanted)
                rounds = {hit.text.split()[0] for hit in hits}
                assert len(rounds) == 1
                seen.add(int(rounds.pop().removeprefix("round")))
                if retriever == "late":
                    assert hits[0].document_id == "d3"
            searches += 1
        return searches

    with create(folder, late) as index, ThreadPoolExecutor(3) as pool:
        index.add(generation(0))
        other = Index.open(index.path, encoder=FakeEncoder())
        jobs = [
            pool.submit(search, index, None),
            pool.submit(search, index, "n < 6"),
            pool.submit(search, other, None),
        ]
        try:
            for number in range(1, 9):
                index.add(generation(number))
                if number % 4 == 0:
                    index.compact()
        finally:
            done.set()
        assert all(job.result(60) > 3 for job in jobs)
        other.close()
        assert len(seen) > 2
        assert "exact" not in index.status().regimes
        assert index.verify() == []
        check_swept(index)
