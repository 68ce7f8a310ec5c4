"""Each parameter is updated by one optimiser, at its own rate."""

from __future__ import annotations

import pytest
import torch

from lab.running.optimisers import (
    OptimiserSettings,
    optimisers,
    peak_rates,
    set_rates,
    update,
)

from . import pretraining_samples as samples


@pytest.mark.parametrize("muon", [1e-2, None])
@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("embedding", [0.0, 0.5])
@pytest.mark.parametrize("tied", [True, False])
def test_each_parameter_has_one_optimiser(
    muon: float | None, decay: float, embedding: float, tied: bool
) -> None:
    model = samples.model(tied=tied)
    settings = OptimiserSettings(muon=muon, embedding=embedding, weight_decay=decay)
    made = optimisers(model, model.trunk, settings)
    groups = [group for optimiser in made for group in optimiser.param_groups]
    held = [parameter for group in groups for parameter in group["params"]]
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert sorted(map(id, held)) == sorted(map(id, learning))
    table = model.trunk.embeddings.tok_embeddings.weight
    assert table.requires_grad == (embedding > 0)
    for group in groups:
        matrices = [parameter.ndim == 2 for parameter in group["params"]]
        if decay:
            assert all(matrices) == (group["weight_decay"] == decay)
    if muon is not None:
        assert {id(p) for p in made[0].param_groups[0]["params"]} == {
            id(p) for p in model.trunk.layers.parameters() if p.ndim == 2
        }


def test_rates_follow_their_peaks() -> None:
    model = samples.model()
    made = optimisers(model, model.trunk, OptimiserSettings(adam=0.1, muon=0.4, embedding=0.5))
    peaks = peak_rates(made)
    assert peaks == [[0.4], [0.1, 0.05]]
    set_rates(made, peaks, 0.5)
    set_rates(made, peaks, 0.1)
    assert peak_rates(made) == [[pytest.approx(0.04)], [pytest.approx(0.01), pytest.approx(0.005)]]


def test_a_gradient_is_clipped_and_forgotten() -> None:
    weight = torch.nn.Parameter(torch.zeros(2))
    weight.grad = torch.tensor([3.0, 4.0])
    norm = update([torch.optim.SGD([weight], lr=1.0)], [weight], 1.0)
    assert norm == pytest.approx(5.0)
    torch.testing.assert_close(weight.detach(), torch.tensor([-0.6, -0.8]))
    assert weight.grad is None
