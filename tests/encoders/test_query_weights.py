"""A model may say what each token counts in a query: both runtimes scale its vector by it."""

from __future__ import annotations

import hashlib
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from retrieval import Document, Index
from retrieval.encoders import load_encoder
from retrieval.encoders.export.formats import export_model
from retrieval.encoders.export.onnx_graph import build_graph
from retrieval.encoders.model.config import ModernBertConfig
from retrieval.encoders.model.quantized import (
    read_tensor,
    read_weights,
    tensor_places,
    write_tensors,
)
from retrieval.encoders.model_folder import (
    CONFIG_FILE,
    GRAPH,
    GRAPH_FILE,
    QUERY_WEIGHTS,
    SECTION,
    WEIGHTS_FILE,
    read_config,
)
from retrieval.encoders.runtimes.cpu import CpuEncoder
from retrieval.errors import CheckpointError
from retrieval.train.student import Student

from .cpu_models import save
from .random_models import TEXTS, modernbert_config, wordpiece

SETTINGS = {"query_max_tokens": 12}
VOCABULARY = modernbert_config().vocab_size


def _weighted(folder: Path, weights: np.ndarray) -> Path:
    save(folder, quantize=False, settings=SETTINGS)
    tensors = read_weights(folder / WEIGHTS_FILE)
    write_tensors(folder / WEIGHTS_FILE, {**tensors, QUERY_WEIGHTS: weights})
    # The graph points into the weights' file, so it is written anew.
    config = read_config(folder)
    graph = build_graph(ModernBertConfig.from_dict(config), tensor_places(folder / WEIGHTS_FILE))
    (folder / GRAPH_FILE).write_bytes(graph)
    config[SECTION][GRAPH] = hashlib.sha256(graph).hexdigest()
    (folder / CONFIG_FILE).write_text(json.dumps(config), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def weights() -> np.ndarray:
    return np.random.default_rng(0).uniform(0.2, 3, VOCABULARY).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, weights: np.ndarray) -> Path:
    return _weighted(tmp_path_factory.mktemp("weighted") / "m", weights)


def test_query_vectors_are_scaled_and_documents_are_not(
    folder: Path, weights: np.ndarray, tmp_path: Path
) -> None:
    save(tmp_path / "plain", quantize=False, settings=SETTINGS)
    plain, weighted = CpuEncoder(tmp_path / "plain"), CpuEncoder(folder)
    one, other = plain.encode_queries(TEXTS), weighted.encode_queries(TEXTS)
    np.testing.assert_array_equal(one.dense, other.dense)
    tokenizer = wordpiece()
    for i, text in enumerate(TEXTS):
        ids = tokenizer(text, truncation=True, max_length=12)["input_ids"]
        own = weights[ids] / weights[ids].mean()
        assert own.mean() == pytest.approx(1, rel=1e-5)
        part = slice(one.offsets[i], one.offsets[i + 1])
        np.testing.assert_allclose(other.tokens[part], one.tokens[part] * own[:, None], rtol=1e-5)
    documents = plain.encode_documents(TEXTS), weighted.encode_documents(TEXTS)
    np.testing.assert_array_equal(documents[0].tokens, documents[1].tokens)
    assert plain.fingerprint != weighted.fingerprint


def test_torch_scales_as_the_cpu_runtime_does(folder: Path) -> None:
    ours, theirs = CpuEncoder(folder), load_encoder(folder, device="cpu")
    texts = [*TEXTS, "", "a " * 40]
    one, other = ours.encode_queries(texts), theirs.encode_queries(texts)
    np.testing.assert_array_equal(one.offsets, other.offsets)
    np.testing.assert_allclose(one.tokens, other.tokens, atol=1e-5)
    assert np.linalg.norm(one.tokens, axis=1).std() > 0.1


def test_weights_of_nothing_are_no_weights(tmp_path: Path) -> None:
    encoder = CpuEncoder(_weighted(tmp_path / "m", np.zeros(VOCABULARY, np.float32)))
    norms = np.linalg.norm(encoder.encode_queries(TEXTS).tokens, axis=1)
    np.testing.assert_allclose(norms, 1, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w[:-1], "expected"),
        (lambda w: np.where(np.arange(len(w)) == 3, np.nan, w), "NaN"),
        (lambda w: -w, "negative"),
        (lambda w: w.astype(np.float16), "expected F32"),
    ],
)
def test_weights_that_cannot_be_are_refused(weights, change, message, tmp_path) -> None:
    changed = change(weights)
    kept = changed if changed.dtype == np.float16 else changed.astype(np.float32)
    folder = _weighted(tmp_path / "m", kept)
    with pytest.raises(CheckpointError, match=message):
        CpuEncoder(folder)
    if kept.dtype == np.float32:
        with pytest.raises(CheckpointError, match=message):
            load_encoder(folder, device="cpu")


def test_one_tensor_is_read_alone(folder: Path, weights: np.ndarray) -> None:
    np.testing.assert_array_equal(read_tensor(folder / WEIGHTS_FILE, QUERY_WEIGHTS), weights)
    assert read_tensor(folder / WEIGHTS_FILE, "nothing") is None


def test_a_student_keeps_them_and_they_are_not_trained(folder: Path, weights: np.ndarray) -> None:
    student = Student.from_folder(folder)
    np.testing.assert_array_equal(student.arrays()[QUERY_WEIGHTS], weights)
    assert QUERY_WEIGHTS not in {name for name, _ in student.named_parameters()}


def test_other_formats_go_without(folder: Path, tmp_path: Path) -> None:
    export_model(folder, tmp_path / "st", format="sentence-transformers")
    assert QUERY_WEIGHTS not in read_weights(tmp_path / "st" / WEIGHTS_FILE)


def test_an_index_scores_with_them(folder: Path, tmp_path: Path) -> None:
    encoder = CpuEncoder(folder)
    texts = [text for text in TEXTS if 0 < len(text.split()) < 20]
    with Index.create(tmp_path / "index", encoder=encoder) as index:
        index.add([Document(str(i), text) for i, text in enumerate(texts)])
        hits = index.search(texts[0], k=len(texts), retriever="late")
    query, kept = encoder.encode_queries(texts[:1]), encoder.encode_documents(texts)
    rows = [kept.tokens[a:b] for a, b in itertools.pairwise(kept.offsets)]
    best = [float((query.tokens @ own.T).max(1).sum()) for own in rows]
    assert [hit.document_id for hit in hits] == [str(i) for i in np.argsort(best)[::-1]]
    assert [hit.score for hit in hits] == pytest.approx(sorted(best, reverse=True), rel=0.02)
