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
