"""What a device could do at most: by its data sheet, and by the simplest program on it.

The roofline of Williams et al. (2009): no faster than its arithmetic, nor than its memory.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from gpu_steps.reporting import Run
from gpu_steps.timing import seconds
from retrieval.encoders.model.config import ModernBertConfig


@dataclass(frozen=True, slots=True)
class Limits:
    """Of a device, by its maker's data sheet, without sparsity.

    Attributes:
        half: FLOP/s of matrix products in bfloat16 and float16.
        single: FLOP/s in float32, tensor cores apart.
        int8: operations a second of matrix products in int8.
        memory: bytes a second.
    """

    half: float
    single: float
    int8: float
    memory: float


# By words of what `torch.cuda.get_device_name` gives; the first that it has counts.
KNOWN = {
    "H200 NVL": Limits(835e12, 60e12, 1671e12, 4.8e12),
    "H200": Limits(989e12, 67e12, 1979e12, 4.8e12),
    "H100 NVL": Limits(835e12, 60e12, 1671e12, 3.9e12),
    "H100 PCIe": Limits(756e12, 51e12, 1513e12, 2.0e12),
    "H100": Limits(989e12, 67e12, 1979e12, 3.35e12),
    "A100-SXM4-80GB": Limits(312e12, 19.5e12, 624e12, 2.039e12),
    "A100 80GB PCIe": Limits(312e12, 19.5e12, 624e12, 1.935e12),
    "A100": Limits(312e12, 19.5e12, 624e12, 1.555e12),
    "L40S": Limits(362e12, 91.6e12, 733e12, 0.864e12),
    "L4": Limits(121e12, 30.3e12, 242e12, 0.3e12),
}


def of(run: Run) -> Limits | None:
    """The device's limits; None where they are not known."""
    if not run.on_gpu:
        return None
    name = torch.cuda.get_device_name(run.device)
    found = (limits for known, limits in KNOWN.items() if re.search(rf"\b{known}\b", name))
    return next(found, None)


def share(rate: float, limit: float | None) -> dict[str, Any]:
    """The limit of a rate, and what part of it was reached."""
    if limit is None:
        return {"limit": None, "of_limit": None}
    return {"limit": round(limit), "of_limit": round(rate / limit, 4)}


def flops(config: ModernBertConfig, lengths: Sequence[int]) -> float:
    """Floating-point operations of the trunk on sequences of these lengths.

    Of its matrix products and of attention between queries and the keys that they see; norms,
    rotations and activations are left out.
    """
    hidden, tokens = config.hidden_size, sum(lengths)
    layer = 2 * tokens * (4 * hidden * hidden + 3 * hidden * config.intermediate_size)
    seen = {
        "global": sum(length**2 for length in lengths),
        "local": sum(pairs(length, config.window) for length in lengths),
    }
    return float(sum(layer + 4 * hidden * seen[kind] for kind in config.layer_kinds))


def pairs(length: int, window: int) -> int:
    """Queries and keys of one sequence with |q - k| <= window."""
    reach = min(window, length - 1)
    return length * (2 * reach + 1) - reach * (reach + 1)


def least_bytes(config: ModernBertConfig, tokens: int) -> float:
    """Bytes that must pass the memory once at two bytes a number: weights, and by layer what one
    product reads and writes where everything between two products is fused."""
    hidden, inner = config.hidden_size, config.intermediate_size
    weights = 4 * hidden * hidden + 3 * hidden * inner
    activations = tokens * (hidden + 3 * hidden + 2 * hidden + hidden + 3 * inner + hidden)
    return 2.0 * config.num_layers * (weights + activations)


def encoding(run: Run, config: ModernBertConfig, lengths: Sequence[int]) -> float | None:
    """Tokens a second that the device's limits allow a trunk, in half precision."""
    known = of(run)
    if known is None:
        return None
    tokens = sum(lengths)
    return tokens / max(
        flops(config, lengths) / known.half, least_bytes(config, tokens) / known.memory
    )


def measured(run: Run) -> None:
    """What the device is, and how near the simplest programs come to its limits."""
    run.row({"what": "device"}, lambda: _device(run))
    known = of(run)
    side = run.sizes.matrix
    for dtype, limit in (
        (torch.bfloat16, known and known.half),
        (torch.float16, known and known.half),
        (torch.float32, known and known.single),
    ):
        run.row({"what": f"matrix product {dtype}"}, partial(_product, run, side, dtype, limit))
    run.row({"what": "copy"}, lambda: _copy(run, side, known and known.memory))


def _device(run: Run) -> dict[str, Any]:
    if not run.on_gpu:
        return {"device": "cpu", "threads": torch.get_num_threads()}
    properties = torch.cuda.get_device_properties(run.device)
    asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        driver = subprocess.run(asked, capture_output=True, text=True, timeout=20).stdout.strip()
    except OSError:
        driver = "nvidia-smi is not there"
    return {
        "device": properties.name,
        "capability": f"{properties.major}.{properties.minor}",
        "multiprocessors": properties.multi_processor_count,
        "memory_gb": round(properties.total_memory / 1e9, 1),
        "driver": driver,
        "cuda": torch.version.cuda,
        "limits": of(run) is not None,
    }


def _product(run: Run, side: int, dtype: torch.dtype, limit: float | None) -> dict[str, Any]:
    a, b = torch.randn(2, side, side, device=run.device).to(dtype)
    taken = seconds(run, lambda: a @ b, warm=3)
    rate = 2 * side**3 / taken["best_s"]
    return taken | {"flop_per_s": float(f"{rate:.4g}")} | share(rate, limit)


def _copy(run: Run, side: int, limit: float | None) -> dict[str, Any]:
    a = torch.empty(side * side * 16, dtype=torch.int32, device=run.device)
    b = torch.empty_like(a)
    taken = seconds(run, lambda: b.copy_(a), warm=3)
    rate = 2 * a.nbytes / taken["best_s"]
    return taken | {"bytes_per_s": float(f"{rate:.4g}")} | share(rate, limit)
