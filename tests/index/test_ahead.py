"""An encoder that works ahead encodes a block while the next is cut; nothing else differs."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from retrieval import Document, Index
from retrieval.encoders import load_encoder
from retrieval.errors import EncoderError
from retrieval.types import Embeddings, EncodesAhead
from tests.index.fake_encoder import FakeEncoder

DOCUMENTS = [Document(f"d{n}", f"word{n} other{n % 5} some more words") for n in range(40)]


class AheadEncoder(FakeEncoder):
    """Encodes in a thread, and remembers what happened in which order."""

    def __init__(self, fail_at: int | None = None) -> None:
        super().__init__()
        self.events: list[str] = []
        self.fail_at = fail_at
        self.pool = ThreadPoolExecutor(1)
        self.begun = 0

    def token_spans(self, text: str) -> np.ndarray:
        self.events.append("cut")
        return super().token_spans(text)

    def start_documents(self, texts: Sequence[str]) -> Under:
        number, self.begun = self.begun, self.begun + 1
        self.events.append(f"start {number}")

        def work() -> Embeddings:
            if number == self.fail_at:
                raise EncoderError("out of memory")
            return self.encode_documents(texts)

        return Under(self, number, self.pool.submit(work))


class Under:
    def __init__(self, encoder: AheadEncoder, number: int, future: Future[Embeddings]) -> None:
        self.encoder, self.number, self.future = encoder, number, future

    def result(self) -> Embeddings:
        made = self.future.result()
        self.encoder.events.append(f"result {self.number}")
        return made

    def cancel(self) -> None:
        self.encoder.events.append(f"cancel {self.number}")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrieval.index.writing.encoding.BLOCK_CHARACTERS", 200)


def test_the_embedded_encoder_works_ahead() -> None:
    encoder = load_encoder()
    assert isinstance(encoder, EncodesAhead)
    texts = ["one text", "and another, which is longer", ""]
    started = encoder.start_documents(texts)
    whole = encoder.encode_documents(texts)  # meanwhile
    made = started.result()
    np.testing.assert_array_equal(made.tokens, whole.tokens)  # type: ignore[arg-type]
    np.testing.assert_array_equal(made.windows, whole.windows)  # type: ignore[arg-type]


def test_the_next_block_is_cut_while_one_is_encoded(tmp_path: Path) -> None:
    encoder = AheadEncoder()
    seen: list[int] = []
    with Index.create(tmp_path / "ahead", encoder=encoder) as index:
        index.add(DOCUMENTS, progress=lambda now: seen.append(now.done))
        events = encoder.events
        assert encoder.begun > 3
        for number in range(encoder.begun - 1):
            end = events.index(f"result {number}")
            # By then the next one had been cut, and begun.
            between = events[events.index(f"start {number}") : end]
            assert "cut" in between and f"start {number + 1}" in between
        assert not any(event.startswith("cancel") for event in events)
        assert seen == sorted(seen) and seen[-1] == 40

        plain = FakeEncoder()
        with Index.create(tmp_path / "plain", encoder=plain) as other:
            other.add(DOCUMENTS)
            assert plain.encoded == encoder.encoded
            for retriever in ("dense", "late", "hybrid"):
                for query in ("word7", "other3 more"):
                    one, two = (i.search(query, 5, retriever=retriever) for i in (index, other))
                    assert [(h.document_id, h.score) for h in one] == [
                        (h.document_id, h.score) for h in two
                    ]
        assert index.verify() == []


def test_a_future_of_embeddings_will_do(tmp_path: Path) -> None:
    class Futures(FakeEncoder):
        pool = ThreadPoolExecutor(1)

        def start_documents(self, texts: Sequence[str]) -> Future[Embeddings]:
            return self.pool.submit(self.encode_documents, texts)

    with Index.create(tmp_path / "index", encoder=Futures()) as index:
        assert index.add(DOCUMENTS) == 40
        assert index.search("word7", 1)[0].document_id == "d7"


@pytest.mark.parametrize("fail_at", [0, 2])
def test_what_fails_ahead_is_said_and_nothing_of_it_is_kept(tmp_path: Path, fail_at: int) -> None:
    encoder = AheadEncoder(fail_at)
    with Index.create(tmp_path / "index", encoder=encoder) as index:
        with pytest.raises(EncoderError, match="out of memory"):
            index.add(DOCUMENTS)
        assert index.status().documents == 0
        # What had begun behind it is not left running.
        assert [e for e in encoder.events if e.startswith("cancel")][-1:] != []
        encoder.fail_at = None
        assert index.add(DOCUMENTS) == 40
        assert index.search("word7", 1)[0].document_id == "d7"
        assert index.verify() == []


def test_an_interruption_leaves_nothing_running(tmp_path: Path) -> None:
    encoder = AheadEncoder()

    def interrupted() -> None:
        raise KeyboardInterrupt

    with Index.create(tmp_path / "index", encoder=encoder) as index:
        with pytest.raises(KeyboardInterrupt):
            index.add(DOCUMENTS, progress=lambda now: interrupted())
        assert f"cancel {encoder.begun - 1}" in encoder.events
        assert index.status().documents == 0
        assert index.add(DOCUMENTS) == 40
