"""The embedded model's network as an ONNX graph over weights that lie in a safetensors file.

The graph reads one text at a time. On a CPU a batch gains nothing over one text a core: the
activations of a text then stay in the core's cache. So there is no padding, no mask for it, and
nothing that a neighbour in a batch could change.

Linear layers multiply u8 by int8: the weights have a scale a row (an output channel), the
activations a scale a token, so that a token of unusual size costs no other its precision. All else
is f32. Local layers are blocked: 64 queries see 192 keys, and up to 192 tokens one block holds the
whole text. Global layers use ONNX Runtime's tiled attention, which never holds all the scores.

The graph holds no weights: its initialisers point into `model.safetensors` by byte offset.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.encoders.export.graph_builder import GraphBuilder
from retrieval.encoders.model.config import AttentionKind, ModernBertConfig
from retrieval.encoders.model.quantized import (
    SCALE,
    TensorPlace,
    quantize_state,
    tensor_places,
    write_tensors,
)
from retrieval.encoders.model.token_head_shape import TokenHeadShape
from retrieval.encoders.model_folder import (
    CONFIG_FILE,
    DENSE_HEAD,
    GRAPH,
    GRAPH_FILE,
    NEAR,
    QUERY_WEIGHTS,
    SECTION,
    TOKEN_HEAD,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
    ModelSettings,
)
from retrieval.encoders.sides import check_weights
from retrieval.errors import CheckpointError

# Large enough to silence a key, small enough to stay finite when a score is added to it.
_MASKED = -1e30
# The code of 0 in u8 activations, and the smallest step between two codes.
_CENTRE = np.array(128, np.uint8)
_SMALLEST = 1e-12


def export(
    folder: str | Path,
    *,
    config: Mapping[str, Any],
    state: Mapping[str, NDArray[np.float32]],
    tokenizer_json: str | Path,
    retrieval_config: Mapping[str, Any],
    quantize: bool = True,
) -> None:
    """Write a model folder that runs without torch: config, tokenizer, weights, graph.

    Args:
        folder: made if it is not there; files of the same names are replaced.
        config: the contents of a ModernBERT `config.json`.
        state: f32 tensors under the names of `ModernBertModel`, with `dense_head.weight` [D, H],
            `token_head.skip.weight` [d, H], `token_head.up.weight` [u, H] and
            `token_head.down.weight` [d, u], or with one of the two heads only; where the token
            head reads neighbours, `token_head.near.weight` [n, H] and so many more columns of
            `skip` and `up`; and, where the model has them, `query_token_weights` [V].
        tokenizer_json: path of a `tokenizer.json`.
        retrieval_config: the "retrieval" section of `config.json`, with the keys of
            `ModelSettings`; others are kept as they are.
        quantize: int8 matrices, except the dense head: rounding it would cost the dense vectors
            more than all other matrices together. False keeps all f32, as a reference.

    Raises:
        CheckpointError: a tensor is missing or has another shape than the config says.
        MissingDependency: `onnx` is not installed.
    """
    shape = ModernBertConfig.from_dict(config)
    settings = ModelSettings.from_dict(retrieval_config, max_positions=shape.max_positions)
    _check_state(shape, state)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = quantize_state(state, exact=(DENSE_HEAD,)) if quantize else state
    write_tensors(folder / WEIGHTS_FILE, tensors)
    graph = build_graph(shape, tensor_places(folder / WEIGHTS_FILE), settings.dense_window)
    (folder / GRAPH_FILE).write_bytes(graph)
    shutil.copyfile(tokenizer_json, folder / TOKENIZER_FILE)
    section = {**retrieval_config, **settings.to_dict(), GRAPH: hashlib.sha256(graph).hexdigest()}
    contents = {**config, SECTION: section}
    text = json.dumps(contents, indent=2, ensure_ascii=False) + "\n"
    (folder / CONFIG_FILE).write_text(text, encoding="utf-8")


def build_graph(
    config: ModernBertConfig, places: Mapping[str, TensorPlace], dense_window: int | None = None
) -> bytes:
    """The serialised graph: `ids` i64 [L] to what the heads make of it, and to its hidden vectors.

    `dense` is f32 [1, D], `tokens` f32 [L, d], `hidden` f32 [L, H] after the final norm.

    Args:
        config: the network's shape.
        places: where each tensor lies in `model.safetensors`; matrices of f32 give a float graph.
        dense_window: adds `windows` f32 [w, D], as `sides.window_lengths` cuts the text.
    """
    network = _Network(config, GraphBuilder(places), dense_window)
    return network.build()


def _check_state(config: ModernBertConfig, state: Mapping[str, NDArray[np.float32]]) -> None:
    if config.norm_bias or config.attention_bias or config.mlp_bias or config.activation != "gelu":
        raise CheckpointError(
            "the CPU graph knows ModernBERT without biases and with gelu: "
            "run this checkpoint with modernbert-retrieval[torch]"
        )
    hidden, inner = config.hidden_size, config.intermediate_size
    expected: dict[str, tuple[int, ...]] = {
        "embeddings.tok_embeddings.weight": (config.vocab_size, hidden),
        "embeddings.norm.weight": (hidden,),
        "final_norm.weight": (hidden,),
    }
    for layer in range(config.num_layers):
        expected |= {
            f"layers.{layer}.attn.Wqkv.weight": (3 * hidden, hidden),
            f"layers.{layer}.attn.Wo.weight": (hidden, hidden),
            f"layers.{layer}.mlp_norm.weight": (hidden,),
            f"layers.{layer}.mlp.Wi.weight": (2 * inner, hidden),
            f"layers.{layer}.mlp.Wo.weight": (hidden, inner),
        }
        if layer:
            expected[f"layers.{layer}.attn_norm.weight"] = (hidden,)
    for name, shape in expected.items():
        found = state.get(name)
        if found is None or found.shape != shape:
            raise CheckpointError(
                f"{name} is {'missing' if found is None else found.shape}, expected {shape}"
            )
    if QUERY_WEIGHTS in state:
        check_weights(state[QUERY_WEIGHTS], config.vocab_size, "the model to export")
    head = TokenHeadShape.of({name: tensor.shape for name, tensor in state.items()}, hidden)
    if head is None and DENSE_HEAD not in state:
        raise CheckpointError("there is no dense head and no token head, expected one of them")


@dataclass(frozen=True, slots=True)
class _Rows:
    """Names of a linear layer's input: `codes * scale`, or `codes` alone where they are f32."""

    codes: str
    scale: str | None


