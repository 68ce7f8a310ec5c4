"""How sure one may be of a mean, and of a difference between two systems on the same queries.

Everything is drawn from a fixed seed: the same figures give the same intervals and p-values.
`docs/reading-reports.md` has the formulas and their sources.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrieval.errors import InputError

SEED = 20_260_101
LEVEL = 0.95
RESAMPLES = 10_000
FLIPS = 100_000
EXACT_QUERIES = 16
"""Up to so many queries that differ, every one of the 2^n assignments of signs is counted."""

_CELLS = 1 << 21  # of a block of resamples, so that memory does not grow with the queries
_NORMAL = NormalDist()

Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """The two ends of a confidence interval."""

    low: float
    high: float


class Outcomes(NamedTuple):
    """On how many queries the first system is better, as good, and worse."""

    wins: int
    ties: int
    losses: int


def bootstrap_interval(
    values: ArrayLike, *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = SEED
) -> Interval:
    """The BCa bootstrap confidence interval of a mean.

    For the difference of two systems give the differences by query: then it is a paired interval.

    Args:
        values: f64 [n], one value a query.

    Returns:
        Both ends; the mean itself twice where there is one value, or all are equal.

    Raises:
        InputError: there are no values, or one is not finite.
    """
    column = _checked(values, 1)[:, None]
    low, high = bootstrap_intervals(column, level=level, resamples=resamples, seed=seed)
    return Interval(float(low[0]), float(high[0]))


def bootstrap_intervals(
    values: ArrayLike, *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = SEED
) -> tuple[Floats, Floats]:
    """`bootstrap_interval` of each column, all from the same resamples.

    Args:
        values: f64 [n, m].

    Returns:
        low and high, f64 [m] each.
    """
    table = _checked(values, 2)
    means = table.mean(axis=0)
    drawn = np.sort(_resampled_means(table, resamples, seed), axis=0)
    low, high = means.copy(), means.copy()
    for column in range(table.shape[1]):
        if np.ptp(table[:, column]) > 0:
            ends = _bca_levels(table[:, column], drawn[:, column], level)
            low[column], high[column] = np.quantile(drawn[:, column], ends)
    return low, high


def _resampled_means(table: Floats, resamples: int, seed: int) -> Floats:
    """Means of resampled queries, f64 [resamples, m]."""
    generator = np.random.default_rng(seed)
    queries = len(table)
    blocks = []
    for rows in _blocks(resamples, queries):
        picked = generator.integers(0, queries, size=(rows, queries))
        picked += np.arange(rows)[:, None] * queries
        times = np.bincount(picked.ravel(), minlength=rows * queries).reshape(rows, queries)
        blocks.append(times.astype(np.float64) @ table)
    return np.concatenate(blocks) / queries


def _bca_levels(values: Floats, drawn: Floats, level: float) -> tuple[float, float]:
    """The quantiles of the drawn means that are the ends: Efron's bias and acceleration."""
    off = values - values.mean()
    spread = float((off**2).sum())
    acceleration = float((off**3).sum()) / (6 * spread**1.5)
    # Draws that equal the mean count by half, so that few distinct values cause no bias.
    slack = 1e-12 * max(1.0, float(np.abs(values).max()))
    below = int(np.searchsorted(drawn, values.mean() - slack))
    upto = int(np.searchsorted(drawn, values.mean() + slack, side="right"))
    share = (below + upto) / 2 / len(drawn)
    bias = _NORMAL.inv_cdf(min(max(share, 0.5 / len(drawn)), 1 - 0.5 / len(drawn)))
    tail = (1 - level) / 2
    ends = []
    for z in (_NORMAL.inv_cdf(tail), _NORMAL.inv_cdf(1 - tail)):
        ends.append(_NORMAL.cdf(bias + (bias + z) / (1 - acceleration * (bias + z))))
    return ends[0], ends[1]


def paired_test(a: ArrayLike, b: ArrayLike, *, flips: int = FLIPS, seed: int = SEED) -> float:
    """The two-sided p-value that two systems differ in their means (Fisher's randomisation test).

    If neither is better, the sign of each query's difference is a coin's throw. The p-value is the
    share of assignments of signs whose mean is at least as far from 0 as the one found.

    Args:
        a, b: f64 [n] each, of the same queries in the same order.

    Raises:
        InputError: the shapes differ, there are no values, or one is not finite.
    """
    column = _differences(a, b)[:, None]
    return float(paired_tests(column, flips=flips, seed=seed)[0])


def paired_tests(differences: ArrayLike, *, flips: int = FLIPS, seed: int = SEED) -> Floats:
    """`paired_test` of each column of differences, f64 [n, m]; p-values, f64 [m]."""
    table = _checked(differences, 2)
    found = np.ones(table.shape[1])
    nonzero = np.count_nonzero(table, axis=0)
    for column in np.flatnonzero((nonzero > 0) & (nonzero <= EXACT_QUERIES)):
        found[column] = _exact(table[table[:, column] != 0, column])
    many = np.flatnonzero(nonzero > EXACT_QUERIES)
    if len(many):
        found[many] = _drawn(table[:, many], flips, seed)
    return found


