"""Fusion against its definitions, written out."""

from __future__ import annotations

import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.errors import InputError
from retrieval.indexes import Fusion, fuse
from retrieval.types import FUSIONS

Run = dict[int, float]
runs_strategy = st.dictionaries(
    st.sampled_from(["lexical", "dense", "late"]),
    st.dictionaries(st.integers(0, 12), st.integers(-40, 40).map(lambda n: n / 4), max_size=10),
    max_size=3,
)


def reference(runs: dict[str, Run], method: str, weights: dict[str, float]) -> Run:
    total = sum(weights[name] for name in runs)
    fused: Run = {}
    for i in {i for run in runs.values() for i in run}:
        fused[i] = 0.0
        for name, run in runs.items():
            if not run:
                continue
            low, high = min(run.values()), max(run.values())
            if method == "rrf":
                better = [j for j in run if run[j] > run.get(i, 0.0)]
                fused[i] += weights[name] / (61 + len(better)) if i in run else 0.0
            elif method == "minmax":
                unit = 1.0 if low == high else (run.get(i, low) - low) / (high - low)
                fused[i] += weights[name] / total * (unit if i in run else 0.0)
            elif low != high:
                spread = statistics.pstdev(run.values())
                mean = statistics.fmean(run.values())
                fused[i] += weights[name] / total * (run.get(i, low) - mean) / spread
    return fused


@given(
    runs_strategy,
    st.sampled_from(FUSIONS),
    st.none() | st.lists(st.sampled_from([0.25, 0.5, 1.0, 3.0]), min_size=3, max_size=3),
)
def test_fuse_is_its_definition(
    runs: dict[str, Run], method: str, shares: list[float] | None
) -> None:
    names = ("lexical", "dense", "late")
    weights = None if shares is None else dict(zip(names, shares, strict=True))
    arrays = {name: (list(run), list(run.values())) for name, run in runs.items()}
    ids, scores = fuse(arrays, method=method, weights=weights)
    expected = reference(runs, method, weights or dict.fromkeys(names, 1.0))
    assert set(ids.tolist()) == set(expected) and len(ids) == len(expected)
    np.testing.assert_allclose(scores, [expected[i] for i in ids.tolist()], atol=1e-12)
    pairs = list(zip((-scores).tolist(), ids.tolist(), strict=True))
    assert pairs == sorted(pairs)

    reversed_runs = {n: (i[::-1], s[::-1]) for n, (i, s) in reversed(arrays.items())}
    again, same = fuse(reversed_runs, method=method, weights=weights)
    assert again.tolist() == ids.tolist() and same.tolist() == scores.tolist()


def test_known_values() -> None:
    runs = {"a": ([4, 2], [9.0, 3.0]), "b": ([2, 7], [0.5, 0.1])}
    ids, scores = fuse(runs)
    assert ids.tolist() == [2, 4, 7]
    np.testing.assert_allclose(scores, [1 / 62 + 1 / 61, 1 / 61, 1 / 62])
    ids, scores = fuse(runs, method="minmax", weights={"a": 1, "b": 3})
    assert ids.tolist() == [2, 4, 7]
    np.testing.assert_allclose(scores, [0.75, 0.25, 0.0])


def test_padding_is_dropped() -> None:
    padded = (np.array([3, 5, -1, 6]), np.array([1.0, 0.5, -np.inf, -np.inf]))
    for method in FUSIONS:
        ids, scores = fuse({"dense": padded}, method=method)
        plain, same = fuse({"dense": ([3, 5], [1.0, 0.5])}, method=method)
        assert ids.tolist() == plain.tolist() == [3, 5]
        assert scores.tolist() == same.tolist()


def test_nothing_to_fuse() -> None:
    for method in FUSIONS:
        assert fuse({}, method=method)[0].tolist() == []
        assert fuse({"a": ([], [])}, method=method)[0].tolist() == []


@pytest.mark.parametrize(
    ("runs", "options", "message"),
    [
        ({}, {"method": "magic"}, "'magic' is unknown; choose from minmax"),
        ({"a": ([1, 1], [0.1, 0.2])}, {}, "twice"),
        ({"a": ([1], [float("nan")])}, {}, "NaN"),
        ({"a": ([1], [float("inf")])}, {}, "infinite"),
        ({"a": ([1, 2], [0.1])}, {}, r"\(2,\)"),
        ({"a": ([1], [0.1])}, {"weights": {"b": 1.0}}, "no weight for run 'a'"),
        ({"a": ([1], [0.1])}, {"weights": {"a": -1.0}}, "at least 0"),
        ({"a": ([1], [0.1])}, {"weights": {"a": 0.0}}, "not all 0"),
        ({"a": ([1], [0.1])}, {"weights": {"a": float("nan")}}, "finite"),
    ],
)
def test_wrong_input(runs: object, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        fuse(runs, **options)  # type: ignore[arg-type]


scored = st.dictionaries(st.integers(0, 30), st.integers(-40, 40).map(lambda n: n / 4), max_size=12)


@given(
    st.fixed_dictionaries({"lexical": scored, "late": scored}),
    st.fixed_dictionaries({"lexical": scored, "late": scored}),
    st.sampled_from(FUSIONS),
)
def test_what_comes_later_is_put_on_the_scale_of_the_candidates(
    first: dict[str, Run], later: dict[str, Run], method: str
) -> None:
    def arrays(runs: dict[str, Run]) -> dict[str, tuple[list[int], list[float]]]:
        return {name: (list(run), list(run.values())) for name, run in runs.items()}

    scale = Fusion(arrays(first), method=method)
    ids, scores = scale.fuse(arrays(first))
    alone = dict(zip(ids.tolist(), scores.tolist(), strict=True))
    every, together = scale.fuse(arrays({name: later[name] | first[name] for name in first}))
    fused = dict(zip(every.tolist(), together.tolist(), strict=True))
    only = {name: {i: s for i, s in run.items() if i not in alone} for name, run in later.items()}
    own, apart = scale.fuse(arrays(only))
    for i, score in zip(own.tolist(), apart.tolist(), strict=True):
        assert fused[i] == score  # a passage's score depends on its own and on the scale alone
    for i, score in alone.items():
        if all((i in first[name]) == (i in first[name] or i in later[name]) for name in first):
            assert fused[i] == score
    higher = {name: {i: s + 1 for i, s in run.items()} for name, run in first.items()}
    again = dict(zip(*(a.tolist() for a in scale.fuse(arrays(higher))), strict=True))
    assert all(again[i] >= score - 1e-12 for i, score in alone.items())  # more is never less
