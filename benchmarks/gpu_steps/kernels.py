"""The Triton kernels on the device: each against its reference, then beside what it replaces."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from gpu_steps import limits
from gpu_steps.reporting import Run, Skip
from gpu_steps.timing import time_calls
from retrieval.encoders.model.modernbert import Rotary, rotate
from retrieval.gpu import triton_obstacle
from retrieval.indexes.kernels import reference
from retrieval.ragged import offsets_of

TOLERANCE = {torch.float32: 1e-5, torch.float16: 1e-2, torch.bfloat16: 8e-2}

Tensors = tuple[torch.Tensor, ...]


def check(run: Run) -> None:
    """The largest error of each kernel, against torch or numpy."""
    for dtype in TOLERANCE:
        for name in ("rotate_", "add_norm", "geglu"):
            facts = {"kernel": name, "dtype": str(dtype)}
            run.row(facts, partial(_elementwise_error, run, name, dtype))
    lengths = [0, 1, 150, 17, 256, 32, 16, 0, 64, 257, 300]
    for name in ("max_sim", "max_sim_compressed", "centroid_max"):
        run.row(
            {"kernel": name},
            partial(_search_kernel_error, run, name, lengths[: 6 if run.dry else None]),
        )


def speed(run: Run) -> None:
    """Milliseconds of each elementwise kernel and of the torch operations it replaces, bfloat16."""
    for name in ("rotate_", "add_norm", "geglu"):
        run.row({"kernel": name}, partial(_elementwise_speed, run, name, torch.bfloat16))


def _kernel_and_reference(
    run: Run, name: str, dtype: torch.dtype
) -> tuple[Callable[[], Tensors], Callable[[], Tensors], int]:
    """A kernel, the torch operations that it replaces, and the bytes that must be moved."""
    _needs_triton(run)
    from retrieval.encoders.gpu.elementwise import add_norm, geglu, rotate_

    tokens, heads = (5, 2) if run.dry else (16_384, 12)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, device=run.device).to(dtype)

    hidden = 64 * heads
    if name == "rotate_":
        qkv = random(tokens, 3, heads, 64)
        rotation = Rotary(160_000.0, 64)(torch.arange(tokens, device=run.device))
        angles = [part.squeeze(1) for part in rotation]
        nbytes = 2 * qkv[:, :2].numel() * qkv.element_size() + 2 * angles[0].nbytes

        def rotate_in_place() -> Tensors:
            rotate_(qkv, *angles)
            return (qkv,)

        copy = qkv.clone()

        def rotate_by_torch() -> Tensors:
            q, k, v = copy.unbind(1)
            return (torch.stack([rotate(q, rotation), rotate(k, rotation), v], 1),)

        return rotate_in_place, rotate_by_torch, nbytes
    if name == "add_norm":
        x, y, weight = random(tokens, hidden), random(tokens, hidden), random(hidden)

        def add_norm_by_torch() -> Tensors:
            total = x + y
            return total, F.layer_norm(total, (hidden,), weight)

        return lambda: add_norm(x, y, weight, None, 1e-5), add_norm_by_torch, 4 * x.nbytes
    wide = random(tokens, 3 * hidden)

    def geglu_by_torch() -> Tensors:
        value, gate = wide.chunk(2, dim=-1)
        return (F.gelu(value) * gate,)

    return lambda: (geglu(wide),), geglu_by_torch, wide.nbytes * 3 // 2


@torch.inference_mode()
def _elementwise_error(run: Run, name: str, dtype: torch.dtype) -> dict[str, Any]:
    """The largest absolute error of an elementwise kernel."""
    kernel, by_torch, _ = _kernel_and_reference(run, name, dtype)
    expected = by_torch()
    actual = kernel()
    error = max(
        float((a.float() - b.float()).abs().max()) for a, b in zip(actual, expected, strict=True)
    )
    tolerance = TOLERANCE[dtype]
    return {"max_error": float(f"{error:.3g}"), "tolerance": tolerance, "ok": error <= tolerance}


@torch.inference_mode()
def _elementwise_speed(run: Run, name: str, dtype: torch.dtype) -> dict[str, Any]:
    """Milliseconds of a kernel and of torch, and the kernel's share of the memory bandwidth."""
    kernel, by_torch, nbytes = _kernel_and_reference(run, name, dtype)
    device_limits = limits.of_device(run)
    kernel_s, torch_s = time_calls(run, kernel)["best_s"], time_calls(run, by_torch)["best_s"]
    rate = nbytes / kernel_s
    row = {"ms": 1e3 * kernel_s, "torch_ms": 1e3 * torch_s, "bytes_per_s": float(f"{rate:.4g}")}
    return row | limits.of_limit(rate, device_limits and device_limits.memory)


def _search_kernel_error(run: Run, name: str, lengths: list[int]) -> dict[str, Any]:
    """The largest relative error of a kernel of late interaction against numpy's."""
    _needs_triton(run)
    rng = np.random.default_rng(0)
    offsets, rows = offsets_of(np.array(lengths, np.int64)), np.arange(len(lengths))
    tokens, dim, centroid_count = int(offsets[-1]), 96, 300
    codes = rng.integers(0, centroid_count, tokens).astype(np.uint16)
    if name == "centroid_max":
        from retrieval.indexes.gpu.centroid_max import centroid_max

        table = rng.integers(0, 256, (centroid_count, 32), dtype=np.uint8)
        expected_max = np.empty(len(rows), np.int32)
        reference.centroid_max(table, codes, offsets, rows, expected_max, 0, len(rows))
        actual = centroid_max(*_to_device(run, table, codes, offsets, rows))
        return {"ok": actual.tolist() == expected_max.tolist()}
    query = rng.integers(-128, 128, (40, dim), dtype=np.int8)
    factors = rng.random(40, dtype=np.float32)
    bounds = np.array([0, 40], np.int64)
    expected = np.empty((1, len(rows)), np.float32)
    if name == "max_sim":
        from retrieval.indexes.gpu.max_sim import max_sim as kernel

        vectors = rng.integers(-128, 128, (tokens, dim), dtype=np.int8)
        stored = (vectors, rng.random(tokens, dtype=np.float32), offsets, rows, query, factors)
        reference.max_sim(*stored, bounds, expected, 0, len(rows))
    else:
        from retrieval.indexes.gpu.max_sim_compressed import max_sim_compressed as kernel

        stored = (
            codes,
            rng.integers(0, 256, (tokens, dim // 2), dtype=np.uint8),
            rng.integers(-128, 128, (centroid_count, dim), dtype=np.int8),
            rng.integers(0, 3, centroid_count, dtype=np.uint8),
            rng.integers(-128, 128, (3, 16), dtype=np.int8),
            *(offsets, rows, query, factors),
        )
        reference.max_sim_compressed(*stored, expected[0], 0, len(rows))
    actual = kernel(*_to_device(run, *stored, bounds)).cpu().numpy()
    finite = np.isfinite(expected)
    error = np.abs(actual[finite] / expected[finite] - 1).max(initial=0.0)
    same_finite = bool((np.isfinite(actual) == finite).all())
    return {"max_relative_error": float(f"{error:.3g}"), "ok": same_finite and bool(error <= 3e-7)}


def _to_device(run: Run, *arrays: np.ndarray) -> list[torch.Tensor]:
    """The arrays as tensors on the device."""
    return [torch.from_numpy(array).to(run.device) for array in arrays]


def _needs_triton(run: Run) -> None:
    obstacle = triton_obstacle(run.device.type)
    if obstacle is not None:
        raise Skip(obstacle)
