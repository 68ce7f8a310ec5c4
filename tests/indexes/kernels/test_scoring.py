"""Scores, nearest centroids and codes: every instruction set gives numpy's result, to the bit."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

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
    signed,
    using,
)

query_sizes = st.one_of(st.integers(1, 70), st.sampled_from([1, 16, 17, 32, 33, 48, 64]))


def agree(name: str, arguments: tuple[Any, ...], out: NDArray[Any], *bounds: int) -> None:
    """The kernel fills the same part of `out`, with the same bits, whoever computes it."""
    expected = out.copy()
    getattr(reference, name)(*arguments, expected, *bounds)

    def compiled() -> NDArray[Any]:
        result = out.copy()
        getattr(native, name)(*arguments, result, *bounds)
        return result

    for isa, result in each_isa(compiled):
        assert result.tobytes() == expected.tobytes(), isa


@settings(max_examples=60, deadline=None)
@given(generators, dimensions, query_sizes, st.integers(1, 5))
def test_max_sim(random: np.random.Generator, d: int, m: int, queries: int) -> None:
    offsets, rows = passages(random)
    tokens = int(offsets[-1])
    scales = random.random(tokens, dtype=np.float32)
    scales[random.random(tokens) < 0.1] = 0
    cuts = np.sort(random.choice(np.arange(1, m), min(queries, m) - 1, replace=False))
    bounds = np.array([0, *cuts.tolist(), m], np.int64)
    factors = random.normal(size=m).astype(np.float32)
    arguments = (signed(random, tokens, d), scales, offsets, rows, signed(random, m, d), factors)
    out = np.full((len(bounds) - 1, len(rows)), 7, np.float32)
    agree("max_sim", (*arguments, bounds), out, *part(random, len(rows)))


@settings(max_examples=60, deadline=None)
@given(generators, dimensions, query_sizes, st.sampled_from([2, 4]))
def test_max_sim_compressed(random: np.random.Generator, d: int, m: int, bits: int) -> None:
    offsets, rows = passages(random)
    tokens = int(offsets[-1])
    count = int(random.integers(1, 300))
    arguments = (
        random.integers(0, count, tokens).astype(np.uint16),
        random.integers(0, 256, (tokens, d * bits // 8), dtype=np.uint8),
        signed(random, count, d),
        random.integers(0, 5, count, dtype=np.uint8),
        signed(random, 5, 2**bits),
        offsets,
        rows,
        signed(random, m, d),
        random.normal(size=m).astype(np.float32),
    )
    out = np.full(len(rows), 7, np.float32)
    agree("max_sim_compressed", arguments, out, *part(random, len(rows)))


@settings(max_examples=60, deadline=None)
@given(generators, dimensions, st.integers(0, 70), st.sampled_from([2, 4]))
def test_decode_and_encode(random: np.random.Generator, d: int, tokens: int, bits: int) -> None:
    count = int(random.integers(1, 40))
    codes = random.integers(0, count, tokens).astype(np.uint16)
    residuals = random.integers(0, 256, (tokens, d * bits // 8), dtype=np.uint8)
    centroids = signed(random, count, d)
    bounds = part(random, tokens)
    out = np.full((tokens, d), 7, np.int8)
    classes = random.integers(0, 5, count, dtype=np.uint8)
    levels = signed(random, 5, 2**bits)
    agree("decode", (codes, residuals, centroids, classes, levels), out, *bounds)

    tables = random.integers(0, 2**bits, (5, 511), dtype=np.uint8)
    packed = np.full_like(residuals, 7)
    vectors = signed(random, tokens, d)
    agree("encode", (vectors, codes, centroids, classes, tables, bits), packed, *bounds)


@settings(max_examples=60, deadline=None)
@given(generators, dimensions, st.integers(0, 150), st.integers(1, 200))
def test_nearest(random: np.random.Generator, d: int, tokens: int, count: int) -> None:
    centroids = signed(random, count, d)
    copies = random.integers(0, count, count // 3)
    centroids[: len(copies)] = centroids[copies]  # equal scores: the first must win
    high = int(random.choice([1, 1000, 2**23]))
    penalties = random.integers(0, high + 1, count, dtype=np.int32)
    penalties[: len(copies)] = penalties[copies]
    arguments = (signed(random, tokens, d), centroids, penalties)
    agree("nearest", arguments, np.full(tokens, 7, np.uint16), *part(random, tokens))


@settings(max_examples=60, deadline=None)
@given(generators, dimensions, st.integers(0, 150), st.integers(1, 60), st.integers(1, 70))
def test_nearest_listed(
    random: np.random.Generator, d: int, tokens: int, count: int, listed: int
) -> None:
    centroids = signed(random, count, d)
    penalties = random.integers(0, 2**23 + 1, count, dtype=np.int32)
    groups = int(random.integers(1, 6))
    bounds = offsets_of(random.multinomial(tokens, [1 / groups] * groups))
    near = random.integers(0, count, (groups, listed)).astype(np.uint16)  # some twice
    arguments = (signed(random, tokens, d), bounds, near, centroids, penalties)
    agree("nearest_listed", arguments, np.full(tokens, 7, np.uint16), *part(random, groups))


@pytest.mark.parametrize("isa", ISAS)
def test_nearest_of_as_many_centroids_as_a_code_can_name(isa: str) -> None:
    random = np.random.default_rng(3)
    centroids = random.integers(-20, 21, (65536, 8), dtype=np.int8)
    centroids[-1] = 127
    out = np.empty(3, np.uint16)
    vectors = np.array([[127] * 8, [-128] * 8, [1, 0, 0, 0, 0, 0, 0, 0]], np.int8)
    arguments = (vectors, centroids, np.zeros(65536, np.int32))
    expected = out.copy()
    reference.nearest(*arguments, expected, 0, 3)
    with using(isa):
        native.nearest(*arguments, out, 0, 3)
    assert out.tolist() == expected.tolist()
    assert out[0] == 65535


@settings(max_examples=60, deadline=None)
@given(generators, dimensions, st.integers(0, 40))
def test_units(random: np.random.Generator, d: int, tokens: int) -> None:
    scales = random.choice(np.float32([0, 1e-3, 0.01, 1, 1e30, np.inf, np.nan]), tokens)
    mean = random.normal(0, 0.1, d).astype(np.float32)
    rotation = np.linalg.qr(random.standard_normal((d, d)))[0].astype(np.float32)
    inverse = random.choice(np.float32([0, 1, 120.5, 1e20]), 1)
    arguments = (signed(random, tokens, d), scales, mean, rotation, inverse)
    with np.errstate(all="ignore"):
        agree("units", arguments, np.full((tokens, d), 7, np.int8), *part(random, tokens))


@settings(max_examples=60, deadline=None)
@given(generators, dimensions, st.integers(1, 70), st.integers(1, 100))
def test_centroid_table(random: np.random.Generator, d: int, m: int, count: int) -> None:
    lanes = -(-m // 16) * 16
    slopes, shifts = np.zeros((2, lanes), np.float32)
    slopes[:m] = random.choice(np.float32([0, 2**-13, 1e-3, -1e-3, 0.5, 3e-5]), m)
    shifts[:m] = random.choice(np.float32([0, 0.5, 127.5, 100.3, -60, 300]), m)
    arguments = (signed(random, count, d), signed(random, m, d), slopes, shifts)
    out = np.full((count, lanes), 7, np.uint8)
    agree("centroid_table", arguments, out, *part(random, count))
