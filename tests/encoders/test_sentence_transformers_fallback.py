"""Other architectures through sentence-transformers, behind the same Encoder."""

import builtins
import gc
import json
import sys
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import MultiVectorEncoder, SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
from sentence_transformers.sentence_transformer.modules import Pooling
from transformers import BertConfig, BertModel

from retrieval.encoders import load_encoder
from retrieval.encoders.runtimes.sentence_transformers import SentenceTransformersEncoder
from retrieval.errors import CheckpointError, MissingDependency
from retrieval.types import Encoder

from .random_models import TEXTS, randomise, wordpiece

TOLERANCE = 2e-5


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    shape = {"vocab_size": 400, "hidden_size": 32, "intermediate_size": 48}
    model = BertModel(
        BertConfig(num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=64, **shape)
    )
    randomise(model)
    model.save_pretrained(folder)
    wordpiece().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def dense(bert, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dense") / "saved"
    head = Dense(32, 16)
    randomise(head)
    prompts = {"query": "search ", "document": "fox "}
    modules = [Transformer(str(bert)), Pooling(32, "cls"), head]
    SentenceTransformer(modules=modules, device="cpu", prompts=prompts).save_pretrained(str(folder))
    return folder


@pytest.fixture(scope="module")
def late(bert, tmp_path_factory):
    folder = tmp_path_factory.mktemp("late") / "saved"
    head = Dense(32, 48, bias=False, module_input_name="token_embeddings")
    randomise(head)
    first = Transformer(
        str(bert), document_length=20, query_expansion={"strategy": "fixed", "length": 16}
    )
    last = [MultiVectorMask([",", "."]), Normalize("token_embeddings")]
    MultiVectorEncoder(modules=[first, head, *last], device="cpu").save_pretrained(str(folder))
    return folder


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def load(folder) -> SentenceTransformersEncoder:
    encoder = load_encoder(folder, device="cpu")
    assert isinstance(encoder, SentenceTransformersEncoder) and isinstance(encoder, Encoder)
    return encoder


def test_dense(dense):
    encoder, model = load(dense), SentenceTransformer(str(dense), device="cpu")
    assert (encoder.name, encoder.dense_dim, encoder.token_dim) == (str(dense), 16, None)
    assert encoder.max_tokens == 63  # and one of the prompt
    made = encoder.encode_documents(TEXTS)
    assert np.abs(made.dense - unit(model.encode_document(TEXTS))).max() <= TOLERANCE
    queries = encoder.encode_queries(TEXTS)
    assert np.abs(queries.dense - unit(model.encode_query(TEXTS))).max() <= TOLERANCE
    assert queries.tokens is None and queries.dense.dtype == np.float32


def test_loading_draws_nothing(dense, capfd):
    load(dense)
    assert capfd.readouterr() == ("", "")
    SentenceTransformer(str(dense), device="cpu")
    assert "%|" in capfd.readouterr().err  # which others' own loading still does


def test_late(late):
    encoder, model = load(late), MultiVectorEncoder(str(late), device="cpu")
    assert (encoder.dense_dim, encoder.token_dim, encoder.max_tokens) == (None, 48, 20)
    for ours, theirs in (
        (encoder.encode_documents(TEXTS), model.encode_document(TEXTS, convert_to_numpy=True)),
        (encoder.encode_queries(TEXTS), model.encode_query(TEXTS, convert_to_numpy=True)),
    ):
        assert np.diff(ours.offsets).tolist() == [len(rows) for rows in theirs]
        assert np.abs(ours.tokens - np.concatenate(theirs)).max() <= TOLERANCE


def test_it_says_how_many_tokens_it_read(dense, late):
    long = "fox " * 100
    encoder, model = load(dense), SentenceTransformer(str(dense), device="cpu")
    made = encoder.encode_queries([TEXTS[0], long])
    prompted = [f"search {text}" for text in (TEXTS[0], long)]
    masks = model.tokenize(prompted)["attention_mask"]
    assert made.tokens_read.tolist() == masks.sum(dim=1).tolist()
    assert load(late).encode_documents([TEXTS[0], long]).tokens_read.tolist()[1] == 20


def test_a_bare_folder_is_pooled_by_the_mean(bert):
    encoder, model = load(bert), SentenceTransformer(str(bert), device="cpu")
    made = encoder.encode_documents(TEXTS)
    assert np.abs(made.dense - unit(model.encode(TEXTS))).max() <= TOLERANCE


def test_stanford_colbert_on_bert(bert, tmp_path):
    weights = {f"bert.{name}": w for name, w in load_file(bert / "model.safetensors").items()}
    weights["linear.weight"] = torch.randn(128, 32)
    save_file(weights, tmp_path / "model.safetensors")
    config = json.loads((bert / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "architectures": ["HF_ColBERT"]}))
    metadata = {"query_maxlen": 12, "doc_maxlen": 20, "mask_punctuation": True}
    (tmp_path / "artifact.metadata").write_text(json.dumps(metadata))
    wordpiece().save_pretrained(tmp_path)
    encoder = load(tmp_path)
    assert (encoder.dense_dim, encoder.token_dim, encoder.max_tokens) == (None, 128, 19)  # of 20
    assert np.diff(encoder.encode_queries(TEXTS).offsets).tolist() == [12] * len(TEXTS)


