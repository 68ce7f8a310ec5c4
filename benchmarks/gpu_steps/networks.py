"""Whole trunks on the device against the same weights in float32 on the CPU."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from gpu_steps.models import ids, trunk
from gpu_steps.reporting import Run, Skip
from retrieval.encoders.model import fused
from retrieval.encoders.model.attention import BACK_ENDS, Call, Layout, forced
from retrieval.encoders.model.modernbert import ModernBert

Way = dict[str, str | bool]
WAYS: list[Way] = [{"attention": name, "fused": one} for name in BACK_ENDS for one in (False, True)]
"""How a trunk is computed: by which back end of attention, and whether by our fused kernels."""

LEAST = {torch.float32: 0.9999, torch.float16: 0.999, torch.bfloat16: 0.98}
"""The lowest cosine that a token's hidden vector may have with the exact one."""


def right(run: Run) -> None:
    """Each shape and precision in each way that takes it."""
    lengths = list(run.sizes.lengths)
    for name, config in run.sizes.models.items():
        given, layout = ids(lengths), Layout.of(lengths)
        with torch.inference_mode():
            expected = trunk(config)(given, layout).float()
        for dtype in LEAST:
            model = copy.deepcopy(trunk(config)).to(run.device, dtype)
            for way in WAYS:
                run.row(
                    {"shape": name, "dtype": str(dtype), **way},
                    partial(_one, run, model, lengths, given, expected, way),
                )
        trunk.cache_clear()


def _one(
    run: Run,
    model: ModernBert,
    lengths: list[int],
    given: torch.Tensor,
    expected: torch.Tensor,
    way: Way,
) -> dict[str, Any]:
    dtype = next(model.parameters()).dtype
    with torch.inference_mode(), by(run, way, dtype):
        made = model(given.to(run.device), Layout.of(lengths, run.device)).float().cpu()
    cosines = torch.cosine_similarity(made, expected, dim=-1)
    least, allowed = float(cosines.min()), LEAST[dtype]
    return {
        "least_cosine": round(least, 6),
        "mean_cosine": round(float(cosines.mean()), 6),
        "allowed": allowed,
        "ok": least >= allowed and bool(torch.isfinite(made).all()),
    }


@contextmanager
def by(run: Run, way: Way, dtype: torch.dtype, *, gradient: bool = False) -> Iterator[None]:
    """Our networks computed that way in that precision; `Skip` where they cannot be."""
    name, asked = str(way["attention"]), os.environ.get(fused.ASKED)
    obstacle = BACK_ENDS[name].obstacle(Call(run.device, dtype, gradient=gradient))
    if obstacle is not None:
        raise Skip(obstacle)
    os.environ[fused.ASKED] = "1" if way["fused"] else "0"
    try:
        with torch.set_grad_enabled(gradient):
            obstacle = fused.obstacle(run.device) if way["fused"] else None
        if obstacle is not None:
            raise Skip(obstacle)
        with forced(name):
            yield
    finally:
        os.environ.pop(fused.ASKED)
        if asked is not None:
            os.environ[fused.ASKED] = asked
