"""Our network against transformers' on the same random weights."""

import json

import pytest
import torch
from transformers import ModernBertForMaskedLM

from retrieval.encoders.checkpoints.folder import Folder
from retrieval.encoders.checkpoints.transformers import read_masked_lm, read_trunk
from retrieval.encoders.model.attention import Layout
from retrieval.encoders.model.config import ModernBertConfig
from retrieval.encoders.model.modernbert import ModernBert

from .random_models import modernbert

TOLERANCE = 2e-5
LENGTHS = [1, 2, 17, 64, 65, 66, 129, 130, 257, 300]

CONFIGS = {
    "default": {},
    "every second layer global": {
        "layer_types": ["full_attention", "sliding_attention"] * 2,
    },
    "all local, narrow": {"layer_types": ["sliding_attention"] * 4, "local_attention": 16},
    "all global": {"layer_types": ["full_attention"] * 4},
    "irregular pattern": {
        "layer_types": [
            "sliding_attention",
            "full_attention",
            "full_attention",
            "sliding_attention",
        ],
        "local_attention": 96,
    },
    "other thetas": {
        "rope_parameters": {
            "full_attention": {"rope_type": "default", "rope_theta": 500.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 40.0},
        }
    },
    "biases": {"norm_bias": True, "attention_bias": True, "mlp_bias": True},
    "another activation and epsilon": {"hidden_activation": "silu", "norm_eps": 1e-3},
    "one head": {"num_attention_heads": 1},
    "an odd window": {"local_attention": 33},
}


def folder_of(path):
    return Folder(path, str(path))


def random_texts(lengths, vocab_size=400, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(0, vocab_size, (length,), generator=generator) for length in lengths]


def assert_same(ours, theirs):
    difference = (ours - theirs).abs().max() / theirs.abs().max()
    assert difference <= TOLERANCE, f"{difference:.2e} of the output's scale"


@torch.inference_mode()
def compare(model, trunk, texts):
    """All texts in one flat batch against each alone through transformers."""
    ours = trunk(torch.cat(texts), Layout.of([len(text) for text in texts]))
    theirs = [model(input_ids=text[None]).last_hidden_state[0] for text in texts]
    assert_same(ours, torch.cat(theirs))


@pytest.mark.parametrize("changes", CONFIGS.values(), ids=CONFIGS)
def test_hidden_vectors_are_those_of_transformers(tmp_path, changes):
    model = modernbert(**changes)
    model.save_pretrained(tmp_path)
    compare(model, read_trunk(folder_of(tmp_path)), random_texts(LENGTHS))


def test_the_longest_text(tmp_path):
    model = modernbert(hidden_size=8, intermediate_size=8, num_attention_heads=2)
    model.save_pretrained(tmp_path)
    compare(model, read_trunk(folder_of(tmp_path)), random_texts([8192, 3, 1000]))


def test_padded_batches_of_transformers_agree_too(tmp_path):
    model = modernbert()
    model.save_pretrained(tmp_path)
    texts = random_texts([5, 90, 200])
    padded = torch.nn.utils.rnn.pad_sequence(texts, batch_first=True)
    mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(x) for x in texts], batch_first=True)
    with torch.inference_mode():
        theirs = model(input_ids=padded, attention_mask=mask).last_hidden_state[mask.bool()]
        ours = read_trunk(folder_of(tmp_path))(torch.cat(texts), Layout.of(list(map(len, texts))))
    assert_same(ours, theirs)


def test_unattended_tokens(tmp_path):
    """Tokens that attend without being attended to, as in ColBERT's query expansion."""
    model = modernbert(local_attention=16)
    model.save_pretrained(tmp_path)
    (text,) = random_texts([32])
    mask = (torch.arange(32) < 26)[None].long()
    with torch.inference_mode():
        theirs = model(input_ids=text[None], attention_mask=mask).last_hidden_state[0]
        layout = Layout.of([32], key_lengths=[26])
        ours = read_trunk(folder_of(tmp_path))(text, layout)
    assert_same(ours, theirs)


@pytest.mark.parametrize("every", [1, 2, 3])
def test_old_config_keys(tmp_path, every):
    kinds = ["sliding_attention" if layer % every else "full_attention" for layer in range(4)]
    thetas = {"full_attention": 9000.0, "sliding_attention": 700.0}
    model = modernbert(
        layer_types=kinds,
        rope_parameters={
            kind: {"rope_type": "default", "rope_theta": theta} for kind, theta in thetas.items()
        },
    )
    model.save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    del config["layer_types"], config["rope_parameters"]
    config.update(
        global_attn_every_n_layers=every, global_rope_theta=9000.0, local_rope_theta=700.0
    )
    path.write_text(json.dumps(config))
    compare(model, read_trunk(folder_of(tmp_path)), random_texts([3, 80, 200]))


def test_local_layers_without_a_theta_of_their_own():
    """transformers 4 gave them that of the global ones where the key was null."""
    raw = modernbert().config.to_dict()
    del raw["rope_parameters"]
    thetas = {"global_rope_theta": 5000.0, "local_rope_theta": None}
    config = ModernBertConfig.from_dict({**raw, **thetas})
    assert (config.global_theta, config.local_theta) == (5000.0, 5000.0)
    config = ModernBertConfig.from_dict(raw)
    assert (config.global_theta, config.local_theta) == (160_000.0, 10_000.0)
    flat = ModernBertConfig.from_dict({**raw, "rope_parameters": {"rope_theta": 70.0}})
    assert (flat.global_theta, flat.local_theta) == (70.0, 70.0)


def test_a_config_that_we_write_is_read_by_transformers(tmp_path):
    model = modernbert(local_attention=32, layer_types=["full_attention", "sliding_attention"] * 2)
    model.save_pretrained(tmp_path)
    trunk = read_trunk(folder_of(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps(trunk.config.to_dict()))
    again = type(model).from_pretrained(tmp_path).eval()
    compare(again, trunk, random_texts([100]))
    assert read_trunk(folder_of(tmp_path)).config == trunk.config


@pytest.mark.parametrize("tied", [True, False])
def test_masked_language_model(tmp_path, tied):
    model = modernbert(ModernBertForMaskedLM, tie_word_embeddings=tied)
    model.save_pretrained(tmp_path)
    trunk, head = read_masked_lm(folder_of(tmp_path))
    texts = random_texts([1, 70, 150])
    compare(model.model, trunk, texts)
    with torch.inference_mode():
        ours = head(trunk(torch.cat(texts), Layout.of(list(map(len, texts)))))
        theirs = torch.cat([model(input_ids=text[None]).logits[0] for text in texts])
    assert_same(ours, theirs)


def test_initialise_is_decided_by_the_generator():
    trunk = ModernBert(ModernBertConfig.from_dict(modernbert().config.to_dict()))
    states = []
    for seed in (3, 3, 4):
        trunk.initialise(torch.Generator().manual_seed(seed))
        states.append({name: x.clone() for name, x in trunk.state_dict().items()})
    assert all(torch.equal(x, states[1][name]) for name, x in states[0].items())
    assert not torch.equal(*(state["layers.0.mlp.Wi.weight"] for state in states[1:]))
    assert states[0]["layers.1.attn_norm.weight"].unique().tolist() == [1.0]
