import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import retrieval.encoders.embedded
from retrieval.cli.entry import run
from retrieval.encoders import sharing
from retrieval.encoders.export.formats import export_model
from retrieval.encoders.export.onnx_graph import export
from retrieval.errors import CheckpointError, InputError
from tests.encoders import random_models

TEXTS = ["the quick brown fox", "a", "search the query, late interaction of vectors " * 9]
PROMPTS = {"query_prefix": "query ", "document_prefix": "the "}

Command = Callable[..., tuple[int, str, str]]


def write_model(folder: Path, *, heads: tuple[str, ...] = ("dense", "token")) -> Path:
    """A tiny model of the package's own format with random weights."""
    trunk = random_models.modernbert(tie_word_embeddings=False)
    state = {name: tensor.numpy() for name, tensor in trunk.state_dict().items()}
    random = np.random.default_rng(0)
    shapes = {
        "dense_head.weight": (24, 32),
        "token_head.skip.weight": (16, 32),
        "token_head.up.weight": (8, 32),
        "token_head.down.weight": (16, 8),
    }
    for name, shape in shapes.items():
        if name.startswith(heads):
            state[name] = random.standard_normal(shape).astype(np.float32)
    tokenizer = folder.parent / f"{folder.name}.json"
    random_models.wordpiece().backend_tokenizer.save(str(tokenizer))
    export(
        folder,
        config=trunk.config.to_dict(),
        state=state,
        tokenizer_json=tokenizer,
        retrieval_config={"name": "tiny", "max_tokens": 64, "query_max_tokens": 64, **PROMPTS},
    )
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def command(
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """`retrieval model` where the tiny model is the embedded one and the Hub's cache is empty."""
    monkeypatch.setattr(retrieval.encoders.embedded, "available_models", lambda: {"tiny": model})
    # What is loaded here is no embedded model to the tests that come after.
    monkeypatch.setattr("retrieval.encoders.sharing._shared", sharing._Shared())
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(
        "huggingface_hub.utils._cache_manager.HF_HUB_CACHE", str(tmp_path / "cache")
    )
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> tuple[int, str, str]:
        code = run(["model", *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_list_names_the_embedded_model_and_what_the_hub_gave(
    command: Command, model: Path, tmp_path: Path
) -> None:
    code, out, err = command("list")
    assert (code, err) == (0, "")
    assert out.split() == ["tiny", "embedded", *out.split()[2:4], str(model)]
    for name, file in (("owner--other", "model.safetensors"), ("owner--pickle", "model.bin")):
        repository = tmp_path / "cache" / f"models--{name}"
        snapshot = repository / "snapshots" / ("0" * 40)
        snapshot.mkdir(parents=True)
        (snapshot / file).write_bytes(b"0" * 100)
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text("0" * 40)
    listed = json.loads(command("list", "--json")[1])
    assert [(entry["name"], entry["place"]) for entry in listed] == [
        ("tiny", "embedded"),
        ("owner/other", "Hub cache"),
    ]


def test_info_says_what_a_model_can_do(command: Command, model: Path) -> None:
    code, out, _ = command("info", "--json")
    facts = json.loads(out)
    assert code == 0
    assert (facts["name"], facts["format"], facts["path"]) == ("tiny", "own", str(model))
    assert (facts["dense_dim"], facts["token_dim"], facts["max_tokens"]) == (
        24,
        16,
        63,
    )  # of 64, one is the prompt's
    assert command("info", model, "--json")[1] == out
    assert f"fingerprint  {facts['fingerprint']}\n" in command("info")[1]


def test_info_of_what_is_not_there(command: Command) -> None:
    code, out, err = command("info", "./nowhere")
    assert (code, out) == (1, "")
    assert err == "error: ./nowhere: no such folder; give a folder or a Hub id (owner/name)\n"


def test_download_of_a_folder_is_refused(command: Command, model: Path) -> None:
    code, _, err = command("download", model)
    assert code == 2
    assert err == f"error: {model} is on this machine already; use it with --encoder\n"


def test_an_exported_copy_is_the_same_model(command: Command, model: Path, tmp_path: Path) -> None:
    code, out, _ = command("export", "copy")
    assert (code, out[:10]) == (0, "copy: own,")
    same = json.loads(command("info", "copy", "--json")[1])["fingerprint"]
    assert same == json.loads(command("info", "--json")[1])["fingerprint"]
    code, _, err = command("export", "copy")
    assert code == 2
    assert err == "error: copy is not empty; name a new or an empty folder\n"


@pytest.fixture(scope="module")
def exported(model: Path) -> Path:
    target = model.parent / "exported"
    export_model(model, target, format="sentence-transformers")
    return target


def test_sentence_transformers_gives_the_same_dense_vectors(model: Path, exported: Path) -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers")
    from retrieval.encoders import load_encoder

    theirs = sentence_transformers.SentenceTransformer(str(exported), device="cpu")
    ours = load_encoder(model, device="cpu")  # torch, in f32 as theirs
    documents, queries = ours.encode_documents(TEXTS), ours.encode_queries(TEXTS)
    np.testing.assert_allclose(theirs.encode_document(TEXTS), documents.dense, atol=1e-5)
    np.testing.assert_allclose(theirs.encode_query(TEXTS), queries.dense, atol=1e-5)
    assert theirs.max_seq_length == 64


def test_transformers_reads_the_exported_trunk_and_tokenizer(exported: Path) -> None:
    transformers = pytest.importorskip("transformers")
    trunk, report = transformers.AutoModel.from_pretrained(exported, output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    assert trunk.config.pad_token_id == 0
    tokens = transformers.AutoTokenizer.from_pretrained(exported)
    assert tokens(TEXTS[0])["input_ids"] == random_models.wordpiece()(TEXTS[0])["input_ids"]
    assert tokens.model_max_length == 64


def test_the_exported_folder_loads_here_too(model: Path, exported: Path) -> None:
    from retrieval.encoders import load_encoder

    again = load_encoder(exported, device="cpu").encode_documents(TEXTS)
    direct = load_encoder(model, device="cpu").encode_documents(TEXTS)
    np.testing.assert_allclose(again.dense, direct.dense, atol=1e-5)
    assert again.tokens is None


def test_a_model_without_a_dense_head_cannot_become_one(tmp_path: Path) -> None:
    source = write_model(tmp_path / "late", heads=("token",))
    with pytest.raises(CheckpointError, match="has no dense head"):
        export_model(source, tmp_path / "out", format="sentence-transformers")
    with pytest.raises(InputError, match="format 'gguf' is unknown"):
        export_model(source, tmp_path / "out", format="gguf")  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()
