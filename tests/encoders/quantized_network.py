"""ModernBERT in int8 in numpy, matrix by matrix: what the compiled network is held to.

Activations are rounded where the compiled network and the graph round them: at the input of every
int8 matrix, each row by its largest magnitude.
"""

import math

import numpy as np

from retrieval.encoders.model.config import ModernBertConfig
from retrieval.encoders.model.quantized import SCALE, quantize_state, write_tensors
from retrieval.encoders.model.token_head_shape import TokenHeadShape
from retrieval.encoders.model_folder import DENSE_HEAD, NEAR, TOKEN_HEAD, WEIGHTS_FILE

VOCABULARY = 50


def config(*, hidden=64, heads=2, inner=64, window=16, kinds=("global", "local", "local")):
    """A network's configuration; `window` is to one side."""
    names = {"global": "full_attention", "local": "sliding_attention"}
    return ModernBertConfig.from_dict(
        {
            "model_type": "modernbert",
            "vocab_size": VOCABULARY,
            "hidden_size": hidden,
            "intermediate_size": inner,
            "num_hidden_layers": len(kinds),
            "num_attention_heads": heads,
            "hidden_activation": "gelu",
            "max_position_embeddings": 8192,
            "local_attention": 2 * window,
            "norm_eps": 1e-5,
            "layer_types": [names[kind] for kind in kinds],
            "global_rope_theta": 160000.0,
            "local_rope_theta": 10000.0,
        }
    )


def save(folder, shape, *, dense=24, tokens=24, up=48, near=0, reach=0, seed=0):
    """Write random weights; a head of no dimensions is left out. Returns them as stored."""
    random = np.random.default_rng(seed)
    hidden, inner = shape.hidden_size, shape.intermediate_size
    sizes = {"embeddings.tok_embeddings.weight": (VOCABULARY, hidden)}
    for layer in range(shape.num_layers):
        name = f"layers.{layer}"
        sizes |= {
            f"{name}.attn.Wqkv.weight": (3 * hidden, hidden),
            f"{name}.attn.Wo.weight": (hidden, hidden),
            f"{name}.mlp.Wi.weight": (2 * inner, hidden),
            f"{name}.mlp.Wo.weight": (hidden, inner),
        }
    if dense:
        sizes[DENSE_HEAD] = (dense, hidden)
    if tokens:
        sizes |= TokenHeadShape(tokens, up, near, reach).sizes(hidden)
    state = {
        name: random.normal(0, 1.5 / math.sqrt(size[1]), size).astype(np.float32)
        for name, size in sizes.items()
    }
    norms = ["embeddings.norm.weight", "final_norm.weight"]
    norms += [f"layers.{layer}.mlp_norm.weight" for layer in range(shape.num_layers)]
    norms += [f"layers.{layer}.attn_norm.weight" for layer in range(1, shape.num_layers)]
    state |= {name: random.uniform(0.5, 1.5, hidden).astype(np.float32) for name in norms}
    stored = quantize_state(state, exact=(DENSE_HEAD,))
    write_tensors(folder / WEIGHTS_FILE, stored)
    return stored


def forward(shape, stored, ids, dense_window=None):
    """The outputs of one text, by their names."""

    def linear(name, x):
        step = np.maximum(np.abs(x).max(-1, keepdims=True) / 127, 1e-12)
        weights = stored[name].astype(np.float64) * stored[name + SCALE][:, None]
        return (np.rint(x / step) * step) @ weights.T

    def norm(name, x):
        apart = x - x.mean(-1, keepdims=True)
        spread = np.sqrt((apart**2).mean(-1, keepdims=True) + shape.norm_eps)
        return apart / spread * stored[name]

    def attention(name, kind, x):
        theta = shape.global_theta if kind == "global" else shape.local_theta
        length, dim = len(x), shape.head_dim
        angles = np.arange(length)[:, None] * theta ** -(np.arange(0, dim, 2) / dim)
        cosine, sine = np.cos(angles)[:, None], np.sin(angles)[:, None]

        def rotated(part):
            a, b = part[..., : dim // 2], part[..., dim // 2 :]
            return np.concatenate([a * cosine - b * sine, b * cosine + a * sine], -1)

        parts = linear(f"{name}.attn.Wqkv.weight", x).reshape(length, 3, shape.num_heads, dim)
        q, k, v = rotated(parts[:, 0]), rotated(parts[:, 1]), parts[:, 2]
        scores = np.einsum("qhd,khd->hqk", q, k) / math.sqrt(dim)
        distance = np.abs(np.subtract.outer(np.arange(length), np.arange(length)))
        if kind == "local":
            scores = np.where(distance <= shape.window, scores, -np.inf)
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        return linear(
            f"{name}.attn.Wo.weight", np.einsum("hqk,khd->qhd", shares, v).reshape(x.shape)
        )

    def mlp(name, x):
        gate, value = np.split(linear(f"{name}.mlp.Wi.weight", x), 2, -1)
        return linear(f"{name}.mlp.Wo.weight", gelu(gate) * value)

    table = stored["embeddings.tok_embeddings.weight"].astype(np.float64)
    scales = stored["embeddings.tok_embeddings.weight" + SCALE]
    embedded = x = norm("embeddings.norm.weight", table[ids] * scales[ids][:, None])
    for layer, kind in enumerate(shape.layer_kinds):
        name = f"layers.{layer}"
        x = x + attention(name, kind, norm(f"{name}.attn_norm.weight", x) if layer else x)
        x = x + mlp(name, norm(f"{name}.mlp_norm.weight", x))
    x = norm("final_norm.weight", x)
    made = {}
    if DENSE_HEAD in stored:
        made["dense"] = unit(x.sum(0, keepdims=True) @ stored[DENSE_HEAD].T)
        if dense_window:
            each = -(-len(x) // -(-len(x) // dense_window))
            sums = np.stack([x[at : at + each].sum(0) for at in range(0, len(x), each)])
            made["windows"] = unit(sums @ stored[DENSE_HEAD].T)
    skip, up, down = TOKEN_HEAD
    if NEAR in stored:
        near = linear(NEAR, embedded)
        count = (stored[skip].shape[1] - x.shape[1]) // near.shape[1]
        padded = np.pad(near, [(count // 2, count // 2), (0, 0)])
        x = np.concatenate([x, *(padded[step : step + len(x)] for step in range(count))], 1)
    if skip in stored:
        made["tokens"] = unit(linear(skip, x) + linear(down, gelu(linear(up, x))))
    return made


def gelu(x):
    """With the error function itself."""
    return x / 2 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def unit(x):
    """Rows to length 1."""
    return x / np.linalg.norm(x, axis=-1, keepdims=True)
