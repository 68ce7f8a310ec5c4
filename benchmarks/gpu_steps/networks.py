"""Whole trunks on the device against the same weights in float32 on the CPU."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from gpu_steps.models import random_ids, random_trunk
from gpu_steps.reporting import Run, Skip
from retrieval.encoders.model import fused
from retrieval.encoders.model.attention import BACK_ENDS, Call, Layout, forced
from retrieval.encoders.model.modernbert import ModernBert

Configuration = dict[str, str | bool]
CONFIGURATIONS: list[Configuration] = [
    {"attention": name, "fused": one} for name in BACK_ENDS for one in (False, True)
]
"""By which back end of attention a trunk is computed, and whether by our fused kernels."""

MIN_COSINE = {torch.float32: 0.9999, torch.float16: 0.999, torch.bfloat16: 0.98}
"""The lowest cosine allowed between a token's hidden vector and the exact one."""


def check(run: Run) -> None:
    """Each shape and precision in every configuration that supports it."""
    lengths = list(run.sizes.lengths)
    for name, config in run.sizes.models.items():
        token_ids, layout = random_ids(lengths), Layout.of(lengths)
        with torch.inference_mode():
            expected = random_trunk(config)(token_ids, layout).float()
        for dtype in MIN_COSINE:
            model = copy.deepcopy(random_trunk(config)).to(run.device, dtype)
            for configuration in CONFIGURATIONS:
                run.row(
                    {"shape": name, "dtype": str(dtype), **configuration},
                    partial(_cosines, run, model, lengths, token_ids, expected, configuration),
                )
        random_trunk.cache_clear()


def _cosines(
    run: Run,
    model: ModernBert,
    lengths: list[int],
    token_ids: torch.Tensor,
    expected: torch.Tensor,
    configuration: Configuration,
) -> dict[str, Any]:
    """Cosines of a trunk's hidden vectors with the exact ones."""
    dtype = next(model.parameters()).dtype
    with torch.inference_mode(), configured(run, configuration, dtype):
        actual = model(token_ids.to(run.device), Layout.of(lengths, run.device)).float().cpu()
    cosines = torch.cosine_similarity(actual, expected, dim=-1)
    lowest, allowed = float(cosines.min()), MIN_COSINE[dtype]
    return {
        "least_cosine": round(lowest, 6),
        "mean_cosine": round(float(cosines.mean()), 6),
        "allowed": allowed,
        "ok": lowest >= allowed and bool(torch.isfinite(actual).all()),
    }


@contextmanager
def configured(
    run: Run, configuration: Configuration, dtype: torch.dtype, *, gradient: bool = False
) -> Iterator[None]:
    """Compute our networks in a configuration and precision; `Skip` where that is impossible."""
    name, previous = str(configuration["attention"]), os.environ.get(fused.ASKED)
    obstacle = BACK_ENDS[name].obstacle(Call(run.device, dtype, gradient=gradient))
    if obstacle is not None:
        raise Skip(obstacle)
    os.environ[fused.ASKED] = "1" if configuration["fused"] else "0"
    try:
        with torch.set_grad_enabled(gradient):
            obstacle = fused.obstacle(run.device) if configuration["fused"] else None
        if obstacle is not None:
            raise Skip(obstacle)
        with forced(name):
            yield
    finally:
        os.environ.pop(fused.ASKED)
        if previous is not None:
            os.environ[fused.ASKED] = previous
