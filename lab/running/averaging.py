"""The mean of a model's weights before and after further training.

It restores what was learnt before and partly forgotten, and keeps most of what is new (Wortsman et
al., "Model soups", 2022; "Robust fine-tuning of zero-shot models", 2022).
"""

from __future__ import annotations

import torch

from retrieval.errors import CheckpointError
from retrieval.train.student import Student


@torch.no_grad()
def average(student: Student, before: Student, share: float) -> None:
    """Move the student's weights towards those before training, in place.

    Args:
        student: the trained model, of whose weights `share` is kept.
        before: the model that its training started from.
        share: from 0 to 1.

    Raises:
        CheckpointError: the two differ in shape.
    """
    old = dict(before.named_parameters())
    for name, weight in student.named_parameters():
        if name not in old or old[name].shape != weight.shape:
            found = "missing" if name not in old else tuple(old[name].shape)
            raise CheckpointError(
                f"{name} is {found} in the model before, expected {tuple(weight.shape)}: "
                "average a model with the one that its training began from"
            )
        weight.mul_(share).add_(old[name].to(weight), alpha=1 - share)
