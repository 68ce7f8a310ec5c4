"""Texts scored against a query, without an index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from retrieval.errors import EncoderError
from retrieval.service import scoring
from retrieval.service.scoring import count_tokens, embed, late_scores, rerank
from retrieval.types import Embeddings
from tests.index.fake_encoder import FakeEncoder


def test_scores_are_the_mean_of_the_best_cosines(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = FakeEncoder()
    query, texts = "who waits", ["waits who", "who reads", "", "nothing of that kind", "who"]
    asked = encoder.encode_queries([query]).tokens
    assert asked is not None
    expected = []
    for text in texts:
        read = encoder.encode_documents([text]).tokens
        assert read is not None
        best = (asked @ read.T).max(axis=1) if len(read) else np.full(len(asked), -1.0)
        expected.append(min(1.0, max(0.0, float(best.mean()))))
    for at_once in (1, 2, 64):  # texts that are encoded apart score the same
        monkeypatch.setattr(scoring, "_AT_ONCE", at_once)
        assert np.allclose(rerank(encoder, query, texts)[0], expected, atol=1e-6)
    assert len(rerank(encoder, query, [])[0]) == 0


def test_an_encoder_without_a_head() -> None:
    dense = FakeEncoder(token_dim=None)
    scores, _ = rerank(dense, "who waits", ["waits who", "zebras"])
    assert scores[0] > 0.99 > scores[1] >= 0
    with pytest.raises(EncoderError, match="no dense head"):
        embed(FakeEncoder(dense_dim=None), ["text"], "document")


def test_the_side_that_is_asked_for_reads() -> None:
    encoder = FakeEncoder()
    expected = np.asarray(encoder.encode_queries(["a b"]).dense)
    assert np.array_equal(embed(encoder, ["a b"], "query")[0], expected)


class Telling(FakeEncoder):
    """Says how many tokens it read, two special ones of each text among them."""

    def token_spans(self, text: str) -> NDArray[np.int64]:
        raise AssertionError("a text that was encoded is tokenised once more")

    def _encode(self, texts: Sequence[str]) -> Embeddings:
        read = np.array([len(text.split()) + 2 for text in texts], np.int64)
        return replace(super()._encode(texts), tokens_read=read)


@pytest.mark.parametrize("at_once", [1, 64])
def test_tokens_are_those_that_the_encoder_read(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(scoring, "_AT_ONCE", at_once)
    silent, telling = FakeEncoder(), Telling()
    assert count_tokens(silent, ["a b", "", "c."]) == 4
    assert embed(silent, ["a b", "", "c."], "document")[1] == 4  # by its tokenizer
    assert embed(telling, ["a b", "", "c."], "document")[1] == 3 + 6
    assert embed(telling, [], "document")[1] == 0
    for score in (rerank, late_scores):
        assert score(silent, "who waits", ["a b", "c"])[1] == 5
        assert score(telling, "who waits", ["a b", "c"])[1] == 5 + 6
