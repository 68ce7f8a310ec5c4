"""Whether a trunk's pass runs in the fused kernels of `retrieval.encoders.gpu`."""

from __future__ import annotations

import os

import torch

from retrieval.gpu import HEAD_DIMS, triton_obstacle

ASKED = "RETRIEVAL_FUSED"
"""The environment variable that asks for them, by 1: nobody has measured them on a GPU yet."""


def obstacle(device: torch.device, *, head_dim: int = 64, activation: str = "gelu") -> str | None:
    """Why a trunk of that shape on that device does not run in them; None if it does."""
    if os.environ.get(ASKED) != "1":
        return f"not measured on a GPU yet; {ASKED}=1 uses them"
    if torch.is_grad_enabled():
        return "they compute no gradient"
    if torch.is_autocast_enabled(device.type):
        return "they take one precision throughout, not autocast"
    if activation != "gelu":
        return f"they know gelu, not {activation}"
    if head_dim not in HEAD_DIMS:
        return f"heads of {head_dim} dimensions, expected one of {HEAD_DIMS}"
    return triton_obstacle(device.type)
