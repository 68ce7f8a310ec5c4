"""Phases: their learning rates, batches and thetas."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lab.pretraining.phases import (
    Phase,
    check_phases,
    enter_phase,
    growing_batch,
    modernbert_phases,
)
from retrieval.encoders.model.attention import Layout
from retrieval.errors import InputError

from . import pretraining_samples as samples


def test_the_batch_grows_by_as_much_each_step() -> None:
    whole, seen, batches = 1_000_000.0, 0.0, []
    while seen < whole:
        batches.append(growing_batch(seen / whole, 1000, 6000))
        seen += batches[-1]
    assert batches[0] == 1000
    steps = np.diff(batches)
    # Linear in steps: as many at each size, as ModernBERT's schedule has it.
    assert steps.mean() == pytest.approx(5000 / len(batches), rel=0.02)
    assert steps.std() < 0.05 * steps.mean()
    assert growing_batch(1.0, 1000, 6000) == growing_batch(7.0, 1000, 6000) == 6000


def test_three_phases_as_modernbert_had_them() -> None:
    short, long, decay = modernbert_phases(2_000_000_000, 4_718_592)
    assert [short.tokens, long.tokens, decay.tokens] == [1_700_000_000, 250_000_000, 50_000_000]
    assert [phase.max_tokens for phase in (short, long, decay)] == [1024, 8192, 8192]
    thetas = [phase.global_theta for phase in (short, long, decay)]
    assert thetas == [10_000.0, 160_000.0, 160_000.0]
    assert short.first_batch_tokens == 786_432
    assert {phase.batch_at(phase.tokens // 2) for phase in (short, long, decay)} == {4_718_592.0}
    assert short.rate_at(17_000_000) == pytest.approx(0.5)
    assert short.rate_at(1_600_000_000) == 1.0
    assert long.rate_at(0) == long.rate_at(249_000_000) == 0.375
    assert decay.rate_at(0) == 0.375
    assert decay.rate_at(12_500_000) == pytest.approx(0.375 * 0.5)
    assert decay.rate_at(50_000_000) == 0.0


def test_tokens_of_a_run_are_those_of_its_phases() -> None:
    for tokens in (1000, 12_345, 999_999):
        assert sum(phase.tokens for phase in modernbert_phases(tokens, 512)) == tokens


def test_entering_a_phase_moves_the_global_theta_alone() -> None:
    model = samples.model(initializer_range=0.3).eval()
    ids, layout = torch.arange(5, 55), Layout.of([50])
    with torch.no_grad():
        before = model.trunk(ids, layout)
        enter_phase(model.trunk, samples.PHASES[0])
        moved = model.trunk(ids, layout)
        enter_phase(model.trunk, samples.PHASES[1])
        back = model.trunk(ids, layout)
    assert not torch.allclose(before, moved, atol=1e-4)
    assert torch.equal(before, back)  # the shape's own theta is 160,000
    config = model.trunk.config
    assert (config.global_theta, config.local_theta, config.max_positions) == (160_000, 10_000, 96)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tokens": 0}, "below 1"),
        ({"global_theta": 1.0}, "theta"),
        ({"rate": 0.0}, "rate"),
        ({"warmup": 0.7, "decay": 0.7}, "overlap"),
        ({"growth": -1.0}, "overlap"),
    ],
)
def test_a_phase_that_cannot_be(changes: dict[str, float], message: str) -> None:
    settings = {"tokens": 10, "max_tokens": 8, "batch_tokens": 8, "global_theta": 100.0, **changes}
    with pytest.raises(InputError, match=message):
        Phase("x", **settings)  # type: ignore[arg-type]


def test_phases_that_do_not_fit_their_packs() -> None:
    with pytest.raises(InputError, match="no phases"):
        check_phases([], 10)
    with pytest.raises(InputError, match="phase long: texts of up to 96 tokens do not fit"):
        check_phases(samples.PHASES, 64)
