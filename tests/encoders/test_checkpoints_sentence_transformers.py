"""sentence-transformers folders, saved by sentence-transformers 6, against what it computes."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import LayerNorm, Pooling

from retrieval.encoders.checkpoints import NotNative, open_folder, read_checkpoint
from retrieval.encoders.runtimes.torch import TorchEncoder
from retrieval.errors import CheckpointError

from .random_models import TEXTS, byte_bpe, randomise, save_trunk, wordpiece

TOLERANCE = 2e-5


def load(folder) -> TorchEncoder:
    return TorchEncoder(read_checkpoint(open_folder(folder)), device="cpu")


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def save(tmp_path, modules=(), *, tokenizer=None, transformer=None, **settings):
    """Save a pipeline; returns the model and the folder."""
    trunk = save_trunk(tmp_path / "trunk", tokenizer)
    first = Transformer(str(trunk), **(transformer or {}))
    for module in modules:
        randomise(module, seed=5)
    model = SentenceTransformer(modules=[first, *modules], device="cpu", **settings).eval()
    model.save_pretrained(str(tmp_path / "saved"))
    return model, tmp_path / "saved"


def assert_parity(model, encoder, texts=TEXTS):
    # One at a time: the other library then pads nothing.
    queries = np.stack([model.encode_query(text) for text in texts])
    documents = np.stack([model.encode_document(text) for text in texts])
    ours = encoder.encode_queries(texts)
    assert ours.tokens is None and ours.offsets is None
    assert np.abs(ours.dense - unit(queries)).max() <= TOLERANCE
    assert np.abs(encoder.encode_documents(texts).dense - unit(documents)).max() <= TOLERANCE


WAYS = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]


@pytest.mark.parametrize("ways", [*WAYS, ("cls", "mean"), ("weightedmean", "max", "lasttoken")])
def test_pooling(tmp_path, ways):
    model, folder = save(tmp_path, [Pooling(32, ways)])
    encoder = load(folder)
    assert_parity(model, encoder)
    assert encoder.dense_dim == 32 * (1 if isinstance(ways, str) else len(ways))
    assert encoder.token_dim is None


@pytest.mark.parametrize("ways", WAYS)
def test_prompts_left_out_of_pooling(tmp_path, ways):
    prompts = {"query": "search the query: ", "document": "fox "}
    model, folder = save(tmp_path, [Pooling(32, ways, include_prompt=False)], prompts=prompts)
    assert_parity(model, load(folder), [text for text in TEXTS if text.strip()])


@pytest.mark.parametrize(
    "modules",
    [
        [Dense(32, 16)],
        [Dense(32, 48, bias=False, activation_function=torch.nn.GELU()), Normalize()],
        [Normalize(), Dense(32, 32, use_residual=True), Dense(32, 8, use_residual=True)],
        [Dense(32, 64, activation_function=torch.nn.ReLU()), Dense(64, 12), Normalize()],
    ],
    ids=["tanh", "gelu", "residual", "two"],
)
def test_dense_modules(tmp_path, modules):
    model, folder = save(tmp_path, [Pooling(32, "mean"), *modules])
    assert_parity(model, load(folder))


def test_dense_module_on_tokens(tmp_path):
    before = Dense(32, 20, module_input_name="token_embeddings")
    model, folder = save(
        tmp_path, [before, Normalize("token_embeddings"), Pooling(20, "max"), Normalize()]
    )
    assert_parity(model, load(folder))


@pytest.mark.parametrize("tokenizer", [wordpiece, byte_bpe])
def test_prompts_and_length(tmp_path, tokenizer):
    prompts = {"query": "search: ", "document": "the lazy dog "}
    model, folder = save(
        tmp_path,
        [Pooling(32, "mean"), Normalize()],
        tokenizer=tokenizer(),
        transformer={"max_seq_length": 14},
        prompts=prompts,
    )
    encoder = load(folder)
    prompt = tokenizer().encode(prompts["document"], add_special_tokens=False)
    assert encoder.max_tokens == 14 - len(prompt)
    assert_parity(model, encoder)


@pytest.mark.parametrize("tokenizer", [wordpiece, byte_bpe])
def test_lower_casing(tmp_path, tokenizer):
    model, folder = save(
        tmp_path, [Pooling(32)], tokenizer=tokenizer(), transformer={"do_lower_case": True}
    )
    encoder = load(folder)
    assert_parity(model, encoder)
    upper, lower = encoder.encode_documents(["THE Fox", "the fox"]).dense
    assert np.array_equal(upper, lower)


def old_layout(folder):
    """The folder as sentence-transformers 2 to 4 wrote it."""
    names = {
        "Transformer": "Transformer",
        "Pooling": "Pooling",
        "Dense": "Dense",
        "Normalize": "Normalize",
    }
    modules = json.loads((folder / "modules.json").read_text())
    for module in modules:
        kind = module["type"].rsplit(".", 1)[1]
        module["type"] = f"sentence_transformers.models.{names[kind]}"
        config = folder / module["path"] / "config.json"
        if kind == "Pooling":
            stored = json.loads(config.read_text())
            way = stored["pooling_mode"]
            keys = {
                "pooling_mode_cls_token": "cls",
                "pooling_mode_mean_tokens": "mean",
                "pooling_mode_max_tokens": "max",
                "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
            }
            ways = [way] if isinstance(way, str) else way
            old = {key: name in ways for key, name in keys.items()}
            config.write_text(json.dumps({"word_embedding_dimension": 32, **old}))
        if kind == "Dense":
            stored = json.loads(config.read_text())
            kept = ("in_features", "out_features", "bias", "activation_function")
            config.write_text(json.dumps({key: stored[key] for key in kept}))
        if kind == "Normalize":
            shutil.rmtree(folder / module["path"])
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "sentence_bert_config.json").write_text(
        json.dumps({"max_seq_length": 16, "do_lower_case": True})
    )
    path = folder / "config_sentence_transformers.json"
    settings = json.loads(path.read_text())
    del settings["model_type"]
    path.write_text(json.dumps(settings))


def test_the_old_layout(tmp_path):
    _, folder = save(
        tmp_path,
        [Pooling(32, ("max", "mean")), Dense(64, 24), Normalize()],
        tokenizer=byte_bpe(),
        prompts={"query": "q: ", "document": "d: "},
    )
    old_layout(folder)
    encoder = load(folder)
    assert encoder.max_tokens == 16 - len(byte_bpe().encode("d: ", add_special_tokens=False))
    assert_parity(SentenceTransformer(str(folder), device="cpu"), encoder)


@pytest.mark.parametrize(
    ("settings", "query", "document"),
    [
        ({"prompts": {"query": "fox ", "passage": "dog "}}, "fox ", "dog "),
        ({"prompts": {"query": "fox ", "document": "", "passage": "dog "}}, "fox ", ""),
        ({"prompts": {"corpus": "of "}, "default_prompt_name": None}, "", "of "),
        ({"prompts": {"s": "the "}, "default_prompt_name": "s"}, "the ", "the "),
        ({}, "", ""),
    ],
)
def test_which_prompt_is_used(tmp_path, settings, query, document):
    _, folder = save(tmp_path, [Pooling(32)])
    (folder / "config_sentence_transformers.json").write_text(json.dumps(settings))
    checkpoint = read_checkpoint(open_folder(folder))
    assert (checkpoint.query.prompt, checkpoint.document.prompt) == (query, document)


def test_one_that_needs_lengths_of_vectors_is_refused(tmp_path):
    _, folder = save(tmp_path, [Pooling(32)], similarity_fn_name="dot")
    with pytest.raises(CheckpointError, match="'dot'"):
        load(folder)


def test_normalised_ones_may_use_the_dot_product(tmp_path):
    model, folder = save(tmp_path, [Pooling(32), Normalize()], similarity_fn_name="dot")
    assert_parity(model, load(folder))


def test_unknown_modules_are_left_to_the_fallback(tmp_path):
    _, folder = save(tmp_path, [Pooling(32), LayerNorm(32)])
    with pytest.raises(NotNative, match="LayerNorm"):
        load(folder)


def test_code_of_a_checkpoint_is_not_run(tmp_path):
    _, folder = save(tmp_path, [Pooling(32)])
    path = folder / "modules.json"
    path.write_text(path.read_text().replace("sentence_transformers.base", "custom_st.base"))
    with pytest.raises(CheckpointError, match=r"custom_st.*never run"):
        load(folder)


def test_a_module_outside_the_folder_is_refused(tmp_path):
    _, folder = save(tmp_path, [Pooling(32), Dense(32, 8)])
    path = folder / "modules.json"
    path.write_text(path.read_text().replace("2_Dense", "../trunk"))
    with pytest.raises(CheckpointError, match="outside"):
        load(folder)


def test_a_dense_module_of_another_shape_is_named(tmp_path):
    _, folder = save(tmp_path, [Pooling(32), Dense(32, 8)])
    path = folder / "2_Dense" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "out_features": 9}))
    assert load_file(folder / "2_Dense" / "model.safetensors")["linear.weight"].shape == (8, 32)
    with pytest.raises(CheckpointError, match=r"linear.weight.*\(8, 32\).*\(9, 32\)"):
        load(folder)


def test_every_setting_is_in_the_fingerprint(tmp_path):
    """Folders that differ in one setting only, with the same weights."""
    prompts = {"query": "fox ", "document": "dog "}
    variants = [
        {"modules": [Pooling(32, "mean")]},
        {"modules": [Pooling(32, "max")]},
        {"modules": [Pooling(32, "mean", include_prompt=False)]},
        {"modules": [Pooling(32, "mean")], "prompts": prompts},
        {"modules": [Pooling(32, "mean")], "transformer": {"max_seq_length": 50}},
        {"modules": [Pooling(32, "mean"), Dense(32, 32)]},
        {"modules": [Pooling(32, "mean"), Dense(32, 32, use_residual=True)]},
        {"modules": [Pooling(32, "mean"), Dense(32, 32, activation_function=torch.nn.ReLU())]},
    ]
    prints = [
        load(save(tmp_path / str(index), **variant)[1]).fingerprint
        for index, variant in enumerate(variants)
    ]
    assert len(set(prints)) == len(variants)
