"""The exported graph against transformers, and against our own network, on random weights."""

import re
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from retrieval.encoders.export.onnx_graph import export
from retrieval.encoders.model.attention import Layout
from retrieval.encoders.model.config import ModernBertConfig
from retrieval.encoders.model.heads import DenseHead, TokenHead, token_vectors
from retrieval.encoders.model.modernbert import ModernBert
from retrieval.encoders.model.quantized import read_weights
from retrieval.errors import CheckpointError

from .cpu_models import DENSE_DIM, PLAIN_TOKENS, TOKENS, random_state, save
from .random_models import modernbert, modernbert_config

# One token, both sides of every edge of a window or a block, and long enough for many blocks.
LENGTHS = (1, 2, 63, 64, 65, 66, 127, 128, 129, 191, 192, 193, 256, 257, 700, 1500)


def run(folder, ids):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(folder / "model.onnx", options)
    names = [output.name for output in session.get_outputs()]
    if isinstance(ids, list):
        return [dict(zip(names, session.run(None, {"ids": i}), strict=True)) for i in ids]
    return dict(zip(names, session.run(None, {"ids": ids}), strict=True))


def random_ids(length, seed=0):
    return np.random.default_rng(seed + length).integers(0, 400, length)


def cosines(a, b):
    return (a * b).sum(-1)


