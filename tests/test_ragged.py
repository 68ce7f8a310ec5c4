"""Offsets and rows of ragged arrays, against lists of lists."""

from __future__ import annotations

import itertools
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.ragged import offsets_of, rows_of

LENGTHS = st.lists(st.integers(0, 50), max_size=60)


@given(lengths=LENGTHS, random=st.randoms(use_true_random=False))
def test_owners_have_their_rows(lengths: list[int], random: Random) -> None:
    offsets = offsets_of(lengths)
    owners = random.sample(range(len(lengths)), len(lengths) // 2)
    expected = [row for i in owners for row in range(offsets[i], offsets[i + 1])]
    rows = rows_of(offsets, np.array(owners, np.int64))
    assert rows.tolist() == expected
    assert offsets.tolist() == [0, *itertools.accumulate(lengths)]
    assert rows.dtype == offsets.dtype == np.int64


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.int64])
def test_lengths_of_any_integers(kind: type) -> None:
    offsets = offsets_of(np.full(1000, 200, kind))
    assert offsets[-1] == 200_000 and offsets.dtype == np.int64
