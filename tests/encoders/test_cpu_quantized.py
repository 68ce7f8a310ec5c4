"""Int8 weights and the safetensors files that hold them."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.numpy import load_file, save_file

from retrieval.encoders.model.quantized import (
    dequantize_rows,
    quantize_rows,
    quantize_state,
    read_weights,
    tensor_places,
    write_tensors,
)
from retrieval.errors import CheckpointError

VALUES = st.floats(-1e6, 1e6, width=32).filter(lambda x: x == 0 or abs(x) > 1e-6)
MATRICES = arrays(np.float32, st.tuples(st.integers(1, 6), st.integers(1, 20)), elements=VALUES)


@given(MATRICES)
def test_no_value_moves_by_more_than_half_a_step(matrix):
    codes, scales = quantize_rows(matrix)
    assert codes.dtype == np.int8 and codes.min() >= -127
    assert scales.dtype == np.float32 and (scales > 0).all()
    step = np.abs(matrix.astype(np.float64)).max(1, keepdims=True) / 127
    error = np.abs(dequantize_rows(codes, scales).astype(np.float64) - matrix)
    assert (error <= step * 0.5001).all()


def test_rows_of_zeros_and_of_whole_codes_are_exact():
    matrix = np.zeros((3, 255), np.float32)
    matrix[1] = np.arange(-127, 128) * 0.5
    codes, scales = quantize_rows(matrix)
    np.testing.assert_array_equal(dequantize_rows(codes, scales), matrix)


@pytest.fixture
def state():
    rng = np.random.default_rng(2)
    shapes = {"a.weight": (5, 12), "norm.weight": (12,), "b.weight": (3, 5)}
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def test_a_state_survives_its_file(state, tmp_path):
    path = tmp_path / "w.safetensors"
    write_tensors(path, quantize_state(state))
    weights = read_weights(path)
    assert weights.keys() == state.keys()
    np.testing.assert_array_equal(weights["norm.weight"], state["norm.weight"])
    for name in ("a.weight", "b.weight"):
        assert weights[name].dtype == np.float32
        step = np.abs(state[name]).max(1, keepdims=True) / 127
        assert (np.abs(weights[name] - state[name]) <= 0.5001 * step).all()


def test_unquantised_files_are_read_as_they_are(state, tmp_path):
    path = tmp_path / "w.safetensors"
    write_tensors(path, state)
    weights = read_weights(path)
    assert weights.keys() == state.keys()
    for name, array in state.items():
        np.testing.assert_array_equal(weights[name], array)


def test_places_point_at_the_bytes(state, tmp_path):
    path = tmp_path / "w.safetensors"
    write_tensors(path, quantize_state(state))
    contents = path.read_bytes()
    stored = load_file(path)
    places = tensor_places(path)
    assert places.keys() == stored.keys()
    for name, place in places.items():
        there = np.frombuffer(
            contents[place.offset : place.offset + place.size], stored[name].dtype
        )
        np.testing.assert_array_equal(there.reshape(place.shape), stored[name])


def test_scales_that_do_not_fit_are_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    save_file({"a": np.ones((3, 4), np.int8), "a_scale": np.ones(2, np.float32)}, path)
    with pytest.raises(CheckpointError, match="a is int8"):
        read_weights(path)


def with_header(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


@pytest.mark.parametrize(
    "contents",
    [
        b"",
        b"1234567",
        b"\xff" * 8,
        (10**12).to_bytes(8, "little") + b"{}",
        with_header(b"not json"),
        with_header(b"[1, 2]"),
        with_header(b"[" * 200_000),
        with_header(b'{"a":' * 200_000),
        with_header({"a": 3}),
        with_header({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, b"1234"),
        with_header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}}),
        with_header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, b"123"),
        with_header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, b"12345"),
        with_header({"a": {"dtype": "F32", "shape": ["x"], "data_offsets": [0, 4]}}, b"1234"),
    ],
)
def test_hostile_files_are_refused_in_one_line(contents, tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(contents)
    for read in (tensor_places, read_weights):
        with pytest.raises(CheckpointError, match=r"w\.safetensors") as caught:
            read(path)
        assert "\n" not in str(caught.value)


def test_every_truncation_is_noticed(state, tmp_path):
    path = tmp_path / "w.safetensors"
    write_tensors(path, quantize_state(state))
    contents = path.read_bytes()
    for keep in range(len(contents)):
        path.write_bytes(contents[:keep])
        with pytest.raises(CheckpointError):
            tensor_places(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="No such file"):
        tensor_places(tmp_path / "w.safetensors")