@pytest.mark.parametrize("kind", ["dense", "late"])
def test_order_and_batches_change_nothing(kind, request):
    encoder = load(request.getfixturevalue(kind))
    whole = encoder.encode_documents(TEXTS)
    encoder._budget = 20
    made = encoder.encode_documents(TEXTS[::-1])
    if kind == "dense":
        assert np.abs(made.dense[::-1] - whole.dense).max() <= TOLERANCE
    else:
        ours = np.split(made.tokens, made.offsets[1:-1])[::-1]
        assert np.abs(np.concatenate(ours) - whole.tokens).max() <= TOLERANCE
    assert len(encoder.encode_documents([])) == 0


def test_fingerprint_is_that_of_the_files(dense, late):
    before = load(dense).fingerprint
    assert before == load(dense).fingerprint != load(late).fingerprint
    path = dense / "config_sentence_transformers.json"
    text = path.read_text()
    path.write_text(text.replace("search ", "find "))
    assert load(dense).fingerprint != before
    path.write_text(text)
    assert load(dense).fingerprint == before


def test_odd_texts(dense):
    encoder = load(dense)
    made = encoder.encode_documents(["the fox " * 50_000, "the fox " * 40, "\ud800 fox"]).dense
    assert np.abs(made[0] - made[1]).max() <= TOLERANCE
    assert np.isfinite(made[2]).all()


def test_token_spans(dense):
    text = "The fox, jumps"
    words = [text[start:end] for start, end in load(dense).token_spans(text)]
    assert words == ["The", "fox", ",", "jumps"]


def test_not_installed(dense, monkeypatch):
    original = builtins.__import__

    def missing(name, *args, **kwargs):
        if name.split(".")[0] == "sentence_transformers":
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(MissingDependency, match=r"'bert'.*not installed.*modernbert-retrieval\[st"):
        load_encoder(dense)


def test_too_old(dense, monkeypatch):
    old = SimpleNamespace(__version__="5.3.0")
    monkeypatch.setitem(sys.modules, "sentence_transformers", old)
    with pytest.raises(MissingDependency, match=r"is 5\.3\.0, older than 6"):
        load_encoder(dense)


def test_pickles_are_refused_here_too(bert, dense, tmp_path):
    import shutil

    for source, where in ((bert, ""), (dense, "2_Dense")):
        folder = tmp_path / f"copy-{where}"
        shutil.copytree(source, folder)
        weights = folder / where / "model.safetensors"
        weights.rename(weights.with_name("pytorch_model.bin"))
        with pytest.raises(CheckpointError, match=r"pytorch_model\.bin, a pickle"):
            load_encoder(folder)


def test_what_the_library_cannot_load(bert, tmp_path):
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(bert, folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "no-such-model"}))
    with pytest.raises(CheckpointError, match="sentence-transformers cannot load it"):
        load_encoder(folder)


def test_it_is_gone_with_its_last_user(dense):
    encoder = load_encoder(dense, device="cpu")
    encoder.encode_queries(["a query"])
    left = weakref.ref(encoder)
    gc.disable()
    try:
        del encoder
        assert left() is None
    finally:
        gc.enable()
