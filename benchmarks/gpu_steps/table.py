"""The steps in order of their value: when time runs out, the last ones are missing."""

from __future__ import annotations

from collections.abc import Callable

from gpu_steps import (
    attention,
    encoding,
    kernels,
    limits,
    memory,
    networks,
    peers,
    search,
    training,
)
from gpu_steps.reporting import Run

STEP_LIMIT_S = 150.0
"""Seconds after which a step is stopped."""

STEPS: dict[str, Callable[[Run], None]] = {
    "limits": limits.measure,
    "attention": attention.check,
    "kernels": kernels.check,
    "networks": networks.check,
    "encoding": encoding.short,
    "peers": peers.short,
    "memory": memory.measure,
    "long": encoding.long,
    "long_peers": peers.long,
    "profile": encoding.profile,
    "embedded": encoding.embedded,
    "large": encoding.large,
    "max_sim": search.max_sim,
    "dense": search.dense,
    "training": training.base,
    "recipe": training.recipe,
    "kernel_speed": kernels.speed,
}
