"""Packing: every text once, within the budget, and in the order given when all is done."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.encoders.packing import batched, pack, token_batches

LENGTHS = st.lists(st.integers(0, 50), max_size=60)


@given(LENGTHS, st.integers(1, 120))
def test_pack(lengths, budget):
    batches = list(pack(lengths, budget))
    assert sorted(itertools.chain.from_iterable(batches)) == list(range(len(lengths)))
    sizes = [sum(lengths[i] for i in batch) for batch in batches]
    assert all(
        size <= budget or len(batch) == 1 for size, batch in zip(sizes, batches, strict=True)
    )
    order = [lengths[i] for batch in batches for i in batch]
    assert order == sorted(lengths, reverse=True)
    for batch, following in itertools.pairwise(batches):
        # None is closed before the next text would have burst it.
        assert sum(lengths[i] for i in batch) + lengths[following[0]] > budget


def test_pack_keeps_the_order_of_equals_and_takes_arrays():
    batches = list(pack(np.array([4, 4, 4, 9]), 8))
    assert [batch.tolist() for batch in batches] == [[3], [0, 1], [2]]
    assert list(pack([], 5)) == []
    with pytest.raises(ValueError, match="budget of 0"):
        next(pack([1], 0))


@given(LENGTHS, st.integers(1, 120), st.integers(1, 8))
def test_token_batches(lengths, budget, limit):
    runs = list(token_batches(iter(lengths), lambda length: length, budget, limit=limit))
    assert list(itertools.chain.from_iterable(runs)) == lengths
    assert all(run and len(run) <= limit and sum(run[:-1]) < budget for run in runs)
    assert all(len(run) == limit or sum(run) >= budget for run in runs[:-1])


def test_token_batches_read_no_further_than_they_must():
    source = iter(range(10))
    runs = token_batches(source, lambda _: 1, 3)
    assert next(runs) == [0, 1, 2]
    assert next(source) == 3


def test_batched():
    assert list(batched("abcde", 2)) == [["a", "b"], ["c", "d"], ["e"]]