@dataclass(frozen=True, slots=True)
class _Blocks:
    """How local layers cut a text into n blocks of B queries that see S keys each.

    Attributes:
        queries: i64 [n, B], rows of the text; beyond its end, the last one.
        keys: i64 [n, S], rows of the text; before its start the first one, beyond it the last.
        mask: f32 [n, 1, B, S], added to the scores.
    """

    queries: str
    keys: str
    mask: str


class _Network:
    """Lays the network out in a builder. Activations are [L, H] throughout: one text."""

    def __init__(
        self, config: ModernBertConfig, builder: GraphBuilder, dense_window: int | None
    ) -> None:
        self.config = config
        self.dense_window = dense_window
        self.g = g = builder
        shapes = {name: place.shape for name, place in g.places.items()}
        self.tokens = TokenHeadShape.of(shapes, config.hidden_size)
        self.quantized = any(place.dtype == "I8" for place in g.places.values())
        self.length = g.op("Shape", "ids")
        self.centres = g.op("Expand", g.constant(_CENTRE), self.length)
        self.rotations = {
            "global": self._rotation(config.global_theta),
            "local": self._rotation(config.local_theta),
        }
        self.blocks = self._cut(config.window)

    def build(self) -> bytes:
        """The whole graph, serialised."""
        embedded = residual = normed = self._norm(self._embed(), "embeddings.norm.weight")
        for layer, kind in enumerate(self.config.layer_kinds):
            name = f"layers.{layer}"
            residual = self.g.op("Add", residual, self._attention(name, kind, normed))
            normed = self._norm(residual, f"{name}.mlp_norm.weight")
            residual = self.g.op("Add", residual, self._mlp(name, normed))
            last = layer + 1 == self.config.num_layers
            following = "final_norm.weight" if last else f"layers.{layer + 1}.attn_norm.weight"
            normed = self._norm(residual, following, "hidden" if last else "")
        return self.g.model(ids=("length",), outputs=self._heads(normed, embedded))

    def _embed(self) -> str:
        g, name = self.g, "embeddings.tok_embeddings.weight"
        rows = g.op("Gather", g.tensor(name), "ids", axis=0)
        if not self.quantized:
            return rows
        scales = g.op("Gather", g.tensor(name + SCALE), "ids", axis=0)
        return g.op("DequantizeLinear", rows, scales, axis=0)

    def _norm(self, x: str, name: str, output: str = "") -> str:
        # SkipLayerNormalization would take in the sum before it; it took six times as long.
        g, epsilon = self.g, self.config.norm_eps
        weight = g.tensor(name)
        return g.op("LayerNormalization", x, weight, name=output, axis=-1, epsilon=epsilon)

    def _mlp(self, name: str, x: str) -> str:
        g, inner = self.g, self.config.intermediate_size
        read = self._read(x)
        gate = g.op("Gelu", self._linear(f"{name}.mlp.Wi.weight", read, (0, inner)))
        # This half's scales are left to the next layer's, which has to multiply by some anyway.
        value = self._product(f"{name}.mlp.Wi.weight", read, (inner, 2 * inner))
        gated = self._read(g.op("Mul", gate, value), scale=read.scale)
        return self._linear(f"{name}.mlp.Wo.weight", gated)

    def _heads(self, hidden: str, embedded: str) -> dict[str, Sequence[int | str]]:
        """Add the heads that there are; the shapes of their outputs by name."""
        g = self.g
        shapes: dict[str, Sequence[int | str]] = {"hidden": ("length", self.config.hidden_size)}
        if DENSE_HEAD in g.places:
            mean = g.op("ReduceMean", hidden, g.constant([0]), keepdims=1)
            self._unit(self._linear(DENSE_HEAD, _Rows(mean, None)), "dense")
            shapes["dense"] = (1, g.places[DENSE_HEAD].shape[0])
            if self.dense_window is not None:
                sums = self._window_sums(hidden, self.dense_window)
                self._unit(self._linear(DENSE_HEAD, _Rows(sums, None)), "windows")
                shapes["windows"] = ("windows", g.places[DENSE_HEAD].shape[0])
        skip, up, down = TOKEN_HEAD
        if self.tokens is not None:
            beside = self._neighbours(embedded, self.tokens)
            read = self._read(g.op("Concat", hidden, *beside, axis=1) if beside else hidden)
            inner = self._read(g.op("Gelu", self._linear(up, read)))
            self._unit(g.op("Add", self._linear(skip, read), self._linear(down, inner)), "tokens")
            shapes["tokens"] = ("length", self.tokens.dim)
        return shapes

    def _neighbours(self, embedded: str, head: TokenHeadShape) -> list[str]:
        """What the token head reads beside the hidden vectors: f32 [L, n] for each step."""
        if not head.near:
            return []
        g, reach = self.g, head.reach
        rows = self._linear(NEAR, self._read(embedded))
        padded = g.op("Pad", rows, g.constant([reach, 0, reach, 0]))
        zero, made = g.constant([0]), []
        for step in range(2 * reach + 1):
            start = g.constant([step])
            made.append(g.op("Slice", padded, start, g.op("Add", start, self.length), zero))
        return made

    def _window_sums(self, hidden: str, most: int) -> str:
        """Sums over the windows of `sides.window_lengths`: [L, H] to [w, H]."""
        g, length = self.g, self.length

        def over(dividend: str, divisor: str) -> str:
            """Divide i64 [1] by i64 [1], rounded up."""
            above = g.op("Add", dividend, g.op("Sub", divisor, g.constant([1])))
            return g.op("Div", above, divisor)

        count = over(length, g.constant([most]))
        each = over(length, count)
        beyond = g.op("Sub", g.op("Mul", count, each), length)
        zero = g.constant([0])
        padded = g.op("Pad", hidden, g.op("Concat", zero, zero, beyond, zero, axis=0))
        shape = g.op("Concat", count, each, g.constant([self.config.hidden_size]), axis=0)
        return g.op("ReduceSum", g.op("Reshape", padded, shape), g.constant([1]), keepdims=0)

    def _unit(self, vectors: str, name: str) -> None:
        """Rows scaled to unit length, as the graph's output of that name."""
        self.g.op("LpNormalization", vectors, name=name, axis=-1, p=2)

    # Linear layers

    def _read(self, x: str, scale: str | None = None) -> _Rows:
        """What a linear layer reads: f32 [L, K], or u8 codes with a scale a row.

        Args:
            scale: f32 [L, 1] by which the rows of `x` are still to be multiplied.
        """
        g = self.g
        if not self.quantized:
            return _Rows(x if scale is None else g.op("Mul", x, scale), None)
        peak = g.op("ReduceMax", g.op("Abs", x), g.constant([-1]), keepdims=0)
        step = g.op("Max", g.op("Mul", peak, g.constant(1 / 127)), g.constant(_SMALLEST))
        codes = g.op("QuantizeLinear", x, step, self.centres, axis=0)
        column = g.op("Unsqueeze", step, g.constant([1]))
        return _Rows(codes, column if scale is None else g.op("Mul", column, scale))

    def _linear(self, name: str, x: _Rows, rows: tuple[int, int] | None = None) -> str:
        """`x @ W.T` for a stored matrix, or for a run of its rows: [L, K] to f32 [L, rows]."""
        product = self._product(name, x, rows)
        return product if x.scale is None else self.g.op("Mul", product, x.scale)

    def _product(self, name: str, x: _Rows, rows: tuple[int, int] | None = None) -> str:
        """`_linear` without the rows' scales."""
        g = self.g
        weight = g.tensor(name, rows)
        if x.scale is None:
            return g.op("Gemm", x.codes, weight, transB=1)
        scales = g.tensor(name + SCALE, rows)
        unit, centre = g.constant(1.0), g.constant(_CENTRE)
        zeros = g.zero_points(weight)
        return g.fused("QGemm", x.codes, unit, centre, weight, scales, zeros, transB=1)

    # Attention

    def _attention(self, name: str, kind: AttentionKind, x: str) -> str:
        hidden = self.config.hidden_size
        read = self._read(x)
        q, k, v = (
            self._linear(f"{name}.attn.Wqkv.weight", read, (i * hidden, (i + 1) * hidden))
            for i in range(3)
        )
        q, k = self._rotate(q, kind), self._rotate(k, kind)
        mixed = self._global(q, k, v) if kind == "global" else self._local(q, k, v)
        return self._linear(f"{name}.attn.Wo.weight", self._read(mixed))

    def _rotation(self, theta: float) -> tuple[str, str]:
        """Cosines and sines of the angles: f32 [L, head_dim / 2] each."""
        g, dim = self.g, self.config.head_dim
        steps = np.arange(0, dim, 2, dtype=np.float32) / np.float32(dim)
        frequencies = np.float32(1) / np.float32(theta) ** steps
        positions = g.op("Range", g.constant(0), g.op("Squeeze", self.length), g.constant(1))
        column = g.op("Unsqueeze", g.op("Cast", positions, to=g.f32), g.constant([1]))
        angles = g.op("Mul", column, g.constant(frequencies))
        return g.op("Cos", angles), g.op("Sin", angles)

    def _rotate(self, x: str, kind: AttentionKind) -> str:
        g = self.g
        rotated = g.fused("RotaryEmbedding", self._batch(x), g.constant([0]), *self.rotations[kind])
        return g.op("Squeeze", rotated, g.constant([0]))

    def _batch(self, x: str) -> str:
        """[L, H] as a batch of one text."""
        return self.g.op("Unsqueeze", x, self.g.constant([0]))

    def _global(self, q: str, k: str, v: str) -> str:
        g = self.g
        texts = [self._batch(side) for side in (q, k, v)]
        out = g.fused("MultiHeadAttention", *texts, num_heads=self.config.num_heads)
        return g.op("Squeeze", out, g.constant([0]))

    def _local(self, q: str, k: str, v: str) -> str:
        # MultiHeadAttention could do this too, a tenth slower, and wrongly in ONNX Runtime 1.20.
        g, heads, cut = self.g, self.config.num_heads, self.blocks
        out = g.op(
            "Attention",
            g.op("Gather", q, cut.queries, axis=0),
            g.op("Gather", k, cut.keys, axis=0),
            g.op("Gather", v, cut.keys, axis=0),
            cut.mask,
            q_num_heads=heads,
            kv_num_heads=heads,
        )
        joined = g.op("Reshape", out, g.constant([-1, self.config.hidden_size]))
        return g.op("Slice", joined, g.constant([0]), self.length)

    def _cut(self, window: int) -> _Blocks:
        """Blocks of `window` queries with as many keys again on either side.

        A text that is no longer than the keys of one such block is one block without these sides.
        """
        g = self.g
        zero, one, width = g.constant(0), g.constant(1), g.constant(max(window, 1))
        count = g.op("Squeeze", self.length)
        last = g.op("Sub", count, one)
        single = g.op("LessOrEqual", count, g.constant(3 * window))
        size = g.op("Where", single, count, width)
        side = g.op("Where", single, zero, width)
        span = g.op("Add", size, g.op("Add", side, side))

        starts = g.op("Unsqueeze", g.op("Range", zero, count, size), g.constant([1]))
        queries = g.op("Add", starts, g.op("Range", zero, size, one))
        keys = g.op("Add", g.op("Sub", starts, side), g.op("Range", zero, span, one))
        rows = g.op("Max", g.op("Min", keys, last), zero)

        as_rows, as_columns = g.constant([2]), g.constant([1])
        distance = g.op(
            "Abs",
            g.op("Sub", g.op("Unsqueeze", queries, as_rows), g.op("Unsqueeze", keys, as_columns)),
        )
        near = g.op("LessOrEqual", distance, g.constant(window))
        inside = g.op("Unsqueeze", g.op("Equal", keys, rows), as_columns)
        seen = g.op("And", near, inside)
        mask = g.op("Where", seen, g.constant(0.0), g.constant(_MASKED))
        return _Blocks(g.op("Min", queries, last), rows, g.op("Unsqueeze", mask, as_columns))
