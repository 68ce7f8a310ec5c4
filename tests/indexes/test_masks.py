"""Masks by passage id: the same whatever they are made by, and no larger than what there is."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from retrieval.errors import IndexCorrupted
from retrieval.indexes import masks
from retrieval.indexes.masks import copy_of, is_sparse, mask_of, mask_without


@pytest.mark.parametrize("small", [masks.SMALL, 10])
def test_a_mask_is_the_same_dense_and_sparse(small: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masks, "SMALL", small)
    held = [np.array([3, 7, 500]), np.array([900, 901, 5000])]
    gone = np.array([7, 901, -1, 5000])
    mask = mask_without(1000, gone, held, Path())
    assert is_sparse(1000, 6) == (small == 10)
    assert mask[[3, 500, 900]].all()
    assert not mask[[7, 901]].any()
    copied = copy_of(mask)
    assert (copied == mask).all()
    copied[3] = False
    assert mask[3]
    assert np.flatnonzero(mask_of(10, np.array([2, 9, 10, -3]))).tolist() == [2, 9]
    assert mask_without(0, gone, held, Path()).shape == (0,)


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(sys.platform != "linux", reason="what is taken is told by /proc")
def test_a_sparse_mask_takes_the_memory_of_what_is_there() -> None:
    before, size = resident(), 1 << 29
    ids = np.array([5, 1 << 20, size - 1])
    mask = mask_without(size, np.array([5]), [ids], Path())
    others = copy_of(mask), mask_of(size, ids)
    assert resident() - before < 1 << 28
    assert (mask[ids] == others[0][ids]).all()
    assert mask[ids].tolist() == [False, True, True]


def test_ids_that_no_memory_has_room_for_are_told() -> None:
    for size in (1 << 55, 1 << 62):
        with pytest.raises(IndexCorrupted, match=r"numbers its passages up to .* and holds 3;"):
            mask_without(size, np.array([1]), [np.arange(3)], Path("x"))
