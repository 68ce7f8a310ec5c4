"""An index whose passages are read together with their neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval import Document, Index
from retrieval.encoders import load_encoder
from retrieval.errors import EncoderError, InputError
from retrieval.index import long_context
from retrieval.index.long_context import PassageEncoder
from retrieval.service.opening import open_or_create
from retrieval.types import Embeddings, SpanEncoder

from .fake_encoder import FakeEncoder

WORDS = [
    "amber",
    "birch",
    "cedar",
    "dune",
    "ember",
    "fjord",
    "grove",
    "heath",
    "inlet",
    "jetty",
    "knoll",
    "ledge",
]
STORIES = [
    Document(
        f"s{n}",
        "\n\n".join(f"The {word} of house {n} is part {at}. " * 3 for at, word in enumerate(words)),
        title=f"House {n}",
    )
    for n, words in enumerate((WORDS[:5], WORDS[5:6], WORDS[6:9], WORDS[9:10], WORDS))
]


class Spans(FakeEncoder):
    """Reads spans as if each were alone, and remembers what was read together."""

    def __init__(self, **changes: Any) -> None:
        super().__init__(**changes)
        self.together: list[list[str]] = []

    def encode_spans(self, text: str, spans: Sequence[tuple[int, int]]) -> Embeddings:
        texts = [text[start:end] for start, end in spans]
        if texts:
            self.together.append(texts)
        return self._encode(texts)


@pytest.fixture(autouse=True)
def short_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_context, "STRETCH_TOKENS", 120)


def answers(index: Index, query: str, retriever: Any) -> list[tuple[str, int, float]]:
    hits = index.search(query, 9, retriever=retriever)
    return [(hit.document_id, hit.passage.ordinal, round(hit.score, 5)) for hit in hits]


def test_every_passage_keeps_its_own_vectors(tmp_path: Path) -> None:
    encoder = Spans()
    with (
        Index.create(
            tmp_path / "l", encoder=encoder, passage_tokens=40, long_context=True
        ) as index,
        Index.create(tmp_path / "p", encoder=FakeEncoder(), passage_tokens=40) as plain,
    ):
        assert index.add(STORIES) == plain.add(STORIES) == 5
        assert index.status().passages == plain.status().passages
        for query in ("birch", "the dune of house 4", "part 2"):
            for retriever in ("dense", "late", "hybrid"):
                assert answers(index, query, retriever) == answers(plain, query, retriever)
        assert index.verify() == []
    assert {len(texts) for texts in encoder.together} >= {2, 3}
    assert all(text.startswith("House") for texts in encoder.together for text in texts)
    assert all(text.split("\n")[0] in ("House 1", "House 3") for text in encoder.encoded)


def test_a_document_that_changed_is_read_anew_as_a_whole(tmp_path: Path) -> None:
    encoder = Spans()
    with Index.create(
        tmp_path / "l", encoder=encoder, passage_tokens=40, long_context=True
    ) as index:
        index.add(STORIES)
        encoder.together.clear()
        assert index.add(STORIES) == 0
        relabelled = Document("s4", STORIES[4].text, STORIES[4].title, {"year": 3})
        assert index.add([relabelled]) == 1
        assert encoder.together == []
        text = STORIES[4].text.replace("ledge", "lake")
        assert index.add([Document("s4", text, STORIES[4].title)]) == 1
        assert sum(map(len, encoder.together)) == 12
        assert index.search("lake", 1, retriever="late")[0].document_id == "s4"
        cut = text.rsplit("\n\n", 1)[0]
        encoder.together.clear()
        assert index.add([Document("s4", cut, STORIES[4].title)]) == 1
        assert sum(map(len, encoder.together)) == 11  # the last one has lost a neighbour
        assert index.verify() == []


def test_fresh_vectors_are_those_that_are_stored(tmp_path: Path) -> None:
    encoder = load_encoder()
    queries = ["the birch of the house", "ember in part 4", "jetty"]
    with Index.create(
        tmp_path / "l", encoder=encoder, passage_tokens=40, long_context=True
    ) as index:
        index.add(STORIES)
        for query in queries:
            stored = index.search(query, 6, retriever="late")
            fresh = index.search(query, 6, retriever="late", rescore=6)
            scores = {(h.document_id, h.passage.ordinal): h.score for h in stored}
            for hit in fresh:
                own = scores[hit.document_id, hit.passage.ordinal]
                assert hit.score == pytest.approx(own, rel=0.01)
        report = index.measure(queries, k=5, depth=20)
        assert report.float_recall_at_k > 0.9
        with Index.create(tmp_path / "p", encoder=encoder, passage_tokens=40) as plain:
            plain.add(STORIES)
            apart = {
                (h.document_id, h.passage.ordinal): h.score
                for h in plain.search(queries[0], 6, retriever="late")
            }
        here = {
            (h.document_id, h.passage.ordinal): h.score
            for h in index.search(queries[0], 6, retriever="late")
        }
        assert any(abs(apart[key] - here[key]) > 0.02 for key in apart.keys() & here.keys())


def test_matches_are_shown_where_they_stand(tmp_path: Path) -> None:
    encoder = load_encoder()
    with Index.create(
        tmp_path / "l", encoder=encoder, passage_tokens=40, long_context=True
    ) as index:
        index.add(STORIES)
        for word in WORDS[:5] + WORDS[9:]:
            hits = index.search(word, 3, retriever="late")
            (hit, matches) = next(
                pair for pair in zip(hits, index.explain(word, hits), strict=True)
                if word in pair[0].text
            )  # fmt: skip
            own = [match for match in matches if match.query_token]
            shown = {match.passage_token.lower() for match in own if match.passage_span}
            for match in own:
                if match.passage_span and match.passage_span[0] < match.passage_span[1]:
                    start, end = match.passage_span
                    assert hit.text[start:end] == match.passage_token
            assert any(piece in word for piece in shown if piece)


def test_an_encoder_that_cannot_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match=r"cannot read a document as a whole.*leave long_c"):
        Index.create(tmp_path / "l", encoder=FakeEncoder(), long_context=True)
    assert not (tmp_path / "l").exists()
    with pytest.raises(InputError, match="long_context='yes' cannot be used; give True or False"):
        Index.create(tmp_path / "l", encoder=Spans(), long_context="yes")  # type: ignore[arg-type]


def test_it_is_remembered_and_cannot_be_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrieval.index.encoder.load", lambda source: Spans())
    open_or_create(tmp_path / "l", long_context=True).close()
    open_or_create(tmp_path / "p").close()
    for name, made in (("l", True), ("p", False)):
        with open_or_create(tmp_path / name) as index:
            assert index.status().long_context is made
        open_or_create(tmp_path / name, long_context=made).close()
        with pytest.raises(InputError, match=f"made with long_context={made}, not"):
            open_or_create(tmp_path / name, long_context=not made)


def test_what_fails_in_a_thread_is_said(tmp_path: Path) -> None:
    class Broken(Spans):
        def encode_spans(self, text: str, spans: Sequence[tuple[int, int]]) -> Embeddings:
            if "dune" in text:
                raise EncoderError("out of memory")
            return super().encode_spans(text, spans)

    with Index.create(
        tmp_path / "l", encoder=Broken(), passage_tokens=40, long_context=True
    ) as index:
        with pytest.raises(EncoderError, match="out of memory"):
            index.add(STORIES)
        assert index.status().documents == 0 and index.verify() == []


@given(lengths=st.lists(st.integers(0, 60), max_size=40))
def test_stretches(lengths: list[int]) -> None:
    encoder = PassageEncoder(Spans(), long_context=True)
    texts = [" ".join(["word"] * length) for length in lengths]
    found = list(encoder.stretches(texts))
    assert [text for part in found for text in part] == texts
    for part in found:
        size = sum(len(text.split()) + 1 for text in part)
        assert size <= long_context.STRETCH_TOKENS or len(part) == 1
    alone = PassageEncoder(Spans(), long_context=False).stretches(iter(texts))
    assert list(alone) == [[text] for text in texts]


def test_stretches_in_any_order_give_each_text_its_vectors() -> None:
    fake = Spans()
    assert isinstance(fake, SpanEncoder)
    encoder = PassageEncoder(fake, long_context=True)
    stretches = [["a b"], ["c", "d e f"], ["g"], ["h", "a", "b c"], ["d"]]
    made = encoder.encode(stretches)
    expected = fake.encode_documents([text for texts in stretches for text in texts])
    np.testing.assert_array_equal(made.dense, expected.dense)  # type: ignore[arg-type]
    np.testing.assert_array_equal(made.tokens, expected.tokens)  # type: ignore[arg-type]
    np.testing.assert_array_equal(made.offsets, expected.offsets)  # type: ignore[arg-type]
    assert len(encoder.encode([])) == 0


def test_windows_go_along(tmp_path: Path) -> None:
    encoder = load_encoder()
    passages = PassageEncoder(encoder, long_context=True)
    long = " ".join(WORDS * 12)
    made = passages.encode([[long], ["one", long], ["two"]])
    assert made.windows is not None and made.window_offsets is not None
    assert np.diff(made.window_offsets).tolist()[1] == 1
    assert np.diff(made.window_offsets).tolist()[0] > 1 < np.diff(made.window_offsets).tolist()[2]
    alone = encoder.encode_documents([long])
    np.testing.assert_array_equal(made.windows[: made.window_offsets[1]], alone.windows)
