"""Any cross-encoder of sentence-transformers as a reranker."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sentence_transformers")

import sentence_transformers
import torch
from transformers import BertConfig, BertForSequenceClassification

from retrieval.encoders import CrossEncoder, load_encoder, load_reranker
from retrieval.errors import CheckpointError, InputError
from retrieval.types import Reranker
from tests.cli.test_models import write_model

from .random_models import TEXTS, randomise, wordpiece


def saved(folder: Path, labels: int = 1) -> Path:
    shape = {"vocab_size": 400, "hidden_size": 32, "intermediate_size": 48}
    config = BertConfig(
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
        num_labels=labels,
        **shape,
    )
    model = BertForSequenceClassification(config)
    randomise(model)
    model.save_pretrained(folder)
    wordpiece().save_pretrained(folder)
    return folder


def test_texts_are_ranked_as_the_library_scores_them(tmp_path: Path) -> None:
    folder = saved(tmp_path / "cross")
    reranker = load_reranker(folder, device="cpu")
    assert isinstance(reranker, Reranker) and isinstance(reranker, CrossEncoder)
    query, texts = "the quick fox", ["", *TEXTS, " \n"]
    theirs = sentence_transformers.CrossEncoder(str(folder), device="cpu")
    scores = theirs.predict(
        [(query, text) for text in texts],
        show_progress_bar=False,
        activation_fn=torch.nn.Identity(),
    )
    ranked = reranker.rerank(query, texts)
    assert sorted(one.index for one in ranked) == list(range(len(texts)))
    real = [one for one in ranked if one.text.strip()]
    assert ranked[: len(real)] == real
    np.testing.assert_allclose(
        [one.score for one in real], [scores[one.index] for one in real], atol=1e-5
    )
    assert [one.score for one in real] == sorted((one.score for one in real), reverse=True)
    assert reranker.rerank(query, texts, 2) == ranked[:2]
    assert reranker.rerank(query, []) == []


def test_what_is_no_cross_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        CheckpointError, match="gives 3 numbers for a pair, expected a cross-encoder"
    ):
        load_reranker(saved(tmp_path / "three", labels=3)).rerank("fox", ["dog"])
    folder = saved(tmp_path / "pickled")
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError):
        load_reranker(folder)
    folder = saved(tmp_path / "broken")
    (folder / "config.json").write_text("{")
    with pytest.raises(CheckpointError):
        load_reranker(folder)
    with pytest.raises(CheckpointError):
        load_reranker(tmp_path / "nowhere")
    with pytest.raises(InputError, match="device 'tpu9' cannot be used here"):
        load_reranker(saved(tmp_path / "somewhere"), device="tpu9")


@pytest.mark.parametrize(
    ("query", "texts", "k", "message"),
    [
        ("", ["a"], None, "give a text with at least one word"),
        ("q", "a text", None, "'a text' was given to be ranked; give a list of texts"),
        ("q", ["a", 3], None, "3 was given to be ranked but is not a text"),
        ("q", ["a"], 0, "k must be a whole number of at least 1, or None for all, not 0"),
    ],
)
def test_what_cannot_be_ranked(
    tmp_path: Path, query: str, texts: list[str], k: int | None, message: str
) -> None:
    rerankers: list[Reranker] = [
        load_encoder(write_model(tmp_path / "model")),
        load_reranker(saved(tmp_path / "cross")),
    ]
    for reranker in rerankers:
        with pytest.raises(InputError, match=message):
            reranker.rerank(query, texts, k)
