"""Upper limits of a device: by its data sheet, and as the simplest programs reach them.

The roofline model of Williams et al. (2009): no faster than its arithmetic, nor than its memory.
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
from gpu_steps.timing import time_calls
from retrieval.encoders.model.config import ModernBertConfig


@dataclass(frozen=True, slots=True)
class Limits:
    """Peak rates of a device by its data sheet, without sparsity.

    Attributes:
        half: FLOP/s of matrix products in bfloat16 and float16.
        single: FLOP/s in float32, without tensor cores.
        int8: operations per second of matrix products in int8.
        memory: bytes per second.
    """

    half: float
    single: float
    int8: float
    memory: float


# By words of the device's name in torch; the first match counts.
LIMITS_BY_DEVICE = {
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


def of_device(run: Run) -> Limits | None:
    """The device's limits; None where they are not known."""
    if not run.on_gpu:
        return None
    name = torch.cuda.get_device_name(run.device)
    matching = (
        limits for known, limits in LIMITS_BY_DEVICE.items() if re.search(rf"\b{known}\b", name)
    )
    return next(matching, None)


def of_limit(rate: float, limit: float | None) -> dict[str, Any]:
    """A rate's limit, and the fraction of it that was reached."""
    if limit is None:
        return {"limit": None, "of_limit": None}
    return {"limit": round(limit), "of_limit": round(rate / limit, 4)}


def flops(config: ModernBertConfig, lengths: Sequence[int]) -> float:
    """Floating-point operations of the trunk on sequences of these lengths.

    Counts matrix products, and attention between queries and the keys that they see. Norms,
    rotations and activations are left out.
    """
    hidden, tokens = config.hidden_size, sum(lengths)
    layer = 2 * tokens * (4 * hidden * hidden + 3 * hidden * config.intermediate_size)
    pairs = {
        "global": sum(length**2 for length in lengths),
        "local": sum(visible_pairs(length, config.window) for length in lengths),
    }
    return float(sum(layer + 4 * hidden * pairs[kind] for kind in config.layer_kinds))


def visible_pairs(length: int, window: int) -> int:
    """Pairs of a query and a key of one sequence with |q - k| <= window."""
    reach = min(window, length - 1)
    return length * (2 * reach + 1) - reach * (reach + 1)


def least_bytes(config: ModernBertConfig, tokens: int) -> float:
    """Bytes that must pass the memory, at two bytes a number and with all between products fused.

    Those are the weights, and what each product of each layer reads and writes.
    """
    hidden, inner = config.hidden_size, config.intermediate_size
    weights = 4 * hidden * hidden + 3 * hidden * inner
    activations = tokens * (hidden + 3 * hidden + 2 * hidden + hidden + 3 * inner + hidden)
    return 2.0 * config.num_layers * (weights + activations)


def max_tokens_per_s(run: Run, config: ModernBertConfig, lengths: Sequence[int]) -> float | None:
    """Tokens per second that the device's limits allow a trunk in half precision."""
    device_limits = of_device(run)
    if device_limits is None:
        return None
    tokens = sum(lengths)
    return tokens / max(
        flops(config, lengths) / device_limits.half,
        least_bytes(config, tokens) / device_limits.memory,
    )


def measure(run: Run) -> None:
    """Facts of the device, and how near the simplest programs come to its limits."""
    run.row({"what": "device"}, lambda: _device(run))
    device_limits = of_device(run)
    side = run.sizes.matrix
    for dtype, limit in (
        (torch.bfloat16, device_limits and device_limits.half),
        (torch.float16, device_limits and device_limits.half),
        (torch.float32, device_limits and device_limits.single),
    ):
        run.row(
            {"what": f"matrix product {dtype}"}, partial(_matrix_product, run, side, dtype, limit)
        )
    run.row({"what": "copy"}, lambda: _copy(run, side, device_limits and device_limits.memory))


def _device(run: Run) -> dict[str, Any]:
    if not run.on_gpu:
        return {"device": "cpu", "threads": torch.get_num_threads()}
    properties = torch.cuda.get_device_properties(run.device)
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        driver = subprocess.run(command, capture_output=True, text=True, timeout=20).stdout.strip()
    except OSError:
        driver = "nvidia-smi is not there"
    return {
        "device": properties.name,
        "capability": f"{properties.major}.{properties.minor}",
        "multiprocessors": properties.multi_processor_count,
        "memory_gb": round(properties.total_memory / 1e9, 1),
        "driver": driver,
        "cuda": torch.version.cuda,
        "limits": of_device(run) is not None,
    }


def _matrix_product(run: Run, side: int, dtype: torch.dtype, limit: float | None) -> dict[str, Any]:
    a, b = torch.randn(2, side, side, device=run.device).to(dtype)
    timing = time_calls(run, lambda: a @ b, warmup=3)
    rate = 2 * side**3 / timing["best_s"]
    return timing | {"flop_per_s": float(f"{rate:.4g}")} | of_limit(rate, limit)


def _copy(run: Run, side: int, limit: float | None) -> dict[str, Any]:
    a = torch.empty(side * side * 16, dtype=torch.int32, device=run.device)
    b = torch.empty_like(a)
    timing = time_calls(run, lambda: b.copy_(a), warmup=3)
    rate = 2 * a.nbytes / timing["best_s"]
    return timing | {"bytes_per_s": float(f"{rate:.4g}")} | of_limit(rate, limit)
