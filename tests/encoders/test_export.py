"""What is exported for other programs gives the same vectors there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval.encoders import load_encoder
from retrieval.encoders.export.formats import export_model
from retrieval.encoders.model_folder import QUERY_WEIGHTS, WEIGHTS_FILE
from retrieval.encoders.runtimes.cpu import CpuEncoder
from retrieval.errors import CheckpointError

from .cpu_models import PLAIN_TOKENS, save
from .random_models import TEXTS
from .test_query_weights import VOCABULARY, _weighted

SETTINGS = {"max_tokens": 64, "query_max_tokens": 16, "token_skiplist": [".", ","]}
TOLERANCE = 2e-5


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose token head reads no neighbours, and whose query tokens count the same."""
    folder = tmp_path_factory.mktemp("plain") / "model"
    save(folder, settings=SETTINGS, tokens=PLAIN_TOKENS)
    return folder


@pytest.fixture(scope="module")
def weighted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with both."""
    weights = np.random.default_rng(0).uniform(0.2, 3, VOCABULARY).astype(np.float32)
    return _weighted(tmp_path_factory.mktemp("weighted") / "model", weights)


def rows(embeddings: Any, at: int) -> np.ndarray:
    first, last = embeddings.offsets[at : at + 2]
    return np.asarray(embeddings.tokens[first:last])


@pytest.mark.parametrize("settings", [SETTINGS, {**SETTINGS, "query_prefix": "the search "}])
def test_pylate_folders_give_the_same_token_vectors(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    """As sentence-transformers reads them, whose loader of PyLate's folders is held to PyLate."""
    sentence_transformers = pytest.importorskip("sentence_transformers")
    model = tmp_path / "model"
    save(model, settings=settings, tokens=PLAIN_TOKENS)
    export_model(model, tmp_path / "pylate", format="pylate")
    ours = load_encoder(model, device="cpu")
    theirs = sentence_transformers.MultiVectorEncoder(str(tmp_path / "pylate"), device="cpu")
    again = load_encoder(tmp_path / "pylate", device="cpu")
    queries, documents = ours.encode_queries(TEXTS), ours.encode_documents(TEXTS)
    for at, text in enumerate(TEXTS):
        query = theirs.encode_query(text, convert_to_numpy=True)
        document = theirs.encode_document(text, convert_to_numpy=True)
        np.testing.assert_allclose(query, rows(queries, at), atol=TOLERANCE)
        np.testing.assert_allclose(document, rows(documents, at), atol=TOLERANCE)
    np.testing.assert_allclose(again.encode_queries(TEXTS).tokens, queries.tokens, atol=TOLERANCE)
    np.testing.assert_allclose(
        again.encode_documents(TEXTS).tokens, documents.tokens, atol=TOLERANCE
    )


def test_what_pylate_cannot_express_is_refused_in_a_line(weighted: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as refused:
        export_model(weighted, tmp_path / "out", format="pylate")
    said = str(refused.value)
    assert "reads the embeddings of neighbouring tokens, and its query tokens have weights" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["plain", "weighted"])
def test_the_readme_of_the_onnx_folder_gives_our_vectors(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its Python is run as it stands; the folder holds nothing else that would be read."""
    folder: Path = request.getfixturevalue(kind)
    export_model(folder, tmp_path / "onnx", format="onnx")
    assert {path.name for path in (tmp_path / "onnx").iterdir()} == {
        "model.onnx",
        "tokenizer.json",
        "README.md",
    }
    readme = (tmp_path / "onnx" / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    monkeypatch.chdir(tmp_path / "onnx")
    names: dict[str, Any] = {}
    exec(code, names)
    encoder = CpuEncoder(folder)
    texts = ["A writer takes the lock.", "who takes the lock"]
    document = encoder.encode_documents(texts[:1])
    query = encoder.encode_queries(texts[1:])
    close = {"atol": 0.02 if kind == "plain" else 1e-5}  # int8, by another kernel
    np.testing.assert_allclose(names["document"]["dense"], document.dense, **close)
    np.testing.assert_allclose(names["query"]["dense"], query.dense, **close)
    token = "tokens" if kind == "plain" else "query_tokens"
    np.testing.assert_allclose(names["query"][token], query.tokens, **close)
    if kind == "plain":
        assert "leave out those that stand for `.` `,`." in readme
        kept = np.delete(names["document"]["tokens"], 18, axis=0)  # the full stop
        np.testing.assert_allclose(kept, document.tokens, **close)
    else:
        np.testing.assert_allclose(names["document"]["tokens"], document.tokens, **close)
        assert np.ptp(np.linalg.norm(names["query"][token], axis=1)) > 0.1
    for output in names["outputs"]:
        assert f"| `{output}` |" in readme


def test_a_folder_without_its_graph_is_refused(plain: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(plain, tmp_path / "part")
    (tmp_path / "part" / "model.onnx").unlink()
    with pytest.raises(CheckpointError, match=r"has no model\.onnx; is this a whole model folder"):
        export_model(tmp_path / "part", tmp_path / "out", format="onnx")


def test_the_embedded_model_goes_to_onnx(tmp_path: Path) -> None:
    from retrieval.encoders.embedded import embedded_folder
    from retrieval.encoders.model.quantized import read_tensor

    folder = embedded_folder()
    assert read_tensor(folder / WEIGHTS_FILE, QUERY_WEIGHTS) is not None
    export_model(folder, tmp_path / "onnx", format="onnx")
    assert (tmp_path / "onnx" / "model.onnx").stat().st_size > 20e6
    with pytest.raises(CheckpointError, match="export it to onnx, which has both"):
        export_model(folder, tmp_path / "pylate", format="pylate")
