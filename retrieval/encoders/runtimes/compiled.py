"""The embedded model's network compiled for AMX, AVX-512 VNNI, AVX-VNNI, AVX2 and NEON.

It computes what the graph of `retrieval.encoders.export.onnx_graph` does, from the same weights and
with the same rounding to int8, in less time: a token's activations go through the layers between
two attentions while they are in the core's cache. What it gives is the same to the bit with every
instruction set. native/network is its source.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.encoders import model_folder
from retrieval.encoders.model.config import ModernBertConfig
from retrieval.encoders.model.quantized import SCALE, TensorPlace
from retrieval.encoders.model.token_head_shape import TokenHeadShape
from retrieval.encoders.model_folder import DENSE_HEAD, NEAR, TOKEN_HEAD
from retrieval.errors import CheckpointError

try:
    from retrieval.encoders import _compiled
except ImportError as error:
    _built = "cannot import name" not in str(error)
    _MISSING: str | None = str(error) if _built else "this installation was built without it"
else:
    _MISSING = None

VARIABLE = "RETRIEVAL_ISA"

KNOWN = ("amx", "avx512", "avxvnni", "avx2", "i8mm", "neon")
"""Every instruction set that the network is compiled for, on one processor or another."""

_FIRST_ANGLES = 512
# Products of that many bytes cannot overflow 32 bits.
_LONGEST = 1 << 15


class CompiledNetwork:
    """A model folder's network; runs on the caller's thread, any number of them at once."""

    def __init__(
        self,
        folder: Path,
        config: ModernBertConfig,
        places: Mapping[str, TensorPlace],
        dense_window: int | None,
        isa: str,
    ) -> None:
        """Read the weights.

        Args:
            folder: a model folder with int8 matrices.
            config: what its `config.json` says.
            places: where its tensors lie.
            dense_window: most tokens of a window with a dense vector of its own.
            isa: one of `available()`.

        Raises:
            CheckpointError: a tensor is missing, or has another size than `config` says.
        """
        file = folder / model_folder.WEIGHTS_FILE
        shapes = {name: place.shape for name, place in places.items()}
        try:
            tokens = TokenHeadShape.of(shapes, config.hidden_size)
        except CheckpointError as wrong:
            raise _misfit(file, wrong) from None
        dense = places.get(DENSE_HEAD)
        self._dense_dim = dense.shape[0] if dense else 0
        self._token_dim = tokens.dim if tokens else 0
        self._window = dense_window or 0
        self._hidden_size = config.hidden_size
        self._rotations = [
            _Rotation(theta, config.head_dim) for theta in (config.global_theta, config.local_theta)
        ]
        stored = np.memmap(file, np.uint8, "r")
        sizes = (
            config.vocab_size,
            config.hidden_size,
            config.num_heads,
            config.intermediate_size,
            config.window,
            self._dense_dim,
            self._window if dense else 0,
            self._token_dim,
            tokens.inner if tokens else 0,
            tokens.near if tokens else 0,
            tokens.reach if tokens else 0,
        )
        local = bytes(kind == "local" for kind in config.layer_kinds)
        names = list(_names(config.num_layers, bool(dense), tokens))
        try:
            tensors = tuple(_tensor(stored, places[name]) for name in names)
            self._network = _compiled.network(isa, sizes, config.norm_eps, local, tensors)
        except (KeyError, ValueError) as wrong:
            raise _misfit(file, wrong) from None

    def __call__(self, ids: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        """One text's ids i64 [L] to `dense` f32 [1, D], `windows` [w, D], `tokens` [L, d]."""
        length = len(ids)
        windows = -(-length // self._window) if self._window else 0
        dense = np.empty((1, self._dense_dim), np.float32)
        each = np.empty((windows, self._dense_dim), np.float32)
        tokens = np.empty((length, self._token_dim), np.float32)
        _compiled.forward(self._network, ids, *self._angles(length), dense, each, tokens)
        return {"dense": dense, "windows": each, "tokens": tokens}

    def hidden(self, ids: NDArray[np.int64]) -> dict[str, NDArray[np.float32]]:
        """One text's ids i64 [L] to `hidden` f32 [L, H], after the final norm, `tokens` [L, d]."""
        hidden = np.empty((len(ids), self._hidden_size), np.float32)
        tokens = np.empty((len(ids), self._token_dim), np.float32)
        _compiled.hidden(self._network, ids, *self._angles(len(ids)), hidden, tokens)
        return {"hidden": hidden, "tokens": tokens}

    def _angles(self, length: int) -> list[NDArray[np.float32]]:
        """Cosines and sines of global layers, then of local ones: f32 [L, head_dim / 2] each."""
        return [part for rotation in self._rotations for part in rotation(length)]


def available() -> list[str]:
    """The instruction sets of this processor that the network is compiled for, best first."""
    return _compiled.available() if _MISSING is None else []


def chosen() -> str | None:
    """The instruction set that networks use: the best one, or the one that RETRIEVAL_ISA names.

    None where there is none, or not that one.
    """
    names = available()
    wanted = os.environ.get(VARIABLE, names[0] if names else None)
    return wanted if wanted in names else None


def obstacle() -> str | None:
    """Why this process has no compiled network, of whatever shape; None if it has."""
    if _MISSING is not None:
        return _MISSING
    if not available():
        return "this processor has neither AVX2 nor NEON with dot products"
    return None if chosen() else f"{VARIABLE}={os.environ[VARIABLE]}"


def supports(config: ModernBertConfig, places: Mapping[str, TensorPlace]) -> bool:
    """Whether the compiled network can be one of this shape."""
    if config.norm_bias or config.attention_bias or config.mlp_bias:
        return False
    wide = config.hidden_size % 64 == 0 and config.intermediate_size % 64 == 0
    table = places.get("embeddings.tok_embeddings.weight")
    inside = [places[name].shape for name in (TOKEN_HEAD[1], NEAR) if name in places]
    if not all(inside):  # no dimension at all
        return False
    return (
        wide
        and config.head_dim in (32, 64, 96, 128)
        and all(shape[0] % 16 == 0 and shape[-1] <= _LONGEST for shape in inside)
        and (NEAR not in places or places[NEAR].shape[0] <= config.hidden_size)
        and config.activation == "gelu"
        and table is not None
        and table.dtype == "I8"
    )


class _Rotation:
    """Cosines and sines of rotary positions; the tables grow with the longest text."""

    def __init__(self, theta: float, dim: int) -> None:
        self._frequencies = (theta ** -(np.arange(0, dim, 2) / dim)).astype(np.float32)
        self._tables = self._made(_FIRST_ANGLES)

    def __call__(self, length: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Cosines and sines of the first positions, f32 [L, dim / 2] each."""
        tables = self._tables
        if len(tables[0]) < length:
            tables = self._tables = self._made(1 << (length - 1).bit_length())
        return tables[0][:length], tables[1][:length]

    def _made(self, length: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        # Rounded to f32 last: numpy's own f32 functions differ from processor to processor.
        angles = np.arange(length, dtype=np.float32)[:, None] * self._frequencies
        exact = angles.astype(np.float64)
        return np.cos(exact).astype(np.float32), np.sin(exact).astype(np.float32)


def _misfit(file: Path, wrong: Exception) -> CheckpointError:
    return CheckpointError(
        f"{file}: its tensors are not those of its configuration ({wrong}): "
        "fetch or export the model again"
    )


def _names(layers: int, dense: bool, tokens: TokenHeadShape | None) -> Iterator[str]:
    """The tensors in the order in which native/network/module.c takes them."""
    yield from _matrix("embeddings.tok_embeddings.weight")
    yield "embeddings.norm.weight"
    for layer in range(layers):
        name = f"layers.{layer}"
        if layer:
            yield f"{name}.attn_norm.weight"
        yield from _matrix(f"{name}.attn.Wqkv.weight")
        yield from _matrix(f"{name}.attn.Wo.weight")
        yield f"{name}.mlp_norm.weight"
        yield from _matrix(f"{name}.mlp.Wi.weight")
        yield from _matrix(f"{name}.mlp.Wo.weight")
    yield "final_norm.weight"
    if dense:
        yield DENSE_HEAD
    if tokens is not None:
        for name in (*TOKEN_HEAD, NEAR) if tokens.near else TOKEN_HEAD:
            yield from _matrix(name)


def _matrix(name: str) -> tuple[str, str]:
    return name, name + SCALE


def _tensor(stored: NDArray[np.uint8], place: TensorPlace) -> NDArray[Any]:
    kinds: dict[str, np.dtype[Any]] = {"I8": np.dtype("i1"), "F32": np.dtype("<f4")}
    return stored[place.offset : place.offset + place.size].view(kinds[place.dtype])
