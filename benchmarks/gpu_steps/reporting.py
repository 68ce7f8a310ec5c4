"""How a step says what it found: rows of JSON, one a line, from a worker to `benchmarks/gpu.py`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gpu_steps.sizes import DRY, REAL, Sizes

SPOILT = 3
"""Exit code of a worker whose GPU took harm in a step: nothing more can be run in that process."""

# What CUDA says from the first fault on, whatever is asked of it.
_STICKY = (
    "illegal memory access",
    "device-side assert",
    "misaligned address",
    "illegal instruction",
    "unspecified launch failure",
    "invalid program counter",
    "hardware stack error",
)


class Spoilt(Exception):  # noqa: N818
    """The process can use its GPU no more."""


class Skip(Exception):  # noqa: N818
    """What is asked for is not here; says what is missing."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a step needs.

    Attributes:
        device: where it measures.
        sizes: how much.
        dry: whether it is but to be seen that it runs.
        tell: takes one row.
    """

    device: torch.device
    sizes: Sizes
    dry: bool
    tell: Callable[[dict[str, Any]], None]

    @property
    def on_gpu(self) -> bool:
        """Whether there is a GPU to be measured."""
        return self.device.type == "cuda"

    def row(self, facts: dict[str, Any], measure: Callable[[], dict[str, Any]]) -> bool:
        """One row: the facts, and what `measure` gives or why it could not; whether it could."""
        try:
            self.tell(facts | measure())
        except Skip as missing:
            self.tell(facts | {"left_out": str(missing)})
        except Exception as error:  # whatever a library raises: the other rows go on
            self.free()
            said = one_line(error)
            if _sticks(said):
                raise Spoilt(said) from error
            self.tell(facts | {"error": said})
            return False
        self.free()
        return True

    def free(self) -> None:
        """Give memory back, so that the next row finds it."""
        if self.on_gpu:
            torch.cuda.empty_cache()


Step = Callable[[Run], None]


def work_through(
    steps: Mapping[str, Step], *, dry: bool, tell: Callable[[dict[str, Any]], None]
) -> int:
    """Run the steps in this process and tell each row, and each step's end; the exit code."""
    device = torch.device("cpu" if dry or not torch.cuda.is_available() else "cuda")
    if device.type == "cpu" and not dry:
        for name in steps:
            tell({"step": name, "error": "torch sees no GPU; --dry runs on a CPU", "seconds": 0})
        return 0
    torch.manual_seed(0)
    for name, step in steps.items():
        began = time.monotonic()

        def row(facts: dict[str, Any], name: str = name) -> None:
            tell({"step": name, "row": facts})

        ended: dict[str, Any] = {}
        spoilt = False
        try:
            step(Run(device, DRY if dry else REAL, dry, row))
        except Skip as missing:
            ended = {"error": f"left out: {missing}"}
        except Exception as error:  # whatever a library raises: the other steps go on
            ended = {"error": one_line(error)}
            spoilt = isinstance(error, Spoilt) or _sticks(ended["error"])
        tell({"step": name, "seconds": round(time.monotonic() - began, 1)} | ended)
        if spoilt:
            return SPOILT
    return 0


def _sticks(said: str) -> bool:
    return any(word in said for word in _STICKY)


def one_line(error: BaseException) -> str:
    """What went wrong, and where, in a line."""
    said = " ".join(str(error).split()) or "no reason given"
    place, trace = "", error.__traceback__
    while trace is not None:
        place = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(error).__name__}: {said[:400]} ({place})"


def as_row(row: dict[str, Any]) -> str:
    """A row to be read on a terminal."""
    return "  ".join(f"{name}={value}" for name, value in row.items())
