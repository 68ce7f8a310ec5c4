"""Dense vectors of a text's windows: both runtimes, against transformers' hidden vectors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from retrieval import Document, Index
from retrieval.encoders import load_encoder
from retrieval.encoders.model_folder import CONFIG_FILE
from retrieval.encoders.runtimes.cpu import CpuEncoder
from retrieval.encoders.sides import window_lengths
from retrieval.errors import CheckpointError

from .cpu_models import Reference, save
from .random_models import TEXTS, wordpiece

WINDOW = 7
LONG = "the quick brown fox jumps over a lazy dog . " * 12


@given(tokens=st.integers(1, 9000), most=st.integers(1, 300))
def test_windows_are_few_full_and_alike(tokens: int, most: int) -> None:
    lengths = window_lengths(tokens, most)
    assert lengths.sum() == tokens
    assert lengths.min() >= 1
    assert lengths.max() <= most
    assert len(lengths) == -(-tokens // most)
    assert set(lengths[:-1].tolist()) <= {int(lengths[0])}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Reference]:
    folder = tmp_path_factory.mktemp("windows") / "m"
    return folder, save(folder, quantize=False, settings={"dense_window": WINDOW})


@pytest.mark.parametrize("device", [None, "cpu"])
def test_windows_are_pooled_in_the_context_of_the_whole(
    model: tuple[Path, Reference], device: str | None
) -> None:
    folder, reference = model
    texts = [*TEXTS, LONG]
    made = load_encoder(folder, device=device).encode_documents(texts)
    assert made.windows is not None and made.window_offsets is not None
    tokenizer = wordpiece()
    head = torch.from_numpy(reference.state["dense_head.weight"])
    for i, text in enumerate(texts):
        ids = torch.tensor([tokenizer(text, truncation=True, max_length=256)["input_ids"]])
        with torch.no_grad():
            hidden = reference.trunk(input_ids=ids).last_hidden_state[0]
        parts = hidden.split(window_lengths(ids.shape[1], WINDOW).tolist())
        expected = [F.normalize(part.mean(0) @ head.T, dim=-1).numpy() for part in parts]
        found = made.windows[made.window_offsets[i] : made.window_offsets[i + 1]]
        np.testing.assert_allclose(found, expected, atol=5e-6)
    assert made.window_offsets[-1] > len(texts)


def test_a_short_text_is_one_window_and_a_query_has_none(model: tuple[Path, Reference]) -> None:
    encoder = CpuEncoder(model[0])
    made = encoder.encode_documents(["fox"])
    assert made.windows is not None and made.dense is not None
    np.testing.assert_allclose(made.windows, made.dense, atol=1e-6)
    assert encoder.encode_queries(["fox", LONG]).windows is None
    assert encoder.encode_documents([]).window_offsets is not None


def test_int8_windows_are_close_to_float(model: tuple[Path, Reference], tmp_path: Path) -> None:
    save(tmp_path / "m", settings={"dense_window": WINDOW})
    exact = CpuEncoder(model[0]).encode_documents([LONG]).windows
    rounded = CpuEncoder(tmp_path / "m").encode_documents([LONG]).windows
    assert exact is not None and rounded is not None
    assert (exact * rounded).sum(1).min() > 0.98


def test_an_index_scores_a_passage_by_its_best_window(
    model: tuple[Path, Reference], tmp_path: Path
) -> None:
    encoder = CpuEncoder(model[0])
    texts = {"long": LONG, "fox": "brown fox", "dog": "lazy dog over the fox"}
    with Index.create(tmp_path / "i", encoder=encoder) as index:
        index.add([Document(name, text) for name, text in texts.items()])
        hits = index.search("quick fox", k=3, retriever="dense")
    query = encoder.encode_queries(["quick fox"]).dense
    made = encoder.encode_documents(list(texts.values()))
    assert query is not None and made.windows is not None and made.window_offsets is not None
    scores = np.maximum.reduceat(made.windows @ query[0], made.window_offsets[:-1])
    expected = dict(zip(texts, scores.tolist(), strict=True))
    assert {hit.document_id: hit.score for hit in hits} == pytest.approx(expected, abs=4e-3)
    assert [hit.document_id for hit in hits] == sorted(expected, key=lambda name: -expected[name])


@pytest.mark.parametrize("value", [0, -3, "64", 1.5, True])
def test_a_window_that_is_no_number_is_refused(tmp_path: Path, value: object) -> None:
    save(tmp_path / "m")
    config = json.loads((tmp_path / "m" / CONFIG_FILE).read_text())
    config["retrieval"]["dense_window"] = value
    (tmp_path / "m" / CONFIG_FILE).write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="dense_window"):
        CpuEncoder(tmp_path / "m")
