"""A larger model begun from a smaller one."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from lab.pretraining.masking import MaskedLM
from lab.pretraining.tiling import around_the_middle, layer_sources, tile
from retrieval.encoders.model.attention import Layout
from retrieval.encoders.model.config import ModernBertConfig
from retrieval.errors import InputError

from . import pretraining_samples as samples

SMALL = dataclasses.replace(
    samples.SHAPE, num_layers=4, layer_kinds=("global", "local", "local", "global")
)
LARGER = {"hidden_size": 48, "num_heads": 3, "intermediate_size": 60}


def shape(**changes: object) -> ModernBertConfig:
    layers = changes.get("num_layers", 4)
    kinds = tuple("local" if i % 3 else "global" for i in range(int(str(layers))))
    return dataclasses.replace(SMALL, layer_kinds=kinds, **changes)  # type: ignore[arg-type]


def small(*, tied: bool = True) -> MaskedLM:
    """A model with random norms and biases, and weights far from small, so that mistakes show."""
    model = MaskedLM(SMALL, tied=tied).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(1 + 0.2 * noise if "norm" in name else 0.2 * noise)
    return model


def logits(model: MaskedLM) -> Tensor:
    ids = torch.randint(5, 60, (70,), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        found: Tensor = model.eval()(ids, Layout.of([20, 50]), torch.arange(70))
    return found


@pytest.mark.parametrize("tied", [True, False])
def test_all_widths_doubled_the_model_says_the_same(tied: bool) -> None:
    model = small(tied=tied)
    wide = tile(
        model, shape(hidden_size=64, num_heads=4, intermediate_size=96), noise=0.0, preserve=True
    )
    torch.testing.assert_close(logits(wide), logits(model), atol=2e-4, rtol=1e-3)


def test_all_widths_grown_by_a_part_the_model_stays_near() -> None:
    model = small()
    wide = tile(model, shape(**LARGER), noise=0.0, preserve=True)
    assert wide.trunk.layers[3].attn.Wqkv.weight.shape == (144, 48)  # type: ignore[union-attr]
    before, after = logits(model), logits(wide)
    likeness = torch.cosine_similarity(before.flatten(), after.flatten(), dim=0)
    assert float(likeness) > 0.9
    assert float(after.std() / before.std()) == pytest.approx(1.0, abs=0.15)


def test_every_weight_of_the_small_model_is_there() -> None:
    model = small()
    large = tile(model, shape(num_layers=9, **LARGER), noise=0.0)
    sources = layer_sources(4, 9)
    ones = 0
    for name, tensor in large.named_weights().items():
        parts = name.split(".")
        if parts[1] == "layers":
            parts[2] = str(sources[int(parts[2])])
        given = model.named_weights().get(".".join(parts))
        if given is None:
            assert parts[2:] == ["0", "attn_norm", "weight"] and (tensor == 1).all()
            ones += 1
            continue
        assert torch.isin(given, tensor).all() and torch.isin(tensor, given).all(), name
    assert ones == 1  # the second layer is begun from the first, too


def test_the_residual_stream_keeps_its_scale() -> None:
    model = small()
    large = tile(model, shape(num_layers=7, **LARGER), noise=0.01, preserve=True)
    ids, layout = torch.arange(5, 55), Layout.of([50])
    sizes = []
    for trunk in (model.trunk, large.trunk):
        states: list[Tensor] = []
        with torch.no_grad():
            trunk(ids, layout, states=states)
        sizes.append([float(state.square().mean().sqrt()) for state in states])
    assert sizes[1][0] == pytest.approx(sizes[0][0], rel=0.2)
    # Each layer is there up to twice, and adds to the stream as often.
    assert sizes[0][-1] / 2 < sizes[1][-1] < 2.5 * sizes[0][-1]


def test_noise_sets_copies_apart_and_is_decided_by_its_seed() -> None:
    model = small()
    wide = shape(hidden_size=64, num_heads=4, intermediate_size=96)
    exact = tile(model, wide, noise=0.0).trunk.embeddings.tok_embeddings.weight.detach()
    assert torch.equal(exact[:, 0], exact[:, 32])
    noisy = tile(model, wide, seed=1)
    table = noisy.trunk.embeddings.tok_embeddings.weight.detach()
    assert not torch.equal(table[:, 0], table[:, 32])
    assert float((table - exact).std() / exact.std()) == pytest.approx(0.1, rel=0.1)
    again, other = (tile(model, wide, seed=seed).state_dict() for seed in (1, 2))
    for name, tensor in noisy.state_dict().items():
        assert torch.equal(tensor, again[name])
        assert tensor.ndim == 1 or not torch.equal(tensor, other[name])


def test_the_middle_stays_and_the_margins_go_on_round_the_edges() -> None:
    assert around_the_middle(3, 8).tolist() == [1, 2, 0, 1, 2, 0, 1, 2]
    assert around_the_middle(4, 6).tolist() == [3, 0, 1, 2, 3, 0]
    assert around_the_middle(5, 5).tolist() == [0, 1, 2, 3, 4]
    base_to_large = around_the_middle(768, 1024)
    assert base_to_large[128 : 128 + 768].tolist() == list(range(768))


@pytest.mark.parametrize(("few", "many"), [(1, 9), (2, 8), (4, 7), (22, 28), (5, 5), (3, 100)])
def test_layers_keep_their_order_and_none_is_left_out(few: int, many: int) -> None:
    sources = layer_sources(few, many)
    assert sources == sorted(sources) and set(sources) == set(range(few))
    assert len(sources) == many


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vocab_size": 61}, "vocab_size is 60 in the smaller model and 61"),
        ({"num_heads": 4}, "head_dim is 16 in the smaller model and 8"),
        ({"hidden_size": 16, "num_heads": 1}, "nothing smaller"),
        ({"intermediate_size": 8}, "nothing smaller"),
        ({"num_layers": 2}, "num_layers is 4 in the smaller model and 2"),
        ({"norm_bias": True}, "norm_bias"),
    ],
)
def test_shapes_that_cannot_be_reached(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        tile(small(), shape(**changes))