@pytest.fixture(scope="module")
def exact(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exact") / "m"
    return folder, save(folder, quantize=False)


@pytest.fixture(scope="module")
def int8(tmp_path_factory):
    folder = tmp_path_factory.mktemp("int8") / "m"
    return folder, save(folder)


def test_float_graph_computes_what_transformers_computes(exact):
    folder, reference = exact
    texts = [random_ids(length) for length in LENGTHS]
    for ids, made in zip(texts, run(folder, texts), strict=True):
        expected = reference(ids)
        assert made["dense"].shape == (1, DENSE_DIM)
        assert made["tokens"].shape == (len(ids), TOKENS.dim)
        for name in ("dense", "tokens"):
            np.testing.assert_allclose(made[name], expected[name], atol=2e-6, err_msg=f"{len(ids)}")


@pytest.mark.parametrize(
    "changes",
    [
        {"num_attention_heads": 2},
        {"local_attention": 8},
        {"local_attention": 34, "num_hidden_layers": 3},
        {"num_hidden_layers": 1},
        {"num_hidden_layers": 5, "layer_types": ["sliding_attention"] * 4 + ["full_attention"]},
        {"num_hidden_layers": 2, "layer_types": ["full_attention"] * 2},
        {
            "rope_parameters": {
                "full_attention": {"rope_type": "default", "rope_theta": 500.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 77.0},
            }
        },
        {"norm_eps": 0.1},
    ],
    ids=lambda changes: " ".join(changes),
)
def test_every_shape_computes_what_transformers_computes(changes, tmp_path):
    reference = save(tmp_path / "m", quantize=False, **changes)
    texts = [random_ids(length) for length in (1, 5, 12, 13, 50, 52, 131)]
    for ids, made in zip(texts, run(tmp_path / "m", texts), strict=True):
        expected = reference(ids)
        for name in ("dense", "tokens"):
            np.testing.assert_allclose(made[name], expected[name], atol=2e-6, err_msg=f"{len(ids)}")


@pytest.mark.parametrize("quantize", [False, True])
def test_a_token_head_may_read_no_neighbours(quantize, tmp_path):
    reference = save(tmp_path / "m", quantize=quantize, tokens=PLAIN_TOKENS)
    for length in (1, 2, 131):
        ids = random_ids(length)
        near = cosines(run(tmp_path / "m", ids)["tokens"], reference(ids)["tokens"])
        assert near.min() > (0.99 if quantize else 0.999999)


def test_int8_graph_stays_close_to_the_float_network(int8):
    folder, reference = int8
    texts = [random_ids(length) for length in LENGTHS[::3]]
    for ids, made in zip(texts, run(folder, texts), strict=True):
        expected = reference(ids)
        assert cosines(made["dense"], expected["dense"]).min() > 0.9985, len(ids)
        near = cosines(made["tokens"], expected["tokens"])
        assert near.mean() > 0.9985 and near.min() > 0.98, len(ids)


def test_an_outsized_token_costs_the_others_no_precision(tmp_path):
    trunk = modernbert()
    trunk.set_attn_implementation("eager")
    state = random_state(trunk)
    # A token whose gated values are huge in layer 0; one scale a text would round the rest to 0.
    state["embeddings.tok_embeddings.weight"][7] *= 30
    state["layers.0.mlp.Wi.weight"] = state["layers.0.mlp.Wi.weight"] * 3
    tokenizer = tmp_path / "t.json"
    tokenizer.write_text("{}")
    export(
        tmp_path / "m",
        config=modernbert_config().to_dict(),
        state=state,
        tokenizer_json=tokenizer,
        retrieval_config={},
    )
    stored = read_weights(tmp_path / "m" / "model.safetensors")
    torch_network = OwnNetwork(modernbert_config().to_dict(), stored)
    ids = random_ids(40)
    ids[0] = 7
    made = run(tmp_path / "m", ids)["tokens"]
    assert cosines(made, torch_network(ids)["tokens"]).min() > 0.99


class OwnNetwork:
    """The package's network in torch, on given weights."""

    def __init__(self, config, state):
        self.trunk = ModernBert(ModernBertConfig.from_dict(config))
        hidden = self.trunk.config.hidden_size
        self.heads = DenseHead(hidden, DENSE_DIM), TokenHead(hidden, TOKENS)
        tensors = {name: torch.from_numpy(array) for name, array in state.items()}
        self.trunk.load_state_dict({k: v for k, v in tensors.items() if "_head." not in k})
        for head, prefix in zip(self.heads, ("dense_head.", "token_head."), strict=True):
            head.load_state_dict(
                {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            )

    @torch.no_grad()
    def __call__(self, ids):
        layout = Layout.of([len(ids)])
        hidden = self.trunk(torch.from_numpy(ids), layout)
        dense, tokens = self.heads
        made = token_vectors(tokens, self.trunk, hidden, torch.from_numpy(ids), layout)
        return {"dense": dense(hidden, layout).numpy(), "tokens": made.numpy()}


def test_float_graph_computes_what_our_network_computes(exact):
    folder, reference = exact
    network = OwnNetwork(modernbert_config().to_dict(), reference.state)
    for length in (1, 65, 200, 600):
        ids = random_ids(length)
        made, expected = run(folder, ids), network(ids)
        for name in ("dense", "tokens"):
            np.testing.assert_allclose(made[name], expected[name], atol=2e-6)


def test_the_longest_text_never_needs_all_its_scores(exact, tmp_path):
    folder, reference = exact
    ids = random_ids(8192)
    np.save(tmp_path / "ids.npy", ids)
    code = f"""if True:
        import pathlib
        import numpy as np
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession({str(folder / "model.onnx")!r}, options)
        ids = np.load({str(tmp_path / "ids.npy")!r})
        dense, tokens = session.run(["dense", "tokens"], {{"ids": ids}})
        np.savez({str(tmp_path / "made.npz")!r}, dense=dense, tokens=tokens)
        status = pathlib.Path("/proc/self/status")
        peak = status.read_text().split("VmHWM:")[1].split()[0] if status.exists() else 0
        print(peak)
    """
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    one_head = 8192 * 8192 * 4
    assert int(done.stdout) * 1024 < 2 * one_head  # of four heads
    expected = OwnNetwork(modernbert_config().to_dict(), reference.state)(ids)
    with np.load(tmp_path / "made.npz") as made:
        for name in ("dense", "tokens"):
            np.testing.assert_allclose(made[name], expected[name], atol=1e-5)


def test_int8_graph_computes_with_the_stored_weights(int8):
    # Against the weights as they were rounded, only the rounding of the activations is left.
    folder, _ = int8
    stored = read_weights(folder / "model.safetensors")
    network = OwnNetwork(modernbert_config().to_dict(), stored)
    for length in (1, 30, 300):
        ids = random_ids(length)
        made, expected = run(folder, ids), network(ids)
        assert cosines(made["dense"], expected["dense"]).min() > 0.999
        assert cosines(made["tokens"], expected["tokens"]).mean() > 0.999


@pytest.mark.parametrize("quantize", [True, False])
def test_one_head_alone(quantize, tmp_path):
    trunk = modernbert()
    tokenizer = tmp_path / "t.json"
    tokenizer.write_text("{}")
    whole = random_state(trunk)
    both = save(tmp_path / "both", quantize=quantize)
    ids = random_ids(20)
    expected = run(tmp_path / "both", ids)
    for name, prefix in (("dense", "dense_head"), ("tokens", "token_head")):
        state = {k: v for k, v in whole.items() if "_head" not in k or k.startswith(prefix)}
        assert set(state) < set(both.state)
        export(
            tmp_path / name,
            config=modernbert_config().to_dict(),
            state=state,
            tokenizer_json=tokenizer,
            retrieval_config={},
            quantize=quantize,
        )
        made = run(tmp_path / name, ids)
        assert sorted(made) == sorted([name, "hidden"])
        np.testing.assert_array_equal(made[name], expected[name])


def test_the_graph_holds_no_weights(int8):
    folder, reference = int8
    graph = onnx.load(folder / "model.onnx", load_external_data=False)
    inside = [
        tensor
        for tensor in graph.graph.initializer
        if tensor.data_location != onnx.TensorProto.EXTERNAL
    ]
    rows = sum(array.shape[0] for array in reference.state.values() if array.ndim == 2)
    # What is inside are the zero points, a byte a row, and constants.
    assert sum(len(tensor.raw_data) for tensor in inside) < rows + 1000
    weights = sum(array.size for array in reference.state.values())
    assert (folder / "model.safetensors").stat().st_size < 1.3 * weights
    onnx.checker.check_model(onnx.load(folder / "model.onnx"), full_check=False)


def test_export_is_the_same_every_time(int8, tmp_path):
    folder, _ = int8
    save(tmp_path / "again")
    for name in ("model.onnx", "model.safetensors", "config.json", "tokenizer.json"):
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("layers.2.mlp.Wo.weight"), "layers.2.mlp.Wo.weight is missing"),
        (
            lambda s: s.update({"final_norm.weight": np.ones(5, np.float32)}),
            r"final_norm.weight is \(5,\), expected \(32,\)",
        ),
        (lambda s: s.pop("token_head.up.weight"), "token_head.up.weight is missing"),
        (
            lambda s: s.pop("token_head.near.weight"),
            r"token_head.skip.weight is \(16, 72\), expected \(16, 32\)",
        ),
        (
            lambda s: s.update({"token_head.near.weight": np.ones((9, 32), np.float32)}),
            r"token_head.skip.weight is \(16, 72\), expected \(16, 59\)",
        ),
        (
            lambda s: [s.pop(name) for name in list(s) if "_head." in name],
            "no dense head and no token head",
        ),
    ],
)
def test_export_refuses_weights_that_do_not_fit(change, message, tmp_path):
    state = random_state(modernbert())
    change(state)
    with pytest.raises(CheckpointError, match=message) as caught:
        export(
            tmp_path / "m",
            config=modernbert_config().to_dict(),
            state=state,
            tokenizer_json=tmp_path / "t.json",
            retrieval_config={},
        )
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "m").exists()


def test_export_refuses_what_the_graph_cannot_do(tmp_path):
    config = {**modernbert_config().to_dict(), "attention_bias": True}
    with pytest.raises(CheckpointError, match=re.escape("retrieval[torch]")):
        export(
            tmp_path / "m",
            config=config,
            state=random_state(modernbert()),
            tokenizer_json=tmp_path / "t.json",
            retrieval_config={},
        )
