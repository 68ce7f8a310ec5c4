"""Random cases for the kernels, small enough that numpy is quick, odd enough to meet every edge."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.typing import NDArray

pytest.importorskip("retrieval.indexes.kernels._native", reason="built without a C compiler")

from retrieval.indexes.kernels import native
from retrieval.ragged import offsets_of

ISAS = native.available()

dimensions = st.sampled_from([8, 16, 24, 32, 40, 48, 56, 64, 96, 104, 128, 136, 192, 256])
generators = st.integers(0, 2**32 - 1).map(np.random.default_rng)


@contextmanager
def using(isa: str) -> Iterator[None]:
    """The compiled kernels with one instruction set."""
    before = native.isa()
    native.use(isa)
    try:
        yield
    finally:
        native.use(before)


def each_isa(call: Callable[[], Any]) -> Iterator[tuple[str, Any]]:
    """What a call of a compiled kernel gives with each instruction set of this machine."""
    for isa in ISAS:
        with using(isa):
            yield isa, call()


def signed(random: np.random.Generator, *shape: int) -> NDArray[np.int8]:
    """Bytes i8: anything, or the ends of the range only."""
    if random.random() < 0.3:
        return random.choice(np.array([-128, 127], np.int8), shape)
    return random.integers(-128, 128, shape, dtype=np.int8)


def passages(
    random: np.random.Generator, most: int = 12, longest: int = 80
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Offsets of passages, some empty, some of one token; and rows of them in any order."""
    count = int(random.integers(1, most + 1))
    lengths = random.integers(0, longest, count)
    lengths[random.random(count) < 0.2] = 0
    lengths[random.random(count) < 0.2] = 1
    rows = random.integers(0, count, int(random.integers(0, most + 1)))
    if random.random() < 0.5:
        rows = np.arange(count)
    return offsets_of(lengths), rows.astype(np.int64)


def part(random: np.random.Generator, size: int) -> tuple[int, int]:
    """A part of `size` items: often all of them."""
    if random.random() < 0.6:
        return 0, size
    first, last = sorted(random.integers(0, size + 1, 2).tolist())
    return first, last


def calls(d: int, tokens: int) -> list[tuple[str, tuple[Any, ...], NDArray[Any], tuple[int, ...]]]:
    """A call of each kernel that takes `out`: name, arguments, out, bounds."""
    random = np.random.default_rng(d * 1000 + tokens)
    lengths = np.array([0, 1, tokens - 1])
    offsets, rows = offsets_of(lengths), np.arange(3)
    query, factors = signed(random, 19, d), np.ones(19, np.float32)
    count = 37
    centroids = signed(random, count, d)
    codes = random.integers(0, count, tokens).astype(np.uint16)
    codes[-1] = count - 1
    vectors, scales = signed(random, tokens, d), np.ones(tokens, np.float32)
    table = random.integers(0, 256, (count, 48), dtype=np.uint8)
    result: list[tuple[str, tuple[Any, ...], NDArray[Any], tuple[int, ...]]] = [
        (
            "max_sim",
            (vectors, scales, offsets, rows, query, factors, np.array([0, 3, 19])),
            np.empty((2, 3), np.float32),
            (0, 3),
        ),
        ("nearest", (vectors, centroids, np.zeros(count, np.int32)), codes.copy(), (0, tokens)),
        (
            "nearest_listed",
            (
                vectors,
                np.array([0, 1, 1, tokens]),
                random.integers(0, count, (3, 11)).astype(np.uint16),
                centroids,
                np.zeros(count, np.int32),
            ),
            codes.copy(),
            (0, 3),
        ),
        (
            "centroid_table",
            (centroids, query, *np.tile((np.arange(32) < len(query)).astype(np.float32), (2, 1))),
            np.empty((count, 32), np.uint8),
            (0, count),
        ),
        ("centroid_max", (table, codes, offsets, rows), np.empty(3, np.int32), (0, 3)),
        (
            "units",
            (
                vectors,
                scales,
                np.zeros(d, np.float32),
                np.ones((d, d), np.float32),
                np.full(1, 0.01, np.float32),
            ),
            np.empty_like(vectors),
            (0, tokens),
        ),
        (
            "ward",
            (
                vectors,
                np.array([0, 1, 2, tokens][: tokens + 1]),
                np.array([1, 1, 1][:tokens]),
                np.array([9e9, 0, 9e9][:tokens], np.float32),
            ),
            np.empty(tokens, np.int32),
            (0, min(3, tokens)),
        ),
        ("probe", (table,), np.empty((47, 5), np.int32), (0, 47)),
        (
            "list_sums",
            (
                np.array([0, 8, 3, 8], np.uint16),
                np.array([[0, 2, 2, 4]]),
                0,
                np.array([[2, 0]], np.int32),
                np.array([[9, 5]], np.uint8),
                np.array([1], np.uint8),
            ),
            np.empty(9, np.uint16),
            (),
        ),
    ]
    for bits in (2, 4):
        classes = random.integers(0, 3, len(centroids), dtype=np.uint8)
        levels = signed(random, 3, 2**bits)
        residuals = random.integers(0, 256, (tokens, d * bits // 8), dtype=np.uint8)
        packed = (codes, residuals, centroids, classes, levels)
        into = np.empty(3, np.float32)
        result += [
            ("max_sim_compressed", (*packed, offsets, rows, query, factors), into, (0, 3)),
            ("decode", packed, np.empty_like(vectors), (0, tokens)),
            (
                "encode",
                (vectors, codes, centroids, classes, np.ones((3, 511), np.uint8), bits),
                np.empty_like(residuals),
                (0, tokens),
            ),
        ]
    return result
