"""The embedded model leaves out the token vectors of punctuation, and is the model that it was."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from retrieval.encoders import load_encoder
from retrieval.encoders.model_folder import fingerprint
from retrieval.index import Index
from retrieval.types import Document

MODEL = Path(__file__).parents[2] / "retrieval" / "models" / "modernbert-6x384-v7"
WITH_ALL = "c7736544d8a9739faa21da147703bc7e0b3308095c36bb6e449a6b69b337f009"
TEXT = 'A gear-box: "small, light"; it isn\'t new. (The end!)'


@pytest.fixture(scope="module")
def with_all(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model as it was when it left nothing out."""
    folder = tmp_path_factory.mktemp("model") / MODEL.name
    shutil.copytree(MODEL, folder)
    config = (folder / "config.json").read_text(encoding="utf-8")
    start = config.index('"token_skiplist": [')
    stop = config.index("]", start)
    (folder / "config.json").write_text(config[:start] + '"token_skiplist": [' + config[stop:])
    return folder


def test_an_index_of_before_is_searched_and_added_to(with_all: Path, tmp_path: Path) -> None:
    assert fingerprint(with_all) == load_encoder().fingerprint == WITH_ALL
    with Index.create(tmp_path / "index", encoder=str(with_all)) as index:
        index.add([Document("old", TEXT)])
    with Index.open(tmp_path / "index", encoder=load_encoder()) as index:
        index.add([Document("new", f"Another one: {TEXT}")])
        found = {hit.document_id for hit in index.search("light gear-box", 10, retriever="late")}
        assert found == {"old", "new"}


def test_the_vectors_that_are_left_are_the_same(with_all: Path) -> None:
    whole, left = load_encoder(str(with_all)), load_encoder()
    full, made = whole.encode_documents([TEXT, "..."]), left.encode_documents([TEXT, "..."])
    np.testing.assert_array_equal(full.dense, made.dense)
    assert full.windows is not None
    np.testing.assert_array_equal(full.windows, made.windows)
    assert made.tokens is not None
    assert full.tokens is not None
    spans = whole.token_spans(TEXT)
    words = json.loads((MODEL / "config.json").read_text())["retrieval"]["token_skiplist"]
    kept = [0, *(1 + n for n, (a, b) in enumerate(spans) if TEXT[a:b] not in words), len(spans) + 1]
    assert len(spans) + 2 - len(kept) == 8
    np.testing.assert_array_equal(made.tokens[: len(kept)], full.tokens[kept])
    assert made.offsets.tolist() == [0, len(kept), len(kept) + 2]  # the marks around a text stay


def test_queries_leave_nothing_out() -> None:
    query = "isn't it: new?"
    made = load_encoder().encode_queries([query])
    assert made.tokens is not None
    assert len(made.tokens) == len(load_encoder().token_spans(query)) + 2
