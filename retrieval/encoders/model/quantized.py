"""Weights in int8, one f32 scale a row, in a safetensors file that every runtime reads.

A matrix `X` (f32 [rows, columns]) is stored as `X` (int8, same shape) and `X_scale` (f32 [rows]);
`X[i] * X_scale[i]` gives row i back. Vectors stay f32. A row is an output channel of a linear layer
or a token of the embedding table, so a row's scale never depends on another row.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import CheckpointError
from retrieval.files.regular import open_regular

SCALE = "_scale"
"""What the name of a matrix's scales adds to the matrix's own."""

_LEVELS = 127
_MAX_HEADER = 100 << 20
_ITEM_SIZE = {"F32": 4, "I8": 1, "U8": 1, "F16": 2, "BF16": 2, "I32": 4, "I64": 8, "F64": 8}


@dataclass(frozen=True, slots=True)
class TensorPlace:
    """Where one tensor lies in a safetensors file.

    Attributes:
        dtype: the format's own word for it, such as "F32" or "I8".
        offset: byte of the file at which it starts; it is contiguous and little-endian.
        size: bytes.
    """

    dtype: str
    shape: tuple[int, ...]
    offset: int
    size: int


def quantize_rows(matrix: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round a matrix to int8, symmetrically, each row by its largest magnitude.

    Args:
        matrix: f32 [rows, columns].

    Returns:
        int8 [rows, columns] within ±127, and f32 scales [rows], all above 0.
    """
    # A narrower range, which clips the largest values, took 2 % off the squared error at best.
    peaks = np.abs(matrix).max(axis=1)
    scales = np.where(peaks > 0, peaks / np.float32(_LEVELS), np.float32(1)).astype(np.float32)
    codes = np.clip(np.rint(matrix / scales[:, None]), -_LEVELS, _LEVELS).astype(np.int8)
    return codes, scales


def dequantize_rows(codes: NDArray[np.int8], scales: NDArray[np.float32]) -> NDArray[np.float32]:
    """Int8 [rows, columns] and f32 [rows] back to f32 [rows, columns]."""
    return codes.astype(np.float32) * scales[:, None]


def quantize_state(
    state: Mapping[str, NDArray[Any]], *, exact: Collection[str] = ()
) -> dict[str, NDArray[np.int8] | NDArray[np.float32]]:
    """Every matrix of a state as int8 and scales; vectors, and what `exact` names, as f32."""
    stored: dict[str, NDArray[np.int8] | NDArray[np.float32]] = {}
    for name, tensor in state.items():
        if tensor.ndim == 2 and name not in exact:
            stored[name], stored[name + SCALE] = quantize_rows(tensor)
        else:
            stored[name] = np.ascontiguousarray(tensor, np.float32)
    return stored


def write_tensors(path: Path, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Write a safetensors file."""
    from safetensors.numpy import save

    # Not `save_file`, whose files only their owner may read.
    path.write_bytes(save({name: np.ascontiguousarray(t) for name, t in tensors.items()}))


def read_weights(path: Path) -> dict[str, NDArray[np.float32]]:
    """Read a safetensors file, quantised or not, as f32 tensors under their own names.

    Raises:
        CheckpointError: there is no such file, or it is truncated or not safetensors.
    """
    from safetensors.numpy import load_file

    tensor_places(path)
    stored = load_file(path)
    weights: dict[str, NDArray[np.float32]] = {}
    for name, tensor in stored.items():
        if name.endswith(SCALE) and name.removesuffix(SCALE) in stored:
            continue
        scales = stored.get(name + SCALE)
        if scales is None:
            weights[name] = tensor.astype(np.float32)
        elif tensor.dtype != np.int8 or scales.shape != tensor.shape[:1]:
            raise CheckpointError(
                f"{path}: {name} is {tensor.dtype} {tensor.shape} with scales {scales.shape}, "
                "expected int8 rows and one scale a row: export the model again"
            )
        else:
            weights[name] = dequantize_rows(tensor, scales)
    return weights


def read_tensor(path: Path, name: str) -> NDArray[np.float32] | None:
    """One f32 tensor of a safetensors file, without reading the others; None if it has none such.

    Raises:
        CheckpointError: there is no such file, it is truncated or not safetensors, or the tensor
            is not f32.
    """
    place = tensor_places(path).get(name)
    if place is None:
        return None
    if place.dtype != "F32":
        raise CheckpointError(f"{path}: {name} is {place.dtype}, expected F32")
    count = place.size // 4
    return np.fromfile(path, "<f4", count, offset=place.offset).reshape(place.shape)


def tensor_places(path: Path) -> dict[str, TensorPlace]:
    """Read a safetensors header and check it against the file, without reading the tensors.

    Raises:
        CheckpointError: there is no such file, or it is truncated or not safetensors.
    """
    try:
        actual = path.stat().st_size
        with open_regular(path) as file:
            length = int.from_bytes(file.read(8), "little")
            if length > min(_MAX_HEADER, actual):
                raise ValueError("its header is longer than the file")
            header = json.loads(file.read(length))
        places = _places(header, 8 + length)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: not a safetensors file ({error}): fetch or export the model again"
        ) from None
    expected = max((p.offset + p.size for p in places.values()), default=8 + length)
    if actual != expected:
        raise CheckpointError(
            f"{path}: {actual:,} bytes, its header says {expected:,}: "
            "the file is truncated or altered, fetch or export the model again"
        )
    return places


def _places(header: Mapping[str, Any], start: int) -> dict[str, TensorPlace]:
    places = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        shape = tuple(int(side) for side in entry["shape"])
        first, last = (int(offset) for offset in entry["data_offsets"])
        size = _ITEM_SIZE.get(entry["dtype"])
        if first < 0 or (size is not None and last - first != size * int(np.prod(shape))):
            raise ValueError(f"tensor {name} has an impossible place")
        places[name] = TensorPlace(entry["dtype"], shape, start + first, last - first)
    return places
