"""Losses over rankings are what their formulas say."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.train.ranking import (
    anchor_loss,
    min_max,
    ranking_contrastive_loss,
    ranking_distillation_loss,
)

numbers = st.floats(-3, 3, width=32)
rows = st.integers(2, 5).flatmap(
    lambda width: st.lists(
        st.tuples(*[st.lists(numbers, min_size=width, max_size=width)] * 2),
        min_size=1,
        max_size=4,
    )
)


def softmax(values: list[float], temperature: float) -> list[float]:
    top = max(values)
    powers = [math.exp((value - top) / temperature) for value in values]
    return [power / math.fsum(powers) for power in powers]


@settings(deadline=None)
@given(rows, st.sampled_from([0.3, 1.0]), st.sampled_from([0.25, 2.0]))
def test_distillation_is_the_divergence_from_the_teacher(
    found: list[tuple[list[float], list[float]]], temperature: float, teacher_temperature: float
) -> None:
    expected = []
    for student, teacher in found:
        q, p = softmax(student, temperature), softmax(teacher, teacher_temperature)
        expected.append(
            math.fsum(a * (math.log(a) - math.log(b)) for a, b in zip(p, q, strict=True))
        )
    loss = ranking_distillation_loss(
        torch.tensor([student for student, _ in found]),
        torch.tensor([teacher for _, teacher in found]),
        temperature=temperature,
        teacher_temperature=teacher_temperature,
    )
    mean = math.fsum(expected) / len(expected)
    assert float(loss) == pytest.approx(mean, rel=1e-3, abs=1e-4)


@settings(deadline=None)
@given(st.integers(0, 1000))
def test_contrast_is_the_cross_entropy_of_the_own_text(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.rand(3, 6, generator=generator)
    allowed = torch.rand(3, 6, generator=generator) > 0.4
    own = torch.tensor([0, 2, 4])
    expected = []
    for row, place in enumerate(own.tolist()):
        counted = [
            float(scores[row, column])
            for column in range(6)
            if column == place or bool(allowed[row, column])
        ]
        total = math.fsum(math.exp(value / 0.1) for value in counted)
        expected.append(math.log(total) - float(scores[row, place]) / 0.1)
    loss = ranking_contrastive_loss(scores, own, allowed, temperature=0.1)
    assert float(loss) == pytest.approx(math.fsum(expected) / 3, rel=1e-4)


def test_what_is_not_allowed_gets_no_gradient() -> None:
    scores = torch.zeros(1, 3, requires_grad=True)
    allowed = torch.tensor([[True, True, False]])
    ranking_contrastive_loss(scores, torch.tensor([0]), allowed, temperature=1.0).backward()
    assert scores.grad is not None
    assert scores.grad[0, 1] > 0 and scores.grad[0, 2] == 0


def test_min_max_goes_from_0_to_1_and_stands_equal_scores() -> None:
    found = min_max(torch.tensor([[3.0, 1.0, 2.0], [5.0, 5.0, 5.0]]))
    assert found.tolist() == [[1.0, 0.0, 0.5], [0.0, 0.0, 0.0]]


def test_the_anchor_is_a_cosine_distance_of_both_heads() -> None:
    one, other = torch.eye(2), torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    assert float(anchor_loss(one, one, one, one)) == 0.0
    assert float(anchor_loss(one, one, other, one)) == pytest.approx(0.5)
    assert float(anchor_loss(one, one, other, other)) == pytest.approx(1.0)
