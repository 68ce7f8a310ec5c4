"""The merge policy: few segments, few rewrites, nothing forgotten."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from retrieval.index.writing.merge_policy import (
    FAN_IN,
    SMALLEST,
    Candidate,
    plan,
    to_join,
    to_promote,
)


def test_few_segments_stay() -> None:
    assert plan([]) == []
    assert plan([Candidate(str(n), 10, 10) for n in range(FAN_IN)]) == []


def test_one_more_and_they_become_one() -> None:
    names = [str(n) for n in range(FAN_IN + 1)]
    assert plan([Candidate(name, 10, 10) for name in names]) == [names]


def test_a_large_segment_is_not_rewritten_for_small_ones() -> None:
    small = [Candidate(f"s{n}", 10, 10) for n in range(FAN_IN + 1)]
    large = Candidate("large", SMALLEST * 100, SMALLEST * 100)
    assert plan([large, *small]) == [[segment.name for segment in small]]


def test_the_dead_are_dropped_once_they_are_the_most() -> None:
    segments = [Candidate("half", 10, 5), Candidate("most", 10, 4), Candidate("all", 10, 0)]
    assert plan(segments) == [["most"], ["all"]]


def test_exact_and_compressed_do_not_mix() -> None:
    exact = [Candidate(f"e{n}", 10, 10) for n in range(FAN_IN)]
    compressed = [Candidate(f"c{n}", 10, 10, exact=False) for n in range(FAN_IN)]
    mixed = [segment for pair in zip(exact, compressed, strict=True) for segment in pair]
    assert plan(mixed) == []
    one = Candidate("one", 10, 10, exact=False)
    assert plan([*mixed, one]) == [[segment.name for segment in [*compressed, one]]]
    dead = Candidate("dead", 10, 4, exact=False)
    assert plan([*exact, dead]) == [["dead"]]


def test_exact_segments_are_promoted_together_once_they_hold_too_many() -> None:
    exact = [Candidate("a", 10, 4), Candidate("b", 10, 10), Candidate("c", 3, 0)]
    compressed = Candidate("large", 1000, 1000, exact=False)
    assert to_promote([*exact, compressed], 14) == []
    assert to_promote([exact[0], compressed, *exact[1:]], 13) == ["a", "b", "c"]
    assert to_promote([compressed], 0) == []
    assert to_promote([Candidate("dead", 10, 0)], 0) == []
    assert to_promote([], 0) == []


def test_what_one_call_leaves_becomes_one_segment() -> None:
    made = [Candidate(str(n), 4000, 4000, exact=False) for n in range(5)]
    assert to_join(made, 20_000) == [[segment.name for segment in made]]
    large = Candidate("large", 90_000, 90_000, exact=False)
    assert to_join([large, *made], 20_000) == [[segment.name for segment in made]]
    assert to_join([large, *made], SMALLEST - 1) == []
    assert to_join([large], 100_000) == []


@given(
    st.lists(st.tuples(st.integers(0, SMALLEST * 50), st.booleans()), max_size=60),
    st.integers(SMALLEST, SMALLEST * 200),
)
def test_at_most_twice_what_came_is_joined(sizes: list[tuple[int, bool]], brought: int) -> None:
    segments = [Candidate(str(n), size, size, exact=exact) for n, (size, exact) in enumerate(sizes)]
    by_name = {segment.name: segment for segment in segments}
    joined = [[by_name[name] for name in group] for group in to_join(segments, brought)]
    for group in joined:
        assert len(group) > 1
        assert len({segment.exact for segment in group}) == 1
        assert sum(segment.alive for segment in group) <= 2 * brought
        largest = max(segment.alive for segment in group)
        left = [s for s in segments if s.exact is group[0].exact and s not in group]
        assert all(segment.alive >= largest for segment in left)


@given(
    st.lists(st.tuples(st.integers(0, SMALLEST * 50), st.booleans()), max_size=60),
    st.integers(0, 3),
)
def test_groups_do_not_overlap(sizes: list[tuple[int, bool]], dead: int) -> None:
    segments = [
        Candidate(str(n), size + dead, size, exact) for n, (size, exact) in enumerate(sizes)
    ]
    exact = {segment.name for segment in segments if segment.exact}
    groups = plan(segments)
    names = [name for group in groups for name in group]
    assert len(set(names)) == len(names)
    assert set(names) <= {segment.name for segment in segments}
    assert all(set(group) <= exact or exact.isdisjoint(group) for group in groups)


def test_segments_and_rewrites_stay_logarithmic() -> None:
    commits, each = 3000, 100
    sizes: dict[str, int] = {}
    rewritten = 0
    for commit in range(commits):
        sizes[f"c{commit}"] = each
        for group in plan([Candidate(name, size, size) for name, size in sizes.items()]):
            merged = sum(sizes.pop(name) for name in group)
            sizes[f"m{commit} {group[0]}"] = merged
            rewritten += merged
    levels = 3 + math.ceil(math.log(commits * each / SMALLEST, FAN_IN))
    assert sum(sizes.values()) == commits * each
    assert len(sizes) <= levels * FAN_IN
    assert rewritten <= 2 * levels * commits * each
