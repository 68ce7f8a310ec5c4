"""Texts scored against a query, without an index."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.errors import EncoderError
from retrieval.service import scoring
from retrieval.service.scoring import count_tokens, embed, rerank
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
        assert np.allclose(rerank(encoder, query, texts), expected, atol=1e-6)
    assert len(rerank(encoder, query, [])) == 0


def test_an_encoder_without_a_head() -> None:
    dense = FakeEncoder(token_dim=None)
    scores = rerank(dense, "who waits", ["waits who", "zebras"])
    assert scores[0] > 0.99 > scores[1] >= 0
    with pytest.raises(EncoderError, match="no dense head"):
        embed(FakeEncoder(dense_dim=None), ["text"], "document")


def test_sides_and_counts() -> None:
    encoder = FakeEncoder()
    assert np.array_equal(
        embed(encoder, ["a b"], "query"), np.asarray(encoder.encode_queries(["a b"]).dense)
    )
    assert count_tokens(encoder, ["a b", "", "c."]) == 4
