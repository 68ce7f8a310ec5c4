"""Muon for the matrices of a trunk's layers and AdamW for all else, or AdamW alone.

Muon (Jordan et al., 2024) makes each update orthogonal; its rate is scaled so that updates are as
large as AdamW's (Liu et al., "Muon is Scalable for LLM Training", 2025). ModernBERT itself was
trained with StableAdamW: AdamW whose updates are clipped tensor by tensor. Here the gradient is
clipped by its norm instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from retrieval.encoders.model.modernbert import ModernBert


@dataclass(frozen=True, slots=True)
class OptimiserSettings:
    """Peak learning rates and other settings of the optimisers.

    Attributes:
        adam: peak rate of AdamW.
        muon: peak rate of Muon, for the layers' matrices; None leaves them to AdamW.
        embedding: factor on `adam` for the embedding table; 0 freezes the table.
        betas: AdamW's.
        epsilon: AdamW's.
        weight_decay: of matrices; norms and biases never decay.
    """

    adam: float = 1.5e-3
    muon: float | None = 1e-2
    embedding: float = 1.0
    betas: tuple[float, float] = (0.9, 0.98)
    epsilon: float = 1e-8
    weight_decay: float = 0.0


def optimisers(model: nn.Module, trunk: ModernBert, settings: OptimiserSettings) -> list[Optimizer]:
    """The optimisers of a model's parameters, each parameter in exactly one.

    Args:
        model: holds the trunk, and perhaps heads.
    """
    table = trunk.embeddings.tok_embeddings.weight
    table.requires_grad_(settings.embedding > 0)
    matrices = [p for p in trunk.layers.parameters() if p.ndim == 2]
    by_muon = matrices if settings.muon is not None else []
    grouped = {id(p) for p in by_muon} | {id(table)}
    rest = [p for p in model.parameters() if id(p) not in grouped and p.requires_grad]
    decay = settings.weight_decay
    groups: list[dict[str, Any]] = [{"params": rest, "lr": settings.adam}]
    if decay > 0:
        groups = [
            {"params": [p for p in rest if p.ndim >= 2], "lr": settings.adam},
            {"params": [p for p in rest if p.ndim < 2], "lr": settings.adam, "weight_decay": 0.0},
        ]
    if settings.embedding > 0:
        groups.append({"params": [table], "lr": settings.adam * settings.embedding})
    adam = torch.optim.AdamW(groups, betas=settings.betas, eps=settings.epsilon, weight_decay=decay)
    if settings.muon is None:
        return [adam]
    muon = torch.optim.Muon(
        matrices, lr=settings.muon, weight_decay=decay, adjust_lr_fn="match_rms_adamw"
    )
    return [muon, adam]


def peak_rates(optimiser_list: Sequence[Optimizer]) -> list[list[float]]:
    """The learning rates of new optimisers, by optimiser and group."""
    return [
        [float(group["lr"]) for group in optimiser.param_groups] for optimiser in optimiser_list
    ]


def set_rates(
    optimiser_list: Sequence[Optimizer], peaks: Sequence[Sequence[float]], factor: float
) -> None:
    """Set every group's learning rate to its peak times a factor."""
    for optimiser, rates in zip(optimiser_list, peaks, strict=True):
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * factor


def update(optimiser_list: Sequence[Optimizer], parameters: Sequence[Tensor], clip: float) -> float:
    """Clip the gradients to a norm of `clip`, take a step, and reset the gradients.

    Returns:
        The norm before clipping.
    """
    norm = torch.nn.utils.clip_grad_norm_(parameters, clip)
    for optimiser in optimiser_list:
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    return float(norm)
