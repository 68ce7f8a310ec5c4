"""Whether the package's own GPU kernels, which are written in Triton, can run.

They are in two packages, `encoders.gpu` and `indexes.gpu`, whose modules import triton: call
    `triton_obstacle` before importing them. With TRITON_INTERPRET=1 set beforehand, Triton's
    interpreter runs them on a CPU, very slowly: the tests use it.
"""

from __future__ import annotations

import functools
import importlib.util
import os

HEAD_DIMS = (16, 32, 64, 128)
"""Attention head dimensions that the encoder's kernels support."""


def triton_obstacle(device: str) -> str | None:
    """Why Triton's kernels cannot run on a device of that type; None if they can.

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
