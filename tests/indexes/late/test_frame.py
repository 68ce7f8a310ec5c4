"""The coordinates in which a codec stores vectors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from retrieval.indexes.late.frame import Frame, FramedVectors
from retrieval.indexes.quantising import QuantisedVectors

D = 16


def frame(seed: int, *, unit: float = 0.01, turned: int = 0) -> Frame:
    """A frame with a mean by chance; `turned` chooses its rotation."""
    mean = np.random.default_rng(seed).normal(0, 0.1, D).astype(np.float32)
    gaussian = np.random.default_rng(turned).standard_normal((D, D))
    return Frame(mean, np.linalg.qr(gaussian)[0].astype(np.float32), unit)


def some_units(seed: int, count: int) -> NDArray[np.int8]:
    return np.random.default_rng(seed).integers(-127, 128, (count, D)).astype(np.int8)


@given(st.integers(0, 99), st.floats(0.002, 0.05), st.floats(0.002, 0.05))
def test_from_frame_to_frame_as_by_the_vectors(seed: int, unit: float, other: float) -> None:
    old, new = frame(seed, unit=unit), frame(seed + 1, unit=other)
    stored = FramedVectors(some_units(seed, 300), old)
    exact = (stored[:].astype(np.float64) - new.mean) @ new.rotation / new.unit
    found = new.units(stored)
    assert np.abs(found - np.clip(exact, -127, 127)).max() <= 0.5 + 1e-3
    assert np.abs(found.astype(int) - new.units(stored[:])).max() <= 1


def test_in_the_same_frame_nothing_changes() -> None:
    units = some_units(1, 5000)
    same = frame(1)
    assert np.array_equal(frame(1).units(FramedVectors(units, same)), units)
    assert np.array_equal(same.units(same.vectors(units)), units)


def test_frames_that_are_turned_otherwise() -> None:
    stored = FramedVectors(some_units(2, 100) // 4, frame(2))
    other = frame(3, turned=1)
    assert np.array_equal(other.units(stored), other.units(stored[:]))
    assert np.allclose(other.vectors(other.units(stored)), stored[:], atol=other.unit * D**0.5)


@pytest.mark.parametrize("rows", [slice(2, 5), slice(None), np.array([4, 0])])
def test_rows_are_vectors(rows: slice | NDArray[np.int64]) -> None:
    own = frame(4)
    stored = FramedVectors(some_units(4, 9), own)
    expected = stored.units[rows] * np.float64(own.unit) @ own.rotation.T + own.mean
    assert np.allclose(stored[rows], expected, atol=1e-5)
    assert len(stored) == 9


def test_vectors_of_eight_bits_with_scales() -> None:
    vectors = np.random.default_rng(5).normal(0, 0.2, (50, D)).astype(np.float32)
    quantised = QuantisedVectors.of(vectors)
    own = frame(5)
    assert np.array_equal(own.units(quantised), own.units(quantised[:]))
