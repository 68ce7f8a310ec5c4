"""A training loop with steps, checkpoints and resuming, for any loss.

A subclass computes a step's gradients. The data of a step depend only on its number, so a run that
continues from a checkpoint is identical to an uninterrupted one.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from retrieval.errors import CheckpointError
from retrieval.files.whole import write_whole
from retrieval.train.interruption import interrupted
from retrieval.train.schedule import warmup_stable_decay

M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class Step:
    """A finished step: its number from 1 on, the total, its losses, the time left."""

    step: int
    steps: int
    losses: Mapping[str, float]
    seconds_left: float


class Trainer(ABC, Generic[M]):
    """A model, its optimiser, and the training loop.

    Attributes:
        steps: total optimiser steps.
        device: the model's device.
    """

    def __init__(self, model: M, *, steps: int, rate: float, checkpoint_seconds: float) -> None:
        """Set up the optimiser for the parameters that require gradients.

        Args:
            rate: peak learning rate of AdamW.
            checkpoint_seconds: time between two checkpoints.
        """
        self.model, self.steps = model, steps
        self.device = next(model.parameters()).device
        self._rate, self._checkpoint_seconds = rate, checkpoint_seconds
        self._learnt = [p for p in model.parameters() if p.requires_grad]
        self._optimiser = torch.optim.AdamW(self._learnt, lr=rate, weight_decay=0.01)
        self._step = 0

    @abstractmethod
    def gradients(self, step: int) -> dict[str, float]:
        """Add the gradients of a step's batch, counted from 0; returns its losses by name."""

    def seconds_per_step(self, probes: int = 3) -> float:
        """Measure how long a step takes, discarding the gradients."""
        took = []
        for step in range(probes):
            started = time.monotonic()
            self.gradients(step)
            self._optimiser.zero_grad(set_to_none=True)
            took.append(time.monotonic() - started)
        return float(np.median(took))

    def run(
        self,
        checkpoint: Path,
        *,
        on_step: Callable[[Step], None] | None = None,
    ) -> M:
        """Run all remaining steps, from the checkpoint on if there is one.

        Ctrl-C leaves a checkpoint of the last finished step.

        Raises:
            CheckpointError: the checkpoint is damaged or of another run.
        """
        self._resume(checkpoint)
        self.model.train()
        started, first = time.monotonic(), self._step
        saved = started
        with interrupted() as pressed:
            while self._step < self.steps:
                losses = self._take()
                now = time.monotonic()
                left = self.steps - self._step
                if on_step is not None:
                    pace = (now - started) / (self._step - first)
                    on_step(Step(self._step, self.steps, losses, pace * left))
                if pressed() or now - saved >= self._checkpoint_seconds or not left:
                    self._save(checkpoint)
                    saved = now
                if pressed():
                    raise KeyboardInterrupt
        return self.model.eval()

    def _take(self) -> dict[str, float]:
        """Run one step; returns its losses."""
        factor = warmup_stable_decay(self._step / self.steps, warmup=0.1, decay=0.5)
        for group in self._optimiser.param_groups:
            group["lr"] = self._rate * factor
        losses = self.gradients(self._step)
        torch.nn.utils.clip_grad_norm_(self._learnt, 1.0)
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        self._step += 1
        return losses

    def _save(self, path: Path) -> None:
        """Write the state to another file and rename it: a killed run keeps the previous one."""
        from safetensors.torch import save

        tensors = {f"model.{name}": t for name, t in self.model.state_dict().items()}
        for number, own in self._optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{number}.{name}": t for name, t in own.items()}
        plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        write_whole(path, save(plain, metadata={"step": str(self._step)}))

    def _resume(self, path: Path) -> None:
        from safetensors import SafetensorError, safe_open

        if not path.exists():
            return
        try:
            with safe_open(path, "pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                step = int(file.metadata()["step"])
            self.model.load_state_dict(
                {
                    name.removeprefix("model."): tensor
                    for name, tensor in tensors.items()
                    if name.startswith("model.")
                }
            )
            state: dict[int, dict[str, Tensor]] = {}
            for name, tensor in tensors.items():
                if name.startswith("optimiser."):
                    _, number, key = name.split(".")
                    state.setdefault(int(number), {})[key] = tensor
            groups = self._optimiser.state_dict()["param_groups"]
            self._optimiser.load_state_dict({"state": state, "param_groups": groups})
        except (SafetensorError, RuntimeError, KeyError, ValueError, OSError) as wrong:
            raise CheckpointError(
                f"{path} does not fit this run ({str(wrong).splitlines()[0]}): expected a "
                "checkpoint of the same model; remove it, or choose another folder"
            ) from None
        self._step = step
