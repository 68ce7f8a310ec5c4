"""The Triton kernels on the device: each against its reference, then next to what it stands for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from gpu_steps import limits
from gpu_steps.reporting import Run, Skip
from gpu_steps.timing import seconds
from retrieval.encoders.model.modernbert import Rotary, rotate
from retrieval.gpu import triton_obstacle
from retrieval.indexes.kernels import reference
from retrieval.ragged import offsets_of

TOLERANCE = {torch.float32: 1e-5, torch.float16: 1e-2, torch.bfloat16: 8e-2}

Tensors = tuple[torch.Tensor, ...]


def right(run: Run) -> None:
    """Each kernel's largest error: against torch, or against numpy."""
    for dtype in TOLERANCE:
        for name in ("rotate_", "add_norm", "geglu"):
            facts = {"kernel": name, "dtype": str(dtype)}
            run.row(facts, partial(_compared, run, name, dtype))
    lengths = [0, 1, 150, 17, 256, 32, 16, 0, 64, 257, 300]
    for name in ("max_sim", "max_sim_compressed", "centroid_max"):
        run.row({"kernel": name}, partial(_searching, run, name, lengths[: 6 if run.dry else None]))


def speed(run: Run) -> None:
    """Milliseconds of each kernel and of torch's operations, in half precision."""
    for name in ("rotate_", "add_norm", "geglu"):
        run.row({"kernel": name}, partial(_timed, run, name, torch.bfloat16))


def _pair(
    run: Run, name: str, dtype: torch.dtype
) -> tuple[Callable[[], Tensors], Callable[[], Tensors], int]:
    """The kernel, the torch operations that it stands for, and the bytes that must be moved."""
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

        def turned() -> Tensors:
            rotate_(qkv, *angles)
            return (qkv,)

        own = qkv.clone()

        def plain() -> Tensors:
            q, k, v = own.unbind(1)
            return (torch.stack([rotate(q, rotation), rotate(k, rotation), v], 1),)

        return turned, plain, nbytes
    if name == "add_norm":
        x, y, weight = random(tokens, hidden), random(tokens, hidden), random(hidden)

        def normed() -> Tensors:
            total = x + y
            return total, F.layer_norm(total, (hidden,), weight)

        return lambda: add_norm(x, y, weight, None, 1e-5), normed, 4 * x.nbytes
    wide = random(tokens, 3 * hidden)

    def gated() -> Tensors:
        value, gate = wide.chunk(2, dim=-1)
        return (F.gelu(value) * gate,)

    return lambda: (geglu(wide),), gated, wide.nbytes * 3 // 2


@torch.inference_mode()
def _compared(run: Run, name: str, dtype: torch.dtype) -> dict[str, Any]:
    kernel, plain, _ = _pair(run, name, dtype)
    expected = plain()
    made = kernel()
    error = max(
        float((one.float() - other.float()).abs().max())
        for one, other in zip(made, expected, strict=True)
    )
    allowed = TOLERANCE[dtype]
    return {"max_error": float(f"{error:.3g}"), "tolerance": allowed, "ok": error <= allowed}


@torch.inference_mode()
def _timed(run: Run, name: str, dtype: torch.dtype) -> dict[str, Any]:
    kernel, plain, nbytes = _pair(run, name, dtype)
    known = limits.of(run)
    ours, torchs = seconds(run, kernel)["best_s"], seconds(run, plain)["best_s"]
    rate = nbytes / ours
    found = {"ms": 1e3 * ours, "torch_ms": 1e3 * torchs, "bytes_per_s": float(f"{rate:.4g}")}
    return found | limits.share(rate, known and known.memory)


def _searching(run: Run, name: str, lengths: list[int]) -> dict[str, Any]:
    """A kernel of late interaction against numpy's, on the CPU's arrays and the device's."""
    _needs_triton(run)
    random = np.random.default_rng(0)
    offsets, rows = offsets_of(np.array(lengths, np.int64)), np.arange(len(lengths))
    tokens, dim, count = int(offsets[-1]), 96, 300
    codes = random.integers(0, count, tokens).astype(np.uint16)
    if name == "centroid_max":
        from retrieval.indexes.gpu.centroid_max import centroid_max

        table = random.integers(0, 256, (count, 32), dtype=np.uint8)
        whole = np.empty(len(rows), np.int32)
        reference.centroid_max(table, codes, offsets, rows, whole, 0, len(rows))
        made = centroid_max(*_there(run, table, codes, offsets, rows))
        return {"ok": made.tolist() == whole.tolist()}
    query = random.integers(-128, 128, (40, dim), dtype=np.int8)
    factors = random.random(40, dtype=np.float32)
    bounds = np.array([0, 40], np.int64)
    expected = np.empty((1, len(rows)), np.float32)
    if name == "max_sim":
        from retrieval.indexes.gpu.max_sim import max_sim as kernel

        vectors = random.integers(-128, 128, (tokens, dim), dtype=np.int8)
        stored = (vectors, random.random(tokens, dtype=np.float32), offsets, rows, query, factors)
        reference.max_sim(*stored, bounds, expected, 0, len(rows))
    else:
        from retrieval.indexes.gpu.max_sim_compressed import max_sim_compressed as kernel

        stored = (
            codes,
            random.integers(0, 256, (tokens, dim // 2), dtype=np.uint8),
            random.integers(-128, 128, (count, dim), dtype=np.int8),
            random.integers(0, 3, count, dtype=np.uint8),
            random.integers(-128, 128, (3, 16), dtype=np.int8),
            *(offsets, rows, query, factors),
        )
        reference.max_sim_compressed(*stored, expected[0], 0, len(rows))
    made = kernel(*_there(run, *stored, bounds)).cpu().numpy()
    filled = np.isfinite(expected)
    error = np.abs(made[filled] / expected[filled] - 1).max(initial=0.0)
    same = bool((np.isfinite(made) == filled).all())
    return {"max_relative_error": float(f"{error:.3g}"), "ok": same and bool(error <= 3e-7)}


def _there(run: Run, *arrays: np.ndarray) -> list[torch.Tensor]:
    return [torch.from_numpy(array).to(run.device) for array in arrays]


def _needs_triton(run: Run) -> None:
    why = triton_obstacle(run.device.type)
    if why is not None:
        raise Skip(why)
