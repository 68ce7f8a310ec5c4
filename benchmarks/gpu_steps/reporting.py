"""How a step reports its rows: lines of JSON from a worker to `benchmarks/gpu.py`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gpu_steps.sizes import DRY, REAL, Sizes

GPU_LOST = 3
"""Exit code of a worker whose GPU context was destroyed: the process cannot run another step."""

# CUDA errors after which every further call in the process fails.
_FATAL_ERRORS = (
    "illegal memory access",
    "device-side assert",
    "misaligned address",
    "illegal instruction",
    "unspecified launch failure",
    "invalid program counter",
    "hardware stack error",
)


class GpuLost(Exception):  # noqa: N818
    """This process can no longer use its GPU."""


class Skip(Exception):  # noqa: N818
    """Something that a measurement needs is missing; the message says what."""


@dataclass(frozen=True, slots=True)
class Run:
    """The context of a step.

    Attributes:
        device: where it measures.
        sizes: how much it measures.
        dry: whether this is a dry run, with tiny sizes on a CPU.
        report: takes one row.
    """

    device: torch.device
    sizes: Sizes
    dry: bool
    report: Callable[[dict[str, Any]], None]

    @property
    def on_gpu(self) -> bool:
        """Whether the device is a GPU."""
        return self.device.type == "cuda"

    def row(self, facts: dict[str, Any], measure: Callable[[], dict[str, Any]]) -> bool:
        """Report the facts with what `measure` returns, or why it failed; False on an error."""
        try:
            self.report(facts | measure())
        except Skip as reason:
            self.report(facts | {"left_out": str(reason)})
        except Exception as error:  # whatever a library raises: the other rows go on
            self.free()
            message = one_line(error)
            if _is_fatal(message):
                raise GpuLost(message) from error
            self.report(facts | {"error": message})
            return False
        self.free()
        return True

    def free(self) -> None:
        """Release cached memory of the device for the next row."""
        if self.on_gpu:
            torch.cuda.empty_cache()


Step = Callable[[Run], None]


def run_steps(
    steps: Mapping[str, Step], *, dry: bool, report: Callable[[dict[str, Any]], None]
) -> int:
    """Run the steps in this process, reporting each row and each step's end; the exit code."""
    device = torch.device("cpu" if dry or not torch.cuda.is_available() else "cuda")
    if device.type == "cpu" and not dry:
        for name in steps:
            report({"step": name, "error": "torch sees no GPU; --dry runs on a CPU", "seconds": 0})
        return 0
    torch.manual_seed(0)
    for name, step in steps.items():
        started = time.monotonic()

        def row(facts: dict[str, Any], name: str = name) -> None:
            report({"step": name, "row": facts})

        outcome: dict[str, Any] = {}
        gpu_lost = False
        try:
            step(Run(device, DRY if dry else REAL, dry, row))
        except Skip as reason:
            outcome = {"error": f"left out: {reason}"}
        except Exception as error:  # whatever a library raises: the other steps go on
            outcome = {"error": one_line(error)}
            gpu_lost = isinstance(error, GpuLost) or _is_fatal(outcome["error"])
        report({"step": name, "seconds": round(time.monotonic() - started, 1)} | outcome)
        if gpu_lost:
            return GPU_LOST
    return 0


def _is_fatal(message: str) -> bool:
    return any(error in message for error in _FATAL_ERRORS)


def one_line(error: BaseException) -> str:
    """An error with its innermost source line, on a single line."""
    message = " ".join(str(error).split()) or "no reason given"
    place, trace = "", error.__traceback__
    while trace is not None:
        place = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(error).__name__}: {message[:400]} ({place})"


def format_row(row: dict[str, Any]) -> str:
    """A row for the terminal."""
    return "  ".join(f"{name}={value}" for name, value in row.items())
