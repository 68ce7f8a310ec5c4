"""Sets of ids, held to NumPy's functions and to Python's sets."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retrieval.indexes.ids import distinct, first_of_equal, places_in

numbers = st.lists(st.integers(-3, 12) | st.integers(-(2**63), 2**63 - 1), max_size=30)


@given(values=numbers)
def test_distinct(values: list[int]) -> None:
    array = np.array(values, np.int64)
    assert distinct(array).tolist() == np.unique(array).tolist() == sorted(set(values))
    assert array.tolist() == values


@given(values=numbers)
def test_first_of_equal(values: list[int]) -> None:
    ordered = sorted(values)
    expected = [place == ordered.index(value) for place, value in enumerate(ordered)]
    assert first_of_equal(np.array(ordered, np.int64)).tolist() == expected


@given(held=numbers, wanted=numbers)
def test_places_in(held: list[int], wanted: list[int]) -> None:
    ordered = sorted(set(held))
    expected = [ordered.index(value) if value in ordered else -1 for value in wanted]
    found = places_in(np.array(ordered, np.int64), np.array(wanted, np.int64))
    assert found.tolist() == expected
