"""Late interaction's Triton kernels against numpy, on a GPU or in Triton's interpreter."""

import itertools

import numpy as np
import pytest
import torch

from retrieval.indexes.kernels import reference
from retrieval.ragged import offsets_of
from tests.triton_here import DEVICE, ignore_conversions, needs_triton

pytestmark = [needs_triton, ignore_conversions]

LENGTHS = {
    "none": [],
    "empty ones": [0, 3, 0, 0, 1, 0],
    "around a block": [15, 16, 17, 31, 32, 33, 1],
    "long": [257, 3, 0, 300],
}
ROWS = {"all": lambda n: np.arange(n), "some, one twice": lambda n: np.arange(n)[::-2].repeat(2)}


def passages(name, rows):
    lengths = LENGTHS[name]
    offsets = offsets_of(np.array(lengths, np.int64))
    return offsets, rows(len(lengths)).astype(np.int64)


def signed(random, *shape):
    return random.integers(-128, 128, shape, dtype=np.int8)


def asked(random, dim, sizes):
    """Queries of these numbers of tokens: i8 [M, d], f32 [M], i64 [B + 1]."""
    bounds = offsets_of(np.array(sizes, np.int64))
    count = int(bounds[-1])
    return signed(random, count, dim), random.random(count, dtype=np.float32), bounds


def on_device(*arrays):
    return [torch.from_numpy(array).to(DEVICE) for array in arrays]


def agree(made, expected):
    """To rounding of the last sum: its terms are added in another order."""
    assert made.dtype == torch.float32
    np.testing.assert_allclose(made.cpu().numpy(), expected, rtol=3e-7, atol=0)


@pytest.mark.parametrize("dim", [16, 48, 96, 128])
@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize("lengths", LENGTHS)
def test_max_sim(lengths, rows, dim):
    from retrieval.indexes.gpu.max_sim import max_sim

    random = np.random.default_rng(0)
    offsets, chosen = passages(lengths, rows)
    scales = random.random(int(offsets[-1]), dtype=np.float32)
    scales[random.random(len(scales)) < 0.1] = 0
    arguments = (signed(random, len(scales), dim), scales, offsets, chosen)
    arguments += asked(random, dim, [1, 33, 5])
    expected = np.empty((3, len(chosen)), np.float32)
    reference.max_sim(*arguments, expected, 0, len(chosen))
    agree(max_sim(*on_device(*arguments)), expected)


@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize("dim", [16, 96])
@pytest.mark.parametrize("lengths", LENGTHS)
def test_max_sim_compressed(lengths, dim, bits):
    from retrieval.indexes.gpu.max_sim_compressed import max_sim_compressed

    random = np.random.default_rng(1)
    offsets, rows = passages(lengths, ROWS["some, one twice"])
    tokens = int(offsets[-1])
    stored = (
        random.integers(0, 70, tokens).astype(np.uint16),
        random.integers(0, 256, (tokens, dim * bits // 8), dtype=np.uint8),
        signed(random, 70, dim),
        random.integers(0, 5, 70, dtype=np.uint8),
        signed(random, 5, 2**bits),
        offsets,
        rows,
    )
    query, factors, bounds = asked(random, dim, [34, 2])
    expected = np.empty((2, len(rows)), np.float32)
    for number, (first, last) in enumerate(itertools.pairwise(bounds)):
        own = query[first:last], factors[first:last]
        reference.max_sim_compressed(*stored, *own, expected[number], 0, len(rows))
    agree(max_sim_compressed(*on_device(*stored, query, factors, bounds)), expected)


@pytest.mark.parametrize("lanes", [16, 48])
@pytest.mark.parametrize("lengths", LENGTHS)
def test_centroid_max(lengths, lanes):
    from retrieval.indexes.gpu.centroid_max import centroid_max

    random = np.random.default_rng(2)
    offsets, rows = passages(lengths, ROWS["some, one twice"])
    table = random.integers(0, 256, (90, lanes), dtype=np.uint8)
    codes = random.integers(0, 90, int(offsets[-1])).astype(np.uint16)
    expected = np.empty(len(rows), np.int32)
    reference.centroid_max(table, codes, offsets, rows, expected, 0, len(rows))
    made = centroid_max(*on_device(table, codes, offsets, rows))
    assert made.dtype == torch.int32
    assert made.tolist() == expected.tolist()


def test_codes_of_as_many_centroids_as_there_can_be():
    from retrieval.indexes.gpu.centroid_max import centroid_max

    table = np.zeros((65_536, 16), np.uint8)
    table[65_535] = 7
    codes = np.array([65_535, 0], np.uint16)
    offsets, rows = np.array([0, 2], np.int64), np.array([0], np.int64)
    assert centroid_max(*on_device(table, codes, offsets, rows)).tolist() == [7 * 16]
