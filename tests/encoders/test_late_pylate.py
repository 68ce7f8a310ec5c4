"""PyLate folders, written as PyLate 1.x saves them, against its steps on transformers."""

import json
import string

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import MultiVectorEncoder
from transformers import AutoModel, AutoTokenizer

from retrieval.encoders.checkpoints import detect, open_folder, read_checkpoint
from retrieval.encoders.runtimes.torch import TorchEncoder
from retrieval.errors import CheckpointError

from .random_models import TEXTS, byte_bpe, save_trunk, wordpiece

TOLERANCE = 2e-5
IDENTITY = "torch.nn.modules.linear.Identity"
DEFAULTS = {
    "prompts": {"query": "", "document": ""},
    "default_prompt_name": None,
    "similarity_fn_name": "MaxSim",
    "query_prefix": "[Q] ",
    "document_prefix": "[D] ",
    "query_length": 32,
    "document_length": 180,
    "attend_to_expansion_tokens": False,
    "skiplist_words": list(string.punctuation),
    "do_query_expansion": True,
}


def dense(inputs, outputs, bias=False, activation=IDENTITY, residual=False):
    return {
        "in_features": inputs,
        "out_features": outputs,
        "bias": bias,
        "activation_function": activation,
        "use_residual": residual,
    }


def save(folder, modules=None, *, tokenizer=None, lower=False, drop=(), **changes):
    """Write a folder as `pylate.models.ColBERT.save_pretrained` does."""
    tokenizer = tokenizer or wordpiece()
    tokenizer.add_tokens(["[Q] ", "[D] "])
    save_trunk(folder, tokenizer)
    listed = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}
    ]
    generator = torch.Generator().manual_seed(3)

    def random(*shape):
        return 0.3 * torch.randn(*shape, generator=generator)

    for index, config in enumerate(modules or [dense(32, 128)], 1):
        path = folder / f"{index}_Dense"
        path.mkdir()
        (path / "config.json").write_text(json.dumps(config))
        inputs, outputs = config["in_features"], config["out_features"]
        weights = {"linear.weight": random(outputs, inputs)}
        if config["bias"]:
            weights["linear.bias"] = random(outputs)
        if config["use_residual"] and inputs != outputs:
            weights["residual.weight"] = random(outputs, inputs)
        save_file(weights, path / "model.safetensors")
        kind = "pylate.models.Dense.Dense"
        listed.append({"idx": index, "name": str(index), "path": path.name, "type": kind})
    settings = {key: value for key, value in {**DEFAULTS, **changes}.items() if key not in drop}
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "config_sentence_transformers.json").write_text(json.dumps(settings))
    (folder / "sentence_bert_config.json").write_text(
        json.dumps({"max_seq_length": 511, "do_lower_case": lower})
    )
    return folder


@torch.inference_mode()
def reference(folder, text, *, query):
    """One text's vectors, step by step as `ColBERT.tokenize` and `ColBERT.encode` go."""
    settings = json.loads((folder / "config_sentence_transformers.json").read_text())
    lower = json.loads((folder / "sentence_bert_config.json").read_text())["do_lower_case"]
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    text = (settings["prompts"].get("query" if query else "document", "") + text).strip()
    text = text.lower() if lower else text
    length = settings["query_length" if query else "document_length"]
    prefix = settings["query_prefix" if query else "document_prefix"]
    expands = query and settings["do_query_expansion"]
    tokenizer.pad_token = tokenizer.mask_token
    made = tokenizer(
        [text],
        truncation=True,
        max_length=length - 1 if prefix else length,
        padding="max_length" if expands else True,
        return_tensors="pt",
    )
    ids, mask = made["input_ids"], made["attention_mask"]
    if prefix:
        marker = torch.tensor([[tokenizer.convert_tokens_to_ids(prefix)]])
        ids = torch.cat([ids[:, :1], marker, ids[:, 1:]], 1)
        mask = torch.cat([mask[:, :1], torch.ones_like(marker), mask[:, 1:]], 1)
    if query and settings["attend_to_expansion_tokens"] and expands:
        mask = torch.ones_like(mask)
    x = model(input_ids=ids, attention_mask=mask).last_hidden_state[0]
    for path in sorted(folder.glob("*_Dense")):
        config = json.loads((path / "config.json").read_text())
        module = torch.nn.Linear(config["in_features"], config["out_features"], config["bias"])
        weights = load_file(path / "model.safetensors")
        residual = weights.pop("residual.weight", None)
        module.load_state_dict({key.removeprefix("linear."): w for key, w in weights.items()})
        activation = getattr(torch.nn, config["activation_function"].rsplit(".", 1)[1])()
        out = activation(module(x))
        if config["use_residual"]:
            out = out + (x if residual is None else x @ residual.T)
        x = out
    if query:
        kept = torch.ones_like(ids[0], dtype=torch.bool) if expands else mask[0].bool()
    else:
        skiplist = [tokenizer.convert_tokens_to_ids(word) for word in settings["skiplist_words"]]
        kept = mask[0].bool() & ~torch.isin(ids[0], torch.tensor(skiplist, dtype=torch.long))
    return torch.nn.functional.normalize(x[kept], dim=-1).numpy()