def _exact(differences: Floats) -> float:
    """Over all 2^n assignments of signs to n differences."""
    sums = np.zeros(1)
    for difference in differences:
        sums = np.concatenate([sums - difference, sums + difference])
    return float(np.mean(np.abs(sums) >= _reached(differences[:, None])))


def _drawn(table: Floats, flips: int, seed: int) -> Floats:
    """Over random assignments of signs; the one that was found counts as one more."""
    generator = np.random.default_rng(seed)
    queries = len(table)
    least, total = _reached(table), table.sum(axis=0)
    far = np.zeros(table.shape[1], dtype=np.int64)
    for rows in _blocks(flips, max(table.shape)):
        # Whole words for each row: so the draws do not depend on how many rows a block has.
        bits = np.frombuffer(generator.bytes(rows * 4 * -(-queries // 32)), dtype=np.uint8)
        heads = np.unpackbits(bits.reshape(rows, -1), axis=1, count=queries)
        sums = total - 2 * (heads.astype(np.float64) @ table)
        far += np.count_nonzero(np.abs(sums) >= least, axis=0)
    return (far + 1) / (flips + 1)


def _reached(table: Floats) -> Floats:
    """What a sum must reach to be as far from 0 as the one found, f64 [m].

    A little less than that one: equal sums differ in their last bits by the order of addition.
    """
    sums: Floats = np.abs(table.sum(axis=0)) - 1e-10 * np.abs(table).sum(axis=0)
    return sums


def holm(p: Sequence[float]) -> list[float]:
    """P-values corrected for how many there are, in the order given (Holm's step-down).

    Calling those at most 0.05 different errs once or more in at most 5 % of such families.

    Raises:
        InputError: a p-value is not between 0 and 1.
    """
    if not all(0 <= value <= 1 for value in p):
        raise InputError(f"p-values are {list(p)}: expected numbers between 0 and 1")
    corrected = [1.0] * len(p)
    largest = 0.0
    for place, at in enumerate(sorted(range(len(p)), key=lambda at: p[at])):
        largest = max(largest, min(1.0, (len(p) - place) * p[at]))
        corrected[at] = largest
    return corrected


def effect_size(a: ArrayLike, b: ArrayLike) -> float | None:
    """Cohen's d of paired values: the mean difference in standard deviations of the differences.

    Returns:
        0.0 where no query differs; None where it is not defined: one query, or all differ alike.
    """
    differences = _differences(a, b)
    if not differences.any():
        return 0.0
    spread = _spread(differences)
    return float(differences.mean()) / spread if spread else None


def queries_needed(
    a: ArrayLike,
    b: ArrayLike,
    *,
    difference: float = 0.01,
    power: float = 0.8,
    level: float = 0.05,
) -> int | None:
    """How many queries it takes to see a true difference of this size.

    Of a two-sided paired test at this level that finds it with this probability, if the
    differences of further queries spread as these do (Guenther's normal approximation).

    Args:
        difference: of the means; 0.01 is one point.

    Returns:
        None where the spread is not known: one query, or all differ alike.
    """
    spread = _spread(_differences(a, b))
    if not spread:
        return None
    critical = _NORMAL.inv_cdf(1 - level / 2)
    wanted = ((critical + _NORMAL.inv_cdf(power)) * spread / difference) ** 2
    return max(2, math.ceil(wanted + critical**2 / 2))


def wins_ties_losses(a: ArrayLike, b: ArrayLike, *, tolerance: float = 1e-9) -> Outcomes:
    """On how many queries a is better than b, as good (within the tolerance), and worse."""
    differences = _differences(a, b)
    wins = int(np.count_nonzero(differences > tolerance))
    losses = int(np.count_nonzero(differences < -tolerance))
    return Outcomes(wins, len(differences) - wins - losses, losses)


def _spread(differences: Floats) -> float:
    """The standard deviation of a sample; 0.0 where it has none to speak of."""
    if len(differences) < 2 or np.ptp(differences) <= 1e-12 * np.abs(differences).max():
        return 0.0
    return float(differences.std(ddof=1))


def _differences(a: ArrayLike, b: ArrayLike) -> Floats:
    x, y = _checked(a, 1), _checked(b, 1)
    if len(x) != len(y):
        raise InputError(
            f"{len(x)} values against {len(y)}: expected those of the same queries, in one order"
        )
    return x - y


def _checked(values: ArrayLike, axes: int) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != axes or not len(array):
        raise InputError(f"values have the shape {array.shape}: expected {axes} axes, not empty")
    if not np.isfinite(array).all():
        raise InputError(f"{np.count_nonzero(~np.isfinite(array))} values are not finite numbers")
    return array


def _blocks(rows: int, width: int) -> Iterator[int]:
    """Numbers that add up to `rows`, each of at most so many that a block keeps to its memory."""
    most = max(1, _CELLS // width)
    while rows > 0:
        yield min(rows, most)
        rows -= most
