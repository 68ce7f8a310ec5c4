"""What hinders the package's own GPU kernels, which are written in Triton.

They stand in two rooms, `encoders.gpu` and `indexes.gpu`, whose modules import triton when they are
imported: ask here first. Triton's interpreter runs them on a CPU where TRITON_INTERPRET=1 was set
before, very slowly: that is how they are tested.
"""

from __future__ import annotations

import functools
import importlib.util
import os

HEAD_DIMS = (16, 32, 64, 128)
"""Dimensions of an attention head that the encoder's kernels are written for."""


def triton_obstacle(device: str) -> str | None:
    """Why Triton's kernels cannot run on tensors of a device of that type; None if they can.

    Args:
        device: "cuda", "cpu" and so on.
    """
    if not _installed():
        return "triton is not installed"
    if device == "cuda" or (device == "cpu" and os.environ.get("TRITON_INTERPRET") == "1"):
        return None
    return f"runs on a GPU, not on {device}"


@functools.cache
def _installed() -> bool:
    return importlib.util.find_spec("triton") is not None
