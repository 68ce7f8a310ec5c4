"""The precision in which a device multiplies fastest."""

from __future__ import annotations

import re
from pathlib import Path

import torch


def computes_in_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies in bfloat16 faster than in float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return re.search(r"\b(avx512_bf16|amx_bf16)\b", flags) is not None


def autocast(device: torch.device) -> torch.autocast:
    """Matrix products in bfloat16 if the device is faster with them."""
    return torch.autocast(device.type, torch.bfloat16, enabled=computes_in_bfloat16(device))
