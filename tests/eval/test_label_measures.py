"""Measures of labels are those of the field: of texts, and of whole entities."""

from __future__ import annotations

import random

import pytest

from retrieval.encoders.words import Entity, entities_of
from retrieval.errors import InputError
from retrieval.eval.labels import accuracy, entity_f1, macro_f1


def test_measures_are_those_of_the_field() -> None:
    given, found = ["a", "a", "b", "c"], ["a", "b", "b", "a"]
    assert accuracy(given, found) == 0.5
    # a: P 1/2, R 1/2; b: P 1/2, R 1; c: 0.
    assert macro_f1(given, found) == pytest.approx((0.5 + 2 / 3 + 0) / 3)
    sklearn = pytest.importorskip("sklearn.metrics")
    wanted = sklearn.f1_score(given, found, average="macro", zero_division=0)
    assert macro_f1(given, found) == pytest.approx(wanted)
    with pytest.raises(InputError, match="2 texts have labels and 1 were found"):
        accuracy(["a", "b"], ["a"])


def test_entity_f1_is_seqevals_on_random_tags() -> None:
    seqeval = pytest.importorskip("seqeval.metrics", reason="held to seqeval where it is installed")
    drawn = random.Random(3)
    tags = ["O", "B-X", "I-X", "B-Y", "I-Y"]
    given = [drawn.choices(tags, k=12) for _ in range(200)]
    found = [drawn.choices(tags, k=12) for _ in range(200)]
    spans = [(at, at + 1) for at in range(12)]
    ours = entity_f1(*([entities_of(spans, one) for one in side] for side in (given, found)))
    assert ours["f1"] == pytest.approx(seqeval.f1_score(given, found))
    assert ours["precision"] == pytest.approx(seqeval.precision_score(given, found))
    assert ours["recall"] == pytest.approx(seqeval.recall_score(given, found))


def test_entity_f1_counts_whole_entities() -> None:
    given = [[Entity(0, 2, "X"), Entity(3, 4, "Y")], []]
    found = [[Entity(0, 2, "X"), Entity(3, 5, "Y")], [Entity(0, 1, "X")]]
    assert entity_f1(given, found) == {
        "precision": pytest.approx(1 / 3),
        "recall": 0.5,
        "f1": pytest.approx(0.4),
    }
    assert entity_f1([[]], [[]]) == {"precision": 0.0, "recall": 0.0, "f1": 0.0}
