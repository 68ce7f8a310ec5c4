"""A linear probe: fitting the last layer of a head to an unchanged network.

A head that begins from random weights sends large gradients through a network that is already
good, and by the time it has found the frequent labels the rare ones are lost. So its last layer is
fitted first, and the network is trained from there (Kumar et al., "Fine-Tuning can Distort
Pretrained Features and Underperform Out-of-Distribution", 2022).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from retrieval.encoders.model.label_head import LabelNetwork
from retrieval.encoders.packing import pack
from retrieval.train.student import flatten

PENALTY = 1.0
"""L2 penalty: half of it times the squared weights is added, like scikit-learn's 1 / C."""
_ROWS = 16_384
"""Maximum number of texts or tokens to fit the layer to, chosen by the seed."""
_BUDGET = 4096
"""Tokens per batch."""
_STEPS = 300


def fit_last_map(
    network: LabelNetwork,
    texts: Sequence[NDArray[np.int64]],
    targets: Sequence[NDArray[np.int64]],
    *,
    seed: int = 0,
) -> None:
    """Set `network.classifier` to the logistic regression on its inputs.

    Args:
        network: the network, whose other weights stay unchanged.
        texts: i64 [t], token ids of each text.
        targets: i64, the label of each text [1] or of each of its tokens [t], negative for none.
    """
    chosen = _drawn(targets, seed)
    features, labels = _features(
        network, [texts[at] for at in chosen], [targets[at] for at in chosen]
    )
    mean = features.mean(dim=0)
    features = features - mean
    weight = torch.zeros_like(network.classifier.weight, requires_grad=True)
    bias = torch.zeros_like(network.classifier.bias, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=_STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        summed = F.cross_entropy(features @ weight.T + bias, labels, reduction="sum")
        total = (summed + PENALTY / 2 * weight.square().sum()) / len(labels)
        torch.autograd.backward(total)
        return total

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        network.classifier.weight.copy_(weight)
        network.classifier.bias.copy_(bias - weight @ mean)


def _drawn(targets: Sequence[NDArray[np.int64]], seed: int) -> list[int]:
    """Texts in an order chosen by the seed, until they have enough rows."""
    order = np.random.default_rng([seed, len(targets)]).permutation(len(targets))
    rows = np.cumsum([int((targets[at] >= 0).sum()) for at in order.tolist()])
    return order[: int(np.searchsorted(rows, _ROWS)) + 1].tolist()  # type: ignore[no-any-return]


@torch.no_grad()
def _features(
    network: LabelNetwork,
    texts: Sequence[NDArray[np.int64]],
    targets: Sequence[NDArray[np.int64]],
) -> tuple[Tensor, Tensor]:
    """The last layer's inputs for each text or token with a label, f32 [r, h]; labels i64 [r]."""
    device = network.classifier.weight.device
    was_training = network.training
    network.eval()
    rows, labels = [], []
    for places in pack([len(ids) for ids in texts], _BUDGET):
        ids, layout = flatten([texts[at] for at in places.tolist()], device)
        own = torch.from_numpy(np.concatenate([targets[at] for at in places.tolist()])).to(device)
        rows.append(network.features(ids, layout)[own >= 0])
        labels.append(own[own >= 0])
    network.train(was_training)
    return torch.cat(rows), torch.cat(labels)