def load(folder) -> TorchEncoder:
    assert detect(open_folder(folder)) == "multi-vector"
    return TorchEncoder(read_checkpoint(open_folder(folder)), device="cpu")


def assert_rows(ours, theirs):
    assert np.diff(ours.offsets).tolist() == [len(rows) for rows in theirs]
    assert np.abs(ours.tokens - np.concatenate(theirs)).max() <= TOLERANCE


CASES = {
    "as PyLate saves by default": {},
    "48 dimensions": {"modules": [dense(32, 48)]},
    "several projections": {
        "modules": [
            dense(32, 64, bias=True, activation="torch.nn.modules.activation.GELU", residual=True),
            dense(64, 64, activation="torch.nn.modules.activation.Tanh", residual=True),
            dense(64, 48),
        ]
    },
    "short": {"query_length": 9, "document_length": 11},
    "expansion attended to": {"attend_to_expansion_tokens": True},
    "no expansion": {"do_query_expansion": False, "attend_to_expansion_tokens": True},
    "no prefixes": {"query_prefix": "", "document_prefix": ""},
    "Stanford's markers": {"query_prefix": "[unused0]", "document_prefix": "[unused1]"},
    "nothing skipped": {"skiplist_words": []},
    "words skipped": {"skiplist_words": ["the", ",", "fox"]},
    "prompts": {"prompts": {"query": "search: ", "document": "a "}},
    "lower-cased": {"lower": True},
    "byte-level": {"tokenizer": byte_bpe, "document_length": 40},
    "byte-level, lower-cased": {"tokenizer": byte_bpe, "lower": True},
}


@pytest.mark.parametrize("changes", CASES.values(), ids=CASES)
def test_vectors_are_those_of_pylate(tmp_path, changes):
    made = {key: value() if callable(value) else value for key, value in changes.items()}
    folder = save(tmp_path, **made)
    encoder = load(folder)
    for query in (True, False):
        encode = encoder.encode_queries if query else encoder.encode_documents
        assert_rows(encode(TEXTS), [reference(folder, text, query=query) for text in TEXTS])


def test_sentence_transformers_reads_them_the_same_way(tmp_path):
    folder = save(tmp_path, query_length=20)
    model, encoder = MultiVectorEncoder(str(folder), device="cpu"), load(folder)
    queries = [model.encode_query(text, convert_to_numpy=True) for text in TEXTS]
    assert_rows(encoder.encode_queries(TEXTS), queries)
    documents = [model.encode_document(text, convert_to_numpy=True) for text in TEXTS]
    assert_rows(encoder.encode_documents(TEXTS), documents)


def test_what_the_configuration_leaves_out(tmp_path):
    """An early save: PyLate's own defaults hold."""
    full, early = save(tmp_path / "full"), save(tmp_path / "early", drop=list(DEFAULTS)[3:])
    ours, theirs = load(early), load(full)
    assert np.array_equal(
        ours.encode_documents(TEXTS).tokens, theirs.encode_documents(TEXTS).tokens
    )
    assert np.array_equal(ours.encode_queries(TEXTS).tokens, theirs.encode_queries(TEXTS).tokens)
    assert ours.fingerprint == theirs.fingerprint
    assert ours.max_tokens == 180


def test_every_setting_is_in_the_fingerprint(tmp_path):
    cases = {name: case for name, case in CASES.items() if "tokenizer" not in case}
    prints = [
        load(save(tmp_path / str(index), **case)).fingerprint
        for index, case in enumerate(cases.values())
    ]
    assert len(set(prints)) == len(prints)


def test_a_length_that_is_no_number_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="document_length"):
        load(save(tmp_path, document_length="long"))
