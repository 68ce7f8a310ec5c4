"""Statistics against scipy, against all cases counted out, and against simulated truth."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.errors import InputError
from retrieval.eval.statistics import (
    bootstrap_interval,
    bootstrap_intervals,
    effect_size,
    holm,
    paired_test,
    paired_tests,
    queries_needed,
    wins_ties_losses,
)

scipy_stats = pytest.importorskip("scipy.stats")

FIGURES = st.floats(-1, 1).map(lambda value: round(value, 3))


def _scores(generator: np.random.Generator, *shape: int) -> Any:
    """Values as a measure of retrieval gives them: many 0 and 1, the rest between."""
    return np.clip(generator.normal(0.6, 0.5, shape), 0, 1)


@pytest.mark.parametrize("queries", [8, 40, 300])
def test_intervals_are_those_of_scipy(queries: int) -> None:
    values = _scores(np.random.default_rng(queries), queries)
    ours = bootstrap_interval(values)
    theirs = scipy_stats.bootstrap(
        (values,), np.mean, n_resamples=10_000, method="BCa", rng=np.random.default_rng(1)
    ).confidence_interval
    # Two draws of 10,000: an end's own error is about 2 % of the standard error, here of two.
    allowed = 0.12 * values.std(ddof=1) / math.sqrt(queries)
    assert ours.low == pytest.approx(theirs.low, abs=allowed)
    assert ours.high == pytest.approx(theirs.high, abs=allowed)


@pytest.mark.parametrize("skewed", [False, True])
def test_intervals_cover_the_true_mean_as_often_as_they_say(skewed: bool) -> None:
    generator = np.random.default_rng(7)
    trials, queries, level = 600, 100, 0.9
    if skewed:
        samples, truth = generator.exponential(1.0, (queries, trials)), 1.0
    else:
        samples, truth = generator.normal(0.3, 1.0, (queries, trials)), 0.3
    low, high = bootstrap_intervals(samples, level=level, resamples=2_000)
    covered = int(np.count_nonzero((low <= truth) & (truth <= high)))
    # 99.9 % of binomial draws at the stated rate lie within; 1 % is granted to n = 100.
    least = scipy_stats.binom.ppf(0.0005, trials, level - 0.01)
    most = scipy_stats.binom.ppf(0.9995, trials, level + 0.01)
    assert least <= covered <= most


def test_equal_systems_are_called_different_in_at_most_5_percent_of_trials() -> None:
    generator = np.random.default_rng(11)
    trials, queries = 1_000, 50
    a, b = _scores(generator, queries, trials), _scores(generator, queries, trials)
    called = int(np.count_nonzero(paired_tests(a - b, flips=5_000) <= 0.05))
    assert called <= scipy_stats.binom.ppf(0.999, trials, 0.05)
    # Not by never calling anything different.
    assert called >= scipy_stats.binom.ppf(0.001, trials, 0.04)


def test_a_family_of_equal_systems_errs_in_at_most_5_percent_of_trials() -> None:
    generator = np.random.default_rng(12)
    trials, family, queries = 400, 6, 50
    base = _scores(generator, queries, trials, 1)
    others = _scores(generator, queries, trials, family)
    p = paired_tests((others - base).reshape(queries, -1), flips=5_000).reshape(trials, family)
    wrong = sum(min(holm(list(values))) <= 0.05 for values in p)
    assert wrong <= scipy_stats.binom.ppf(0.999, trials, 0.05)
    # Uncorrected they would err far more often, so the trial can tell.
    assert int((p.min(axis=1) <= 0.05).sum()) > scipy_stats.binom.ppf(0.999, trials, 0.05)


def test_a_true_difference_is_found() -> None:
    generator = np.random.default_rng(13)
    b = _scores(generator, 200)
    assert paired_test(b + generator.normal(0.05, 0.1, 200), b) < 1e-3


@pytest.mark.parametrize("queries", [1, 2, 5, 11])
def test_few_queries_are_counted_out(queries: int) -> None:
    differences = np.random.default_rng(queries).normal(0.3, 1.0, queries)
    found = abs(differences.sum())
    signs = list(itertools.product([-1, 1], repeat=queries))
    far = sum(abs(np.dot(sign, differences)) >= found - 1e-12 for sign in signs)
    assert paired_test(differences, np.zeros(queries)) == far / len(signs)


@pytest.mark.parametrize("queries", [12, 16, 17, 60])
def test_p_values_are_those_of_scipy(queries: int) -> None:
    generator = np.random.default_rng(queries)
    a, b = _scores(generator, queries), _scores(generator, queries)
    theirs = scipy_stats.permutation_test(
        (a, b),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        n_resamples=1 << 17,
        vectorized=True,
        rng=np.random.default_rng(3),
    ).pvalue
    assert paired_test(a, b) == pytest.approx(theirs, abs=4 * math.sqrt(0.25 * 2 / 100_000))


def test_drawn_signs_agree_with_all_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = np.random.default_rng(2).normal(0.4, 1.0, (15, 4))
    exact = paired_tests(differences)
    monkeypatch.setattr("retrieval.eval.statistics.EXACT_QUERIES", 0)
    drawn = paired_tests(differences)
    assert not np.array_equal(exact, drawn)
    assert drawn == pytest.approx(exact, abs=0.006)


def test_a_drawn_p_value_is_never_0() -> None:
    a = np.full(100, 0.9) + np.linspace(0, 0.05, 100)
    assert paired_test(a, np.zeros(100), flips=999) == 1 / 1_000


def test_equal_sums_count_as_reached_whatever_the_order_of_addition() -> None:
    # Of 0.1, 0.2 and -0.3 every assignment of signs is as far from 0 as the one found, or farther.
    assert paired_test([0.1, 0.2, -0.3], [0, 0, 0]) == 1.0


def test_the_same_figures_give_the_same_statistics() -> None:
    values = _scores(np.random.default_rng(5), 80)
    assert bootstrap_interval(values) == bootstrap_interval(values)
    assert paired_test(values, values[::-1]) == paired_test(values, values[::-1])


def test_columns_are_what_each_would_be_alone() -> None:
    table = _scores(np.random.default_rng(6), 30, 3) - 0.5
    low, high = bootstrap_intervals(table)
    for column in range(3):
        alone = bootstrap_interval(table[:, column])
        assert (low[column], high[column]) == pytest.approx(alone, abs=1e-12)
    alone_p = [paired_test(table[:, column], np.zeros(30)) for column in range(3)]
    assert paired_tests(table) == pytest.approx(alone_p)


def test_blocks_leave_the_figures_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    values = _scores(np.random.default_rng(8), 64) - 0.5
    interval, p = bootstrap_interval(values), paired_test(values[:45], np.zeros(45))
    monkeypatch.setattr("retrieval.eval.statistics._CELLS", 1_000)
    assert bootstrap_interval(values) == pytest.approx(interval)
    assert paired_test(values[:45], np.zeros(45)) == p


@given(st.lists(FIGURES, min_size=2, max_size=40))
@settings(deadline=None, max_examples=40)
def test_an_interval_holds_its_ends_within_the_values(values: list[float]) -> None:
    low, high = bootstrap_interval(values, resamples=500)
    assert min(values) - 1e-12 <= low <= high <= max(values) + 1e-12


@given(st.lists(st.tuples(FIGURES, FIGURES), min_size=1, max_size=30))
@settings(deadline=None, max_examples=40)
def test_a_test_knows_no_order_of_the_systems(pairs: list[tuple[float, float]]) -> None:
    a, b = (list(side) for side in zip(*pairs, strict=True))
    p = paired_test(a, b, flips=500)
    assert 0 < p <= 1
    assert p == paired_test(b, a, flips=500)
    wins, ties, losses = wins_ties_losses(a, b)
    assert (losses, ties, wins) == wins_ties_losses(b, a)
    assert wins + ties + losses == len(pairs)


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_is_the_one_of_the_definition(p: list[float]) -> None:
    ranks = sorted(range(len(p)), key=lambda at: p[at])
    expected = [0.0] * len(p)
    for place, at in enumerate(ranks):
        steps = [(len(p) - i) * p[ranks[i]] for i in range(place + 1)]
        expected[at] = min(1.0, max(steps))
    assert holm(p) == expected


def test_holm_of_a_known_family() -> None:
    # 3 x 0.01, then 2 x 0.03, then no less than that.
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


@pytest.mark.parametrize("wrong", [[-0.1], [1.1], [float("nan")]])
def test_holm_refuses_what_is_no_p_value(wrong: list[float]) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        holm(wrong)


def test_effect_size_is_the_formula() -> None:
    # Differences 1, 2, 3: mean 2, standard deviation 1.
    assert effect_size([1, 3, 6], [0, 1, 3]) == pytest.approx(2.0)
    assert effect_size([0.5, 0.25], [0.5, 0.25]) == 0.0
    assert effect_size([0.6, 0.7, 0.8], [0.5, 0.6, 0.7]) is None
    assert effect_size([0.6], [0.5]) is None


@pytest.mark.parametrize("difference", [0.01, 0.05, 0.2])
def test_queries_needed_give_the_power_that_is_asked_for(difference: float) -> None:
    generator = np.random.default_rng(4)
    a, b = _scores(generator, 60), _scores(generator, 60)
    spread = np.std(a - b, ddof=1)
    needed = queries_needed(a, b, difference=difference)
    assert needed is not None

    def power(queries: int) -> float:
        critical = scipy_stats.t.ppf(0.975, queries - 1)
        shift = difference / spread * math.sqrt(queries)
        return float(scipy_stats.nct.sf(critical, queries - 1, shift))

    assert power(needed) >= 0.7999
    assert power(max(2, needed - 2)) < 0.8001


def test_queries_needed_are_unknown_without_a_spread() -> None:
    assert queries_needed([0.5], [0.25]) is None
    assert queries_needed([0.5, 0.5], [0.5, 0.5]) is None


def test_wins_ties_and_losses() -> None:
    assert wins_ties_losses([1, 0.5, 0, 0.3], [0, 0.5, 1, 0.3 + 1e-12]) == (1, 2, 1)


def test_values_without_a_spread_have_an_interval_of_one_point() -> None:
    assert bootstrap_interval([0.25]) == (0.25, 0.25)
    assert bootstrap_interval([1.0] * 50) == (1.0, 1.0)


@pytest.mark.parametrize("wrong", [[], [[0.5]], [0.5, float("nan")], [float("inf")]])
def test_values_that_cannot_be_used_are_refused(wrong: Any) -> None:
    with pytest.raises(InputError):
        bootstrap_interval(wrong)
    with pytest.raises(InputError):
        paired_test(wrong, wrong)


def test_other_queries_are_refused() -> None:
    with pytest.raises(InputError, match="3 values against 2"):
        paired_test([0.1, 0.2, 0.3], [0.1, 0.2])
