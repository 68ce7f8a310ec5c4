"""Weights between two models of one shape, and none between two of different shapes."""

from __future__ import annotations

import pytest
import torch

from lab.running.averaging import average
from retrieval.encoders.model.config import ModernBertConfig
from retrieval.errors import CheckpointError
from retrieval.train.student import Student


def _student(seed: int, layers: int = 2) -> Student:
    config = ModernBertConfig(
        vocab_size=30,
        hidden_size=16,
        intermediate_size=24,
        num_layers=layers,
        num_heads=2,
        layer_kinds=("global",) * layers,
    )
    student = Student(config, dense_dim=16, tokens=8)
    student.initialise(seed)
    return student


def test_every_weight_lies_between() -> None:
    before, after = _student(0), _student(1)
    old = {name: weight.clone() for name, weight in before.named_parameters()}
    new = {name: weight.clone() for name, weight in after.named_parameters()}
    average(after, before, 0.25)
    for name, weight in after.named_parameters():
        torch.testing.assert_close(weight, 0.25 * new[name] + 0.75 * old[name])
    for name, weight in before.named_parameters():
        assert torch.equal(weight, old[name])


def test_other_shapes_are_refused() -> None:
    with pytest.raises(CheckpointError, match="missing in the model before"):
        average(_student(0, layers=3), _student(0), 0.5)
