"""Late-interaction folders of sentence-transformers 6 against its MultiVectorEncoder."""

import string

import numpy as np
import pytest
import torch
from sentence_transformers import MultiVectorEncoder
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.multi_vector_encoder.modules import (
    HierarchicalTokenPooling,
    MultiVectorMask,
)

from retrieval.encoders.checkpoints import NotNative, detect, open_folder, read_checkpoint
from retrieval.encoders.runtimes.torch import TorchEncoder
from retrieval.errors import CheckpointError

from .random_models import TEXTS, byte_bpe, randomise, save_trunk, wordpiece

TOLERANCE = 2e-5
MARKERS = {"query": "[unused0] ", "document": "[unused1] "}


def projection(inputs=32, outputs=48, **changes):
    settings = {"bias": False, "activation_function": torch.nn.Identity(), **changes}
    return Dense(inputs, outputs, module_input_name="token_embeddings", **settings)


def save(tmp_path, modules=None, *, tokenizer=None, mask=None, trunk=None, **transformer):
    """Save a pipeline; returns the model as the library loads it again, and the folder."""
    folder = save_trunk(tmp_path / "trunk", tokenizer, **(trunk or {}))
    prompts = transformer.pop("prompts", MARKERS)
    first = Transformer(str(folder), **transformer)
    dense = [projection()] if modules is None else modules
    for module in dense:
        randomise(module, seed=5)
    last = [mask or MultiVectorMask(), Normalize("token_embeddings")]
    model = MultiVectorEncoder(modules=[first, *dense, *last], device="cpu", prompts=prompts)
    model.save_pretrained(str(tmp_path / "saved"))
    return MultiVectorEncoder(str(tmp_path / "saved"), device="cpu"), tmp_path / "saved"


def load(folder) -> TorchEncoder:
    assert detect(open_folder(folder)) == "multi-vector"
    return TorchEncoder(read_checkpoint(open_folder(folder)), device="cpu")


def assert_rows(ours, theirs):
    """Embeddings of ours against one array a text."""
    assert ours.dense is None
    assert np.diff(ours.offsets).tolist() == [len(rows) for rows in theirs]
    assert np.abs(ours.tokens - np.concatenate(theirs)).max() <= TOLERANCE


def assert_parity(model, encoder, texts=TEXTS):
    # One at a time: the other library then pads nothing but what it expands.
    queries = [model.encode_query(text, convert_to_numpy=True) for text in texts]
    documents = [model.encode_document(text, convert_to_numpy=True) for text in texts]
    assert_rows(encoder.encode_queries(texts), queries)
    assert_rows(encoder.encode_documents(texts), documents)


EXPANSIONS = {
    "none": None,
    "fixed": {"strategy": "fixed", "attend": False, "length": 24},
    "fixed, attended": {"strategy": "fixed", "attend": True, "length": 24},
    "at least": {"strategy": "min", "attend": False, "length": 24},
    "at least, attended": {"strategy": "min", "attend": True, "length": 24},
    "another token": {"strategy": "fixed", "attend": False, "length": 16, "token": "[UNK]"},
    "beyond the window": {"strategy": "fixed", "attend": False, "length": 90},
}


@pytest.mark.parametrize("expansion", EXPANSIONS.values(), ids=EXPANSIONS)
def test_query_expansion(tmp_path, expansion):
    trunk = {"local_attention": 16}  # so that expansion tokens are out of reach of all others
    model, folder = save(tmp_path, query_expansion=expansion, trunk=trunk)
    assert_parity(model, load(folder))


@pytest.mark.parametrize("tokenizer", [wordpiece, byte_bpe])
@pytest.mark.parametrize("prompts", [{}, MARKERS, {"query": "[unused0] search: "}])
def test_prompts_and_lengths(tmp_path, tokenizer, prompts):
    model, folder = save(
        tmp_path,
        tokenizer=tokenizer(),
        prompts=prompts,
        query_length=12,
        document_length=17,
    )
    encoder = load(folder)
    prompt = tokenizer().encode(prompts.get("document", ""), add_special_tokens=False)
    assert encoder.max_tokens == 17 - len(prompt)
    assert_parity(model, encoder)


def test_length_of_the_tokenizer(tmp_path):
    model, folder = save(
        tmp_path,
        max_seq_length=15,
        query_length=20,
        query_expansion={"strategy": "min", "length": 10},
    )
    encoder = load(folder)
    prompt = wordpiece().encode(MARKERS["document"], add_special_tokens=False)
    assert encoder.max_tokens == 15 - len(prompt)
    assert_parity(model, encoder)


@pytest.mark.parametrize(
    "modules",
    [
        [projection(outputs=128)],
        [projection(bias=True, activation_function=torch.nn.Tanh())],
        [projection(outputs=32, use_residual=True), projection(use_residual=True)],
        [
            projection(outputs=64, activation_function=torch.nn.GELU(), use_residual=True),
            Normalize("token_embeddings"),
            projection(64, 128, bias=True),
        ],
    ],
    ids=["128", "bias", "residual", "several"],
)
def test_projections(tmp_path, modules):
    model, folder = save(tmp_path, modules)
    encoder = load(folder)
    assert_parity(model, encoder)
    assert encoder.token_dim == modules[-1].out_features
    assert encoder.dense_dim is None


@pytest.mark.parametrize(
    "mask",
    [
        MultiVectorMask(list(string.punctuation)),
        MultiVectorMask(["the", "fox", "not a token"]),
        MultiVectorMask([",", "dog", "[MASK]"], skiplist_tasks=["query", "document"]),
        MultiVectorMask(["the"], skiplist_tasks="query"),
    ],
    ids=["punctuation", "words", "both sides", "queries"],
)
def test_skiplist(tmp_path, mask):
    model, folder = save(tmp_path, mask=mask, query_expansion={"strategy": "fixed", "length": 20})
    assert_parity(model, load(folder))


def test_lower_casing(tmp_path):
    model, folder = save(tmp_path, tokenizer=byte_bpe(), do_lower_case=True)
    assert_parity(model, load(folder))


@pytest.mark.parametrize(
    ("modules", "mask", "named"),
    [
        ([projection(), HierarchicalTokenPooling(2)], None, "HierarchicalTokenPooling"),
        (None, MultiVectorMask(keep_only_token_ids=[5]), "MultiVectorMask"),
    ],
)
def test_what_is_not_known_is_left_to_the_fallback(tmp_path, modules, mask, named):
    _, folder = save(tmp_path, modules, mask=mask)
    with pytest.raises(NotNative, match=named):
        load(folder)


def test_a_query_length_of_nothing_is_refused(tmp_path):
    _, folder = save(tmp_path, query_expansion=EXPANSIONS["fixed"])
    path = folder / "sentence_bert_config.json"
    path.write_text(path.read_text().replace('"length": 24', '"length": 2'))
    with pytest.raises(CheckpointError, match="special tokens"):
        load(folder)
