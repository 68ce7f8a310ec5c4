"""Stanford ColBERT folders against that library's steps on transformers."""

import json
import string

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from retrieval.encoders.checkpoints import NotNative, detect, open_folder, read_checkpoint
from retrieval.encoders.runtimes.torch import TorchEncoder
from retrieval.errors import CheckpointError

from .random_models import TEXTS, byte_bpe, modernbert, wordpiece

TOLERANCE = 2e-5
FILE = "model.safetensors"


def save(folder, *, metadata=None, tokenizer=None, dim=128, drop=()):
    """Write a folder as `BaseColBERT.save` does: trunk and projection in one file."""
    model = modernbert(seed=4)
    model.save_pretrained(folder)
    weights = {f"model.{name}": tensor for name, tensor in load_file(folder / FILE).items()}
    generator = torch.Generator().manual_seed(2)
    weights["linear.weight"] = torch.randn(dim, 32, generator=generator)
    save_file({key: w for key, w in weights.items() if key not in drop}, folder / FILE)
    config = json.loads((folder / "config.json").read_text())
    config["architectures"] = ["HF_ColBERT"]
    (folder / "config.json").write_text(json.dumps(config))
    (tokenizer or wordpiece()).save_pretrained(folder)
    if metadata is not None:
        (folder / "artifact.metadata").write_text(json.dumps(metadata))
    return model, weights["linear.weight"]


@torch.inference_mode()
def reference(model, linear, folder, settings, text, *, query):
    """One text's vectors as QueryTokenizer, DocTokenizer and ColBERT make them."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    length = settings["query_maxlen" if query else "doc_maxlen"]
    padding = "max_length" if query else "longest"
    made = tokenizer(
        [text], padding=padding, truncation=True, max_length=length - 1, return_tensors="pt"
    )
    marker = tokenizer.convert_tokens_to_ids("[unused0]" if query else "[unused1]")
    ids, mask = (
        torch.cat([x[:, :1], torch.full((1, 1), new), x[:, 1:]], 1)
        for x, new in ((made["input_ids"], marker), (made["attention_mask"], 1))
    )
    if query:
        ids[ids == tokenizer.pad_token_id] = tokenizer.mask_token_id
        if settings["attend_to_mask_tokens"]:
            mask[ids == tokenizer.mask_token_id] = 1
    out = model(input_ids=ids, attention_mask=mask).last_hidden_state[0] @ linear.T
    kept = torch.ones_like(ids[0], dtype=torch.bool)
    if not query and settings["mask_punctuation"]:
        skiplist = [tokenizer.encode(x, add_special_tokens=False)[0] for x in string.punctuation]
        kept = ~torch.isin(ids[0], torch.tensor(skiplist))
    return torch.nn.functional.normalize(out, dim=-1)[kept].numpy()


def load(folder) -> TorchEncoder:
    assert detect(open_folder(folder)) == "stanford"
    return TorchEncoder(read_checkpoint(open_folder(folder)), device="cpu")


DEFAULTS = {
    "query_maxlen": 32,
    "doc_maxlen": 220,
    "attend_to_mask_tokens": False,
    "mask_punctuation": True,
}


@pytest.mark.parametrize("tokenizer", [wordpiece, byte_bpe])
@pytest.mark.parametrize(
    "changes",
    [
        None,
        {},
        {"query_maxlen": 12, "doc_maxlen": 14},
        {"attend_to_mask_tokens": True},
        {"mask_punctuation": False},
    ],
    ids=["no metadata", "defaults", "short", "attended", "punctuation kept"],
)
def test_vectors_are_those_of_colbert(tmp_path, changes, tokenizer):
    settings = {**DEFAULTS, **(changes or {})}
    stored = None if changes is None else {**settings, "dim": 48, "similarity": "cosine"}
    model, linear = save(tmp_path, metadata=stored, tokenizer=tokenizer(), dim=48)
    encoder = load(tmp_path)
    assert (encoder.dense_dim, encoder.token_dim) == (None, 48)
    for query in (True, False):
        ours = (encoder.encode_queries if query else encoder.encode_documents)(TEXTS)
        theirs = [reference(model, linear, tmp_path, settings, x, query=query) for x in TEXTS]
        assert np.diff(ours.offsets).tolist() == [len(rows) for rows in theirs]
        assert np.abs(ours.tokens - np.concatenate(theirs)).max() <= TOLERANCE


def test_other_markers(tmp_path):
    save(tmp_path, metadata={"query_token_id": "fox", "doc_token_id": "dog"})
    checkpoint = read_checkpoint(open_folder(tmp_path))
    words = wordpiece()
    assert checkpoint.query.marker == words.convert_tokens_to_ids("fox")
    assert checkpoint.document.marker == words.convert_tokens_to_ids("dog")


def test_a_marker_that_the_vocabulary_lacks(tmp_path):
    save(tmp_path, metadata={"query_token_id": "[nowhere]"})
    with pytest.raises(CheckpointError, match=r"\[nowhere\]"):
        load(tmp_path)


def test_without_its_projection(tmp_path):
    save(tmp_path, drop=["linear.weight"])
    with pytest.raises(CheckpointError, match=r"linear\.weight is missing"):
        load(tmp_path)


def test_other_trunks_are_left_to_the_fallback(tmp_path):
    save(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model_type": "bert"}))
    with pytest.raises(NotNative, match="bert"):
        load(tmp_path)
