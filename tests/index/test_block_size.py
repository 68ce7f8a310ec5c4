"""Pace: text of one call to the encoder, by the speed of the one before."""

from __future__ import annotations

from pathlib import Path

import pytest

from retrieval.index import Index
from retrieval.index.writing.block_size import SECONDS, Pace
from retrieval.index.writing.drafts import Draft
from retrieval.types import Document

from .fake_encoder import FakeEncoder


def test_the_next_call_takes_its_seconds_within_bounds() -> None:
    pace = Pace(8000)
    assert pace.characters == 1000
    pace.note(1000, 1.0)
    assert pace.characters == 1000 * SECONDS
    pace.note(3000, 1000.0)
    assert pace.characters == 1000
    pace.note(1000, 0.0)
    assert pace.characters == 8000
    assert Pace(1).characters == 1


def test_a_slow_encoder_is_asked_for_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what it gave is committed on the way."""
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    monkeypatch.setattr("retrieval.index.writing.encoding.BLOCK_CHARACTERS", 8000)
    calls: list[int] = []

    class Slow(FakeEncoder):
        def encode_documents(self, texts, **options):  # type: ignore[no-untyped-def]
            calls.append(sum(map(len, texts)))
            clock[0] += calls[-1] / 200  # so many characters a second
            return super().encode_documents(texts, **options)

    documents = [Document(f"d{n}", f"word{n} " * 100) for n in range(60)]
    seen = []
    with Index.create(tmp_path / "i", encoder=Slow()) as index:

        def given():  # type: ignore[no-untyped-def]
            for document in documents:
                yield document
                seen.append(index.status().documents)

        index.add(given())
        assert index.status().documents == 60
    assert max(calls) < 2500
    assert len(set(seen)) > 5


def test_each_passage_of_a_long_document_is_looked_at_a_few_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not once for every other one: a file of 32 MB has tens of thousands."""
    looked = 0
    new, rate = Draft.new, Draft.tokens_per_character

    def counted(which: property) -> property:
        def get(draft: Draft) -> object:
            nonlocal looked
            looked += len(draft.passages)
            assert which.fget is not None
            return which.fget(draft)

        return property(get)

    assert isinstance(new, property)
    assert isinstance(rate, property)
    monkeypatch.setattr(Draft, "new", counted(new))
    monkeypatch.setattr(Draft, "tokens_per_character", counted(rate))
    with Index.create(tmp_path / "i", encoder=FakeEncoder(), passage_tokens=8) as index:
        index.add([Document("long", "a few words. " * 2000)])
        passages = index.status().passages
    assert passages > 500
    assert looked < 10 * passages
