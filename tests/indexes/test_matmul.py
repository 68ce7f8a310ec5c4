"""Products in the caller's thread: the same as numpy's."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.indexes.matmul import times


@pytest.mark.parametrize("rows", [0, 1, 27, 28, 29, 100, 1000, 2000])
def test_it_is_the_product(rows: int) -> None:
    rng = np.random.default_rng(rows)
    vectors = rng.standard_normal((rows, 96)).astype(np.float32)
    for matrix in (rng.standard_normal((96, 96)).astype(np.float32), np.eye(96, 7, dtype="f4")):
        expected = vectors.astype(np.float64) @ matrix.astype(np.float64)
        found = times(vectors, matrix)
        assert found.dtype == np.float32
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, atol=1e-4)
        np.testing.assert_allclose(times(vectors, matrix[:, ::-1]), expected[:, ::-1], atol=1e-4)
