"""Token vectors that cannot be stored are refused before anything is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from retrieval.errors import InputError
from retrieval.indexes import LateSearcher, open_late, write_late


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_vector_that_is_not_finite_is_refused_by_name(tmp_path: Path, value: float) -> None:
    tokens = np.ones((4, 16), dtype=np.float32)
    tokens[2, 1] = value
    with pytest.raises(InputError, match="passage 77 "):
        write_late(tmp_path, [5, 76, 77, 78], tokens, [0, 2, 2, 4, 4])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "offsets", [[0, 1], [0, 1, 2, 3], [1, 1, 3], [0, 1, 2], [0, 4, 3], [0, -1, 3], [0, 1, 4], []]
)
def test_wrong_offsets(tmp_path: Path, offsets: list[int]) -> None:
    with pytest.raises(InputError, match="offsets"):
        write_late(tmp_path, [1, 2], np.ones((3, 16)), offsets)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dim", [0, 1, 8, 15, 17, 20, 100, 257, 264, 1024])
def test_a_dimension_that_the_kernels_do_not_know(tmp_path: Path, dim: int) -> None:
    with pytest.raises(InputError, match=f"have {dim} dimensions; expected a multiple of 8"):
        write_late(tmp_path, [1], np.ones((2, dim)), [0, 2])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ids", [[1, 1], [-1, 2], [[1, 2]], [0.5, 1.0]])
def test_wrong_ids(tmp_path: Path, ids: list[int]) -> None:
    with pytest.raises(InputError, match="id"):
        write_late(tmp_path, ids, np.ones((2, 16)), [0, 1, 2])
    assert not list(tmp_path.iterdir())


def test_a_query_of_more_tokens_than_a_sum_can_take(tmp_path: Path) -> None:
    write_late(tmp_path, [1], np.ones((2, 16)), [0, 2])
    searcher = LateSearcher([open_late(tmp_path)])
    with pytest.raises(InputError, match="65,536 tokens; give at most 65,535"):
        searcher.search([np.ones((65_536, 16))], 1)
