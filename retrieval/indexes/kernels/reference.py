"""The kernels in numpy, which define to the bit what the compiled ones compute.

They also run where there is no compiled module. Throughout, a *passage row* i owns the token
rows offsets[i]:offsets[i + 1]; a *query* is i8 [m, d] with f32 factors [m] that turn an integer
dot product into a score. Integer arithmetic is exact; a score is summed over the query's tokens
in f64, in order, and rounded to f32 once.

The caller has checked shapes, dtypes (C order, little-endian) and that offsets and codes stay
inside their arrays. Every function that takes `first` and `last` fills that part of `out` and
nothing else, so that threads can share one call.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retrieval.indexes.kernels.ragged import runs

ISA = "numpy"

_BLOCK = 1 << 12  # tokens at a time, so that a block and its products stay in the cache


def max_sim(
    codes: NDArray[np.int8],
    scales: NDArray[np.float32],
    offsets: NDArray[np.int64],
    rows: NDArray[np.int64],
    query: NDArray[np.int8],
    factors: NDArray[np.float32],
    bounds: NDArray[np.int64],
    out: NDArray[np.float32],
    first: int,
    last: int,
) -> None:
    """out[b, r] = MaxSim of query b and passage rows[r], for r in first:last.

    The sum over query tokens q of factors[q] * max over passage tokens t of
    f32(dot(query[q], codes[t])) * scales[t]; -inf for a passage without tokens.

    Args:
        codes: i8 [T, d].
        scales: f32 [T], not negative.
        offsets: i64 [n + 1].
        rows: i64 [r].
        query: i8 [M, d], the tokens of all queries.
        factors: f32 [M].
        bounds: i64 [B + 1]; query b owns query[bounds[b]:bounds[b + 1]], at least one.
        out: f32 [B, r].
        first, last: the part of `rows` to score.
    """
    wide = query.astype(np.float32).T
    for part, tokens, starts, filled in runs(offsets, rows, first, last, _BLOCK):
        # Products of i8 summed over d <= 1,024 stay below 2**24: exact in f32.
        dots = codes[tokens].astype(np.float32) @ wide
        dots *= scales[tokens][:, None]
        best = np.maximum.reduceat(dots, starts, axis=0)
        for place in range(len(bounds) - 1):
            chosen = slice(bounds[place], bounds[place + 1])
            out[place, part] = -np.inf
            out[place, part][filled] = weighted_sum(best[:, chosen], factors[chosen])


def max_sim_compressed(
    codes: NDArray[np.uint16],
    residuals: NDArray[np.uint8],
    centroids: NDArray[np.int8],
    classes: NDArray[np.uint8],
    levels: NDArray[np.int8],
    offsets: NDArray[np.int64],
    rows: NDArray[np.int64],
    query: NDArray[np.int8],
    factors: NDArray[np.float32],
    out: NDArray[np.float32],
    first: int,
    last: int,
) -> None:
    """out[r] = MaxSim of the query and passage rows[r] as decoded, for r in first:last.

    The sum over query tokens q of factors[q] * max over t of dot(query[q], decode(t)); -inf for a
    passage without tokens.

    Args:
        codes: u16 [T], the centroid of each token.
        residuals: u8 [T, d * bits / 8], see `decode`.
        centroids: i8 [K, d].
        classes: u8 [K], below C.
        levels: i8 [C, 2 ** bits], bits 2 or 4.
        offsets: i64 [n + 1].
        rows: i64 [r].
        query: i8 [m, d], m >= 1.
        factors: f32 [m].
        out: f32 [r].
        first, last: the part of `rows` to score.
    """
    wide = query.astype(np.float32).T
    for part, tokens, starts, filled in runs(offsets, rows, first, last, _BLOCK):
        packed = codes[tokens], residuals[tokens]
        vectors = np.empty((len(packed[0]), centroids.shape[1]), np.int8)
        decode(*packed, centroids, classes, levels, vectors, 0, len(vectors))
        best = np.maximum.reduceat(vectors.astype(np.float32) @ wide, starts, axis=0)
        out[part] = -np.inf
        out[part][filled] = weighted_sum(best, factors)


def decode(
    codes: NDArray[np.uint16],
    residuals: NDArray[np.uint8],
    centroids: NDArray[np.int8],
    classes: NDArray[np.uint8],
    levels: NDArray[np.int8],
    out: NDArray[np.int8],
    first: int,
    last: int,
) -> None:
    """out[t] = centroids[c] + levels[classes[c], residual codes of t], for t in first:last.

    c is codes[t]; the sum is clipped to i8.

    With p = 8 / bits parts, byte j of a token holds dimension j + i * d / p in its bits
    i * bits to (i + 1) * bits, for i in 0..p, so that the parts unpack to contiguous runs.

    Args:
        codes: u16 [T].
        residuals: u8 [T, d * bits / 8].
        centroids: i8 [K, d].
        classes: u8 [K], below C: centroids whose tokens are similarly far away share levels.
        levels: i8 [C, 2 ** bits].
        out: i8 [T, d].
        first, last: the tokens to decode.
    """
    size = levels.shape[1]
    bits = size.bit_length() - 1
    packed = residuals[first:last]
    rows = classes[codes[first:last]][:, None]
    found = np.concatenate(
        [levels[rows, (packed >> shift) & (size - 1)] for shift in range(0, 8, bits)], axis=1
    )
    total = centroids[codes[first:last]].astype(np.int16) + found
    out[first:last] = np.clip(total, -128, 127)


def encode(
    vectors: NDArray[np.int8],
    codes: NDArray[np.uint16],
    centroids: NDArray[np.int8],
    classes: NDArray[np.uint8],
    tables: NDArray[np.uint8],
    bits: int,
    out: NDArray[np.uint8],
    first: int,
    last: int,
) -> None:
    """out[t] = the packed residual codes of token t, for t in first:last; the reverse of `decode`.

    Args:
        vectors: i8 [T, d].
        codes: u16 [T], the centroid of each.
        centroids: i8 [K, d].
        classes: u8 [K], below C.
        tables: u8 [C, 511], the residual code by class and difference, from -255 to 255.
        bits: 2 or 4.
        out: u8 [T, d * bits / 8].
        first, last: the tokens to encode.
    """
    difference = vectors[first:last].astype(np.int16) - centroids[codes[first:last]]
    found = tables[classes[codes[first:last]][:, None], difference + 255]
    width = out.shape[1]
    packed = np.zeros((len(found), width), np.uint8)
    for part, shift in enumerate(range(0, 8, bits)):
        packed |= found[:, part * width : (part + 1) * width] << np.uint8(shift)
    out[first:last] = packed


def units(
    codes: NDArray[np.int8],
    scales: NDArray[np.float32],
    mean: NDArray[np.float32],
    rotation: NDArray[np.float32],
    inverse: NDArray[np.float32],
    out: NDArray[np.int8],
    first: int,
    last: int,
) -> None:
    """out[t] = (codes[t] * scales[t] - mean) @ rotation * inverse, rounded, from -127 to 127.

    Sums are f32, in the order of the dimensions; NaN becomes -127.

    Args:
        codes: i8 [T, d].
        scales: f32 [T].
        mean: f32 [d].
        rotation: f32 [d, d].
        inverse: of the unit, f32 [1].
        out: i8 [T, d].
        first, last: the vectors to convert.
    """
    for start in range(first, last, 1024):
        part = slice(start, min(start + 1024, last))
        vectors = codes[part] * scales[part, None] - mean
        sums = np.zeros_like(vectors)
        for column, row in zip(vectors.T, rotation, strict=True):
            sums += column[:, None] * row
        sums *= inverse[0]
        sums = np.where(sums > -127, sums, np.float32(-127))
        out[part] = np.rint(np.minimum(sums, 127))


def nearest(
    vectors: NDArray[np.int8],
    centroids: NDArray[np.int8],
    penalties: NDArray[np.int32],
    out: NDArray[np.uint16],
    first: int,
    last: int,
) -> None:
    """out[t] = the k of largest dot(vectors[t], centroids[k]) - penalties[k], ties to the first.

    With penalties of half the squared length this is the nearest centroid.

    Args:
        vectors: i8 [T, d].
        centroids: i8 [K, d], K from 1 to 65,536.
        penalties: i32 [K], from 0 to 2 ** 23.
        out: u16 [T].
        first, last: the vectors to assign.
    """
    wide = np.ascontiguousarray(centroids.astype(np.float32).T)
    for start in range(first, last, 256):
        part = slice(start, min(start + 256, last))
        scores = vectors[part].astype(np.float32) @ wide
        scores -= penalties.astype(np.float32)  # integers below 2 ** 24: exact
        out[part] = scores.argmax(axis=1)


def nearest_listed(
    vectors: NDArray[np.int8],
    bounds: NDArray[np.int64],
    near: NDArray[np.uint16],
    centroids: NDArray[np.int8],
    penalties: NDArray[np.int32],
    out: NDArray[np.uint16],
    first: int,
    last: int,
) -> None:
    """`nearest` among the centroids listed for each vector's group; ties to the first listed.

    Args:
        vectors: i8 [T, d], group by group.
        bounds: where each group begins and ends among the vectors, ascending, i64 [G + 1].
        near: the centroids listed for each group, u16 [G, n], n >= 1.
        centroids: i8 [K, d], K from 1 to 65,536.
        penalties: i32 [K], from 0 to 2 ** 23.
        out: u16 [T].
        first, last: the groups to assign.
    """
    for group in range(first, last):
        own = slice(int(bounds[group]), int(bounds[group + 1]))
        if own.start < own.stop:
            some = near[group]
            found = np.empty(own.stop - own.start, np.uint16)
            nearest(vectors[own], centroids[some], penalties[some], found, 0, len(found))
            out[own] = some[found]


def centroid_table(
    centroids: NDArray[np.int8],
    query: NDArray[np.int8],
    slopes: NDArray[np.float32],
    shifts: NDArray[np.float32],
    out: NDArray[np.uint8],
    first: int,
    last: int,
) -> None:
    """out[k, q] = rint(f32(dot(centroids[k], query[q])) * slopes[q] + shifts[q]) clipped to 0..255.

    For k in first:last; 0 in the padding.

    Args:
        centroids: i8 [K, d].
        query: i8 [m, d].
        slopes: f32 [lanes], 0 in the padding.
        shifts: f32 [lanes], 0 in the padding.
        out: u8 [K, lanes], lanes the next multiple of 16 from m on.
        first, last: the centroids.
    """
    tokens = len(query)
    wide = query.astype(np.float32).T
    out[first:last] = 0
    for start in range(first, last, _BLOCK):
        part = slice(start, min(start + _BLOCK, last))
        values = (centroids[part].astype(np.float32) @ wide) * slopes[:tokens] + shifts[:tokens]
        out[part, :tokens] = np.clip(np.rint(values), 0, 255)


def centroid_max(
    table: NDArray[np.uint8],
    codes: NDArray[np.uint16],
    offsets: NDArray[np.int64],
    rows: NDArray[np.int64],
    out: NDArray[np.int32],
    first: int,
    last: int,
) -> None:
    """out[r] = sum over q of max over t of table[codes[t], q], for r in first:last.

    The tokens t are those of passage rows[r]; -1 for a passage without any.

    Args:
        table: u8 [K, lanes], lanes a multiple of 16, the padding 0.
        codes: u16 [T].
        offsets: i64 [n + 1].
        rows: i64 [r].
        out: i32 [r].
        first, last: the part of `rows` to score.
    """
    for part, tokens, starts, filled in runs(offsets, rows, first, last, _BLOCK):
        best = np.maximum.reduceat(table[codes[tokens]], starts, axis=0)
        out[part] = -1
        out[part][filled] = best.sum(axis=1, dtype=np.int32)


def probe(table: NDArray[np.uint8], out: NDArray[np.int32], first: int, last: int) -> None:
    """out[q] = the centroids of largest table[:, q], ties by number, for q in first:last.

    Args:
        table: u8 [K, lanes].
        out: i32 [m, p], m <= lanes, p <= K.
        first, last: the query tokens.
    """
    for place in range(first, last):
        order = np.argsort(255 - table[:, place], kind="stable")
        out[place] = order[: out.shape[1]]


LIST_BLOCK = 1 << 16
"""Passages in a block of inverted lists, so that a posting is a u16 and the sums fit a cache."""


def list_sums(
    postings: NDArray[np.uint16],
    starts: NDArray[np.int64],
    block: int,
    probes: NDArray[np.int32],
    values: NDArray[np.uint8],
    imputed: NDArray[np.uint8],
    out: NDArray[np.uint16],
) -> None:
    """Partial sums of one block's passages over the inverted lists of the probed centroids.

    out[p] = sum over query tokens q of max(0, the largest of values[q, i] over the probed centroids
    probes[q, i] whose list contains p, minus imputed[q]): the passage's score beyond the score
    imputed to a passage in no probed list. Sums stay below 2 ** 16.

    Args:
        postings: u16 [P], passages within their block, ascending within a list.
        starts: i64 [blocks, K + 1]; centroid k's list in a block is
            postings[starts[block, k]:starts[block, k + 1]].
        block: number of the block.
        probes: i32 [m, p].
        values: u8 [m, p], descending along a row.
        imputed: u8 [m].
        out: u16 [passages of the block], overwritten.
    """
    out[:] = 0
    for place, centroids in enumerate(probes):
        seen = np.zeros(len(out), np.bool_)
        for centroid, value in zip(centroids.tolist(), values[place].tolist(), strict=True):
            gain = value - int(imputed[place])
            if gain <= 0:
                break
            found = postings[starts[block, centroid] : starts[block, centroid + 1]]
            new = found[~seen[found]]
            seen[new] = True
            out[new] += np.uint16(gain)


def top(scores: NDArray[np.int32] | NDArray[np.uint16], k: int) -> NDArray[np.int64]:
    """Positions of the k largest scores, descending, ties by position: i64 [min(k, n)]."""
    found = np.arange(len(scores))
    if k == 0:
        return found[:0]
    if len(scores) > k:
        bound = np.partition(scores, len(scores) - k)[len(scores) - k]
        above = np.flatnonzero(scores > bound)
        level = np.flatnonzero(scores == bound)[: k - len(above)]
        found = np.concatenate([above, level])
    order = np.lexsort((found, -scores[found].astype(np.int64)))
    return found[order]


def ward(
    vectors: NDArray[np.int8],
    bounds: NDArray[np.int64],
    groups: NDArray[np.int64],
    limits: NDArray[np.float32],
    out: NDArray[np.int32],
    first: int,
    last: int,
) -> None:
    """out[t] = the place in its block of the first vector of t's group, for blocks first:last.

    The vectors of a block are merged by Ward's method until so many groups are left, or none are as
    near as the limit: each step merges the two nearest groups, ties by position. The distance of
    the merged group from another follows from the distances of its parts (Lance and Williams,
    1967).

    Args:
        vectors: i8 [T, d].
        bounds: i64 [n + 1]; block b has vectors[bounds[b]:bounds[b + 1]], from 1 to 4,096.
        groups: i64 [n], minimum number of groups left in each block, from 1 to all.
        limits: f32 [n], of squared distances: that of two single vectors is their squared Euclidean
            distance; that of larger groups grows with what merging adds to the sum of squares.
        out: i32 [T].
        first, last: the blocks.
    """
    for block in range(first, last):
        start, end = bounds[block], bounds[block + 1]
        exact = vectors[start:end].astype(np.float64)
        squares = np.square(exact).sum(axis=1)
        distances = (squares[:, None] + squares - 2 * (exact @ exact.T)).astype(np.float32)
        np.fill_diagonal(distances, np.inf)
        later = np.where(np.tri(len(exact), dtype=np.bool_), np.float32(np.inf), distances)
        sizes = np.ones(len(exact), np.float32)
        joined_to = np.arange(len(exact))
        for _ in range(len(exact) - groups[block]):
            a, b = divmod(int(later.argmin()), len(exact))
            if later[a, b] > limits[block]:
                break
            apart, both = distances[a, b], sizes[a] + sizes[b]
            new = (sizes[a] + sizes) * distances[a] + (sizes[b] + sizes) * distances[b]
            new = np.maximum((new - sizes * apart) / (both + sizes), np.float32(0))
            new[[a, b]] = np.inf
            distances[a] = distances[:, a] = new
            distances[b] = distances[:, b] = np.inf
            later[a, a + 1 :], later[:a, a] = new[a + 1 :], new[:a]
            later[b] = later[:, b] = np.inf
            sizes[a], sizes[b], joined_to[b] = both, 0, a
        for place in range(len(exact)):  # a group is always merged into one before it
            joined_to[place] = joined_to[joined_to[place]]
        out[start:end] = joined_to


def weighted_sum(best: NDArray[np.float32], factors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sum over the last axis of best * factors, sequentially in f64, rounded to f32."""
    products = best.astype(np.float64) * factors.astype(np.float64)
    total = np.cumsum(products, axis=-1)[..., -1] + 0.0  # never -0.0
    return total.astype(np.float32)
