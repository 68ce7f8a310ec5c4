"""An encoder compares texts without an index."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from retrieval.encoders import load_encoder
from retrieval.errors import EncoderError, InputError
from tests.cli.test_models import write_model

TEXTS = ["one two", "", "three", "two one two", " \n", "four"]


@pytest.mark.parametrize("heads", [("dense", "token"), ("dense",), ("token",)])
def test_texts_are_ranked_as_their_vectors_say(tmp_path: Path, heads: tuple[str, ...]) -> None:
    encoder = load_encoder(write_model(tmp_path / "model", heads=heads))
    query = encoder.encode_queries(["two three"])
    made = encoder.encode_documents(TEXTS)
    expected = []
    for at in range(len(TEXTS)):
        if encoder.token_dim is None:
            assert query.dense is not None and made.dense is not None
            expected.append(float(made.dense[at] @ query.dense[0]))
        else:
            assert query.tokens is not None and made.tokens is not None and made.offsets is not None
            own = made.tokens[made.offsets[at] : made.offsets[at + 1]]
            expected.append(float(sum(max(own @ token) for token in query.tokens)))
    ranked = encoder.rerank("two three", TEXTS)
    real = [one for one in ranked if one.text.strip()]
    assert [one.text for one in ranked if not one.text.strip()] == ["", " \n"]
    assert ranked[: len(real)] == real  # none of the empty ones is above them
    assert [one.index for one in real] == sorted((0, 2, 3, 5), key=lambda at: -expected[at])
    np.testing.assert_allclose(
        [one.score for one in real], [expected[one.index] for one in real], rtol=1e-5
    )
    assert all(TEXTS[one.index] == one.text for one in ranked)
    assert encoder.rerank("two three", iter(TEXTS), k=2) == ranked[:2]
    assert encoder.rerank("two three", []) == []


def test_similarity_is_the_cosine(tmp_path: Path) -> None:
    encoder = load_encoder(write_model(tmp_path / "model"))
    found = encoder.similarity(["one two", "three"], ["three", "four", "one two"])
    assert found.shape == (2, 3) and found.dtype == np.float32
    assert found[0, 2] == pytest.approx(1) and found[1, 0] == pytest.approx(1)
    assert (abs(found) <= 1 + 1e-6).all() and found[0, 0] == pytest.approx(found[1, 2])
    tokens = load_encoder(write_model(tmp_path / "tokens", heads=("token",)))
    with pytest.raises(EncoderError, match="has no dense head"):
        tokens.similarity(["a"], ["b"])


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    encoder = load_encoder(write_model(tmp_path / "model"))
    rerank = encoder.rerank
    for query in ("", "  ", None, ["a"]):
        with pytest.raises(InputError, match="is not a query"):
            rerank(query, ["a"])
    for k in (0, True, 1.5):
        with pytest.raises(InputError, match="k must be a whole number of at least 1"):
            rerank("a", ["a"], k=k)
    for texts in ("bare", None, ["a", 3]):
        with pytest.raises(InputError, match="give a list of texts"):
            rerank("a", texts)
        with pytest.raises(InputError, match="give a list of texts"):
            encoder.similarity(["a"], texts)
