"""Tables, lists and selection: every instruction set gives numpy's result, to the bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.indexes.kernels import reference
from retrieval.ragged import offsets_of
from tests.indexes.kernels.cases import (
    ISAS,
    dimensions,
    each_isa,
    generators,
    native,
    part,
    passages,
    using,
)
from tests.indexes.kernels.test_scoring import agree


@settings(max_examples=60, deadline=None)
@given(generators, st.integers(1, 9), st.integers(1, 300))
def test_centroid_max(random: np.random.Generator, sixteens: int, count: int) -> None:
    offsets, rows = passages(random)
    table = random.integers(0, 256, (count, 16 * sixteens), dtype=np.uint8)
    codes = random.integers(0, count, int(offsets[-1])).astype(np.uint16)
    out = np.full(len(rows), 7, np.int32)
    agree("centroid_max", (table, codes, offsets, rows), out, *part(random, len(rows)))


@settings(max_examples=80, deadline=None)
@given(generators, st.integers(1, 4), st.integers(1, 700), st.sampled_from([1, 2, 30, 256]))
def test_probe(random: np.random.Generator, sixteens: int, count: int, values: int) -> None:
    lanes = 16 * sixteens
    table = random.integers(0, values, (count, lanes)).astype(np.uint8)
    tokens = int(random.integers(1, lanes + 1))
    probed = int(random.choice([1, min(count, 20), count]))
    out = np.full((tokens, probed), 7, np.int32)
    agree("probe", (table,), out, *part(random, tokens))


@settings(max_examples=60, deadline=None)
@given(generators, st.integers(1, 70), st.integers(1, 40), st.integers(1, 3))
def test_list_sums(random: np.random.Generator, tokens: int, count: int, blocks: int) -> None:
    size = int(random.choice([1, 100, 65536]))
    lists = [
        np.sort(random.choice(size, int(random.integers(0, min(size, 50) + 1)), replace=False))
        for _ in range(blocks * count)
    ]
    ends = np.cumsum([0, *(len(postings) for postings in lists)])
    starts = np.stack([ends[block * count : (block + 1) * count + 1] for block in range(blocks)])
    probed = int(random.integers(1, count + 1))
    probes = np.stack([random.permutation(count)[:probed] for _ in range(tokens)])
    values = -np.sort(-random.integers(0, 256, (tokens, probed)), axis=1)
    arguments = (
        np.concatenate(lists).astype(np.uint16),
        starts.astype(np.int64),
        int(random.integers(0, blocks)),
        probes.astype(np.int32),
        values.astype(np.uint8),
        random.integers(0, 256, tokens).astype(np.uint8),
    )
    agree("list_sums", arguments, np.full(size, 7, np.uint16))


@settings(max_examples=60, deadline=None)
@given(
    generators,
    dimensions,
    st.lists(st.integers(1, 70), min_size=1, max_size=5),
    st.sampled_from([1, 3, 255]),
    st.integers(1, 8),
    st.sampled_from([0.0, 0.5, 1.0, 2.0, np.inf]),
)
def test_ward(
    random: np.random.Generator,
    d: int,
    lengths: list[int],
    values: int,
    factor: int,
    limit: float,
) -> None:
    bounds = offsets_of(lengths)
    vectors = random.integers(-values // 2, values // 2 + 1, (int(bounds[-1]), d)).astype(np.int8)
    groups = np.array([random.integers(1, -(-length // factor) + 1) for length in lengths])
    far = np.float32(d * (values // 2 + 0.5) ** 2)  # about as far as two of them are
    limits = random.uniform(0.5, 1, len(groups)).astype(np.float32) * np.float32(limit) * far
    arguments = vectors, bounds, groups.astype(np.int64), limits
    agree("ward", arguments, np.full(len(vectors), 7, np.int32), *part(random, len(lengths)))


@pytest.mark.parametrize("isa", ISAS)
def test_list_sums_of_more_query_tokens_than_there_are_stamps(isa: str) -> None:
    tokens = 65535 + 3
    values = np.zeros((tokens, 1), np.uint8)
    values[[0, 65534, 65535, 65536, 65537]] = 200
    arguments = (
        np.array([2, 5], np.uint16),
        np.array([[0, 2]], np.int64),
        0,
        np.zeros((tokens, 1), np.int32),
        values,
        np.full(tokens, 1, np.uint8),
    )
    out = np.empty(9, np.uint16)
    with using(isa):
        native.list_sums(*arguments, out)
    assert out.tolist() == [0, 0, 5 * 199, 0, 0, 5 * 199, 0, 0, 0]


@settings(max_examples=150, deadline=None)
@given(
    generators,
    st.one_of(st.integers(0, 5000), st.sampled_from([31, 32, 33, 1024])),
    st.sampled_from([1, 3, 100, 2**16, 2**32]),
    st.sampled_from([np.int32, np.uint16]),
    st.sampled_from(["random", "rising", "falling"]),
)
def test_top(
    random: np.random.Generator, n: int, spread: int, kind: type[np.generic], order: str
) -> None:
    low = 0 if kind is np.uint16 else -spread // 2
    high = min(spread, 2**16) if kind is np.uint16 else low + spread
    scores = random.integers(low, high, n).astype(kind)
    if order != "random":
        scores = np.sort(scores)[:: 1 if order == "rising" else -1].copy()
    for k in (0, 1, n // 3, max(0, n - 1), n, n + 5):
        expected = reference.top(scores, k)
        for isa, found in each_isa(lambda k=k: native.top(scores, k)):
            assert found.tolist() == expected.tolist(), (isa, k)
