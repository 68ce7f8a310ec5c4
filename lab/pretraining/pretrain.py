"""Pretraining: masked language modelling over packed text, phase by phase.

The same run on one process or several, on CPU or GPU: a step's packs are numbered, rank r of n
works on packs r, r + n, and so on, and gradients are summed. Nothing is drawn from a generator that
lives on: the order of the text is decided by seed, phase and epoch, what is masked in a pack by
seed, step and the pack's number. So a checkpoint holds no generator's state, and a run that is
killed and started again, on as many processes or not, repeats the run that was not, to the rounding
of floats.

In the run's folder are `state.pt`, written every few minutes, and `log.jsonl`, one line a step.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.optim import Optimizer

from lab.pretraining.masking import MaskedLM, Masking, masked_lm_loss
from lab.pretraining.packing import Packer, PackerState
from lab.pretraining.phases import Phase, check_phases, enter_phase
from lab.running.checkpoint import load_state, save_state
from lab.running.distributed import Ranks
from lab.running.optimisers import (
    OptimiserSettings,
    optimisers,
    peak_rates,
    set_rates,
    update,
)
from lab.text.tokens import Documents
from retrieval.encoders.model.attention import Layout
from retrieval.errors import CheckpointError, EncoderError
from retrieval.files.whole import write_whole

LOG_FILE = "log.jsonl"

Figures = dict[str, Any]
Log = Callable[[Figures], None]


@dataclass(frozen=True, slots=True)
class PretrainConfig:
    """How a run goes.

    Attributes:
        phases: one after the other.
        pack_tokens: of one forward pass; what memory allows. A step is as many as make up its
            tokens.
        optimiser: peak learning rates and the like; a phase has a factor on the rates.
        clip: largest norm of a step's gradient.
        checkpoint_seconds: time between two checkpoints.
    """

    phases: tuple[Phase, ...]
    pack_tokens: int = 8192
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    clip: float = 1.0
    seed: int = 0
    checkpoint_seconds: float = 300.0


@dataclass(frozen=True, slots=True)
class Text:
    """What is learnt from.

    Attributes:
        ends: the ids of [CLS] and [SEP].
    """

    documents: Documents
    masking: Masking
    ends: tuple[int, int]


@dataclass(slots=True)
class _Position:
    """Where a run is: `seen` tokens into the phase, `tokens` and `step` steps in all."""

    step: int = 0
    tokens: int = 0
    phase: int = 0
    seen: int = 0


def pretrain(
    model: MaskedLM,
    text: Text,
    config: PretrainConfig,
    folder: Path,
    *,
    ranks: Ranks | None = None,
    log: Log | None = None,
    deadline: float | None = None,
) -> bool:
    """Train the model, or go on training it from the checkpoint in `folder`.

    Args:
        model: on the device of `ranks`, the same on every rank. Its weights are used only if the
            folder has no checkpoint. It is trained in place.
        ranks: the processes that train together; this one alone if None.
        log: called on the leading rank with each step's figures, as in `log.jsonl`.
        deadline: `time.monotonic()` at which to stop with a checkpoint; the leading rank's counts.

    Returns:
        Whether all phases are done.

    Raises:
        InputError: the phases or the text cannot be used.
        CheckpointError: the folder holds the state of another run, or a damaged one.
        EncoderError: the loss is no number any more.
    """
    check_phases(config.phases, config.pack_tokens)
    folder.mkdir(parents=True, exist_ok=True)
    run = _Run(model, text, config, folder, ranks or Ranks(), deadline)
    packer_state = run.resume()
    model.train()
    with run.open_log() as file:
        for index in range(run.position.phase, len(config.phases)):
            if index > run.position.phase:
                run.position.phase, run.position.seen, packer_state = index, 0, None
            packer = run.packer(packer_state)
            while run.position.seen < config.phases[index].tokens:
                stop = run.step(packer, file, log)
                run.save(packer, now=stop)
                if stop:
                    model.eval()
                    return False
        run.save(packer, now=True)
    run.ranks.wait()
    model.eval()
    return True


class _Run:
    """The state of one run on one process."""

    def __init__(
        self,
        model: MaskedLM,
        text: Text,
        config: PretrainConfig,
        folder: Path,
        ranks: Ranks,
        deadline: float | None,
    ) -> None:
        self.model, self.text, self.config, self.folder = model, text, config, folder
        self.ranks, self.deadline = ranks, deadline
        self.optimisers: list[Optimizer] = optimisers(model, model.trunk, config.optimiser)
        self.peaks = peak_rates(self.optimisers)
        self.parameters: list[Tensor] = [p for p in model.parameters() if p.requires_grad]
        self.position = _Position()
        self.saved = time.monotonic()

    @property
    def phase(self) -> Phase:
        """The phase that the run is in."""
        return self.config.phases[self.position.phase]

    def settings(self) -> Figures:
        """What decides the course of the run, as plain values."""
        course = asdict(self.config)
        del course["checkpoint_seconds"]
        masking = self.text.masking
        return course | {
            "text": self.text.documents.digest,
            "masking": [masking.share, masking.masked, masking.random],
            "tied": self.model.tied,
            "shape": {name: list(p.shape) for name, p in self.model.state_dict().items()},
        }

    def resume(self) -> PackerState | None:
        """Load the folder's checkpoint, if there is one; the state of its packer."""
        state = load_state(self.folder, self.settings())
        if state is None:
            return None
        try:
            self.model.load_state_dict(state["model"])
            for optimiser, optimiser_state in zip(
                self.optimisers, state["optimisers"], strict=True
            ):
                optimiser.load_state_dict(optimiser_state)
            self.position = _Position(**state["position"])
            epoch, taken, waiting = state["place"]
            return PackerState(epoch, taken, tuple(waiting))
        except (RuntimeError, KeyError, ValueError, TypeError) as error:
            raise CheckpointError(
                f"{self.folder} does not hold the state of this run "
                f"({(str(error).splitlines() or [repr(error)])[0]}): choose another folder"
            ) from None

    def packer(self, packer_state: PackerState | None) -> Packer:
        """Enter the current phase; its packer."""
        enter_phase(self.model.trunk, self.phase)
        return Packer(
            self.text.documents,
            self.phase.max_tokens,
            self.config.pack_tokens,
            ends=self.text.ends,
            seed=(self.config.seed, 0, self.position.phase),
            state=packer_state,
        )

    def open_log(self) -> TextIO:
        """The log, cut back to the checkpoint; on other ranks than the first, nothing."""
        if not self.ranks.leads:
            return Path(os.devnull).open("w", encoding="utf-8")
        path = self.folder / LOG_FILE
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        kept_lines = [line for line in lines if _step_of(line) <= self.position.step]
        write_whole(path, "".join(f"{line}\n" for line in kept_lines))
        return path.open("a", encoding="utf-8", buffering=1)

    def step(self, packer: Packer, file: TextIO, log: Log | None) -> bool:
        """One update of the weights; whether it is time to stop."""
        started = time.monotonic()
        position, phase, config = self.position, self.phase, self.config
        factor = phase.rate_at(position.seen)
        count = max(1, round(phase.batch_at(position.seen) / config.pack_tokens))
        # Every rank plans the whole step, so that all packers stay in the same state.
        plans = [packer.plan() for _ in range(count)]
        late = self.deadline is not None and started >= self.deadline
        sums = torch.zeros(4, dtype=torch.float64, device=self.ranks.device)
        sums[3] = float(late and self.ranks.leads)
        for number in range(self.ranks.rank, count, self.ranks.count):
            sums[:3] += self._pack(packer, plans[number], number)
        loss, predicted, tokens, stop = self.ranks.sum(sums).tolist()
        loss /= max(predicted, 1.0)
        if not math.isfinite(loss):
            raise EncoderError(
                f"the loss is {loss} at step {position.step + 1}: lower the learning rate and "
                "start again; the last checkpoint is whole"
            )
        self.ranks.sum_gradients(self.parameters)
        for parameter in self.parameters:
            if parameter.grad is not None:
                parameter.grad /= max(predicted, 1.0)
        set_rates(self.optimisers, self.peaks, factor)
        norm = update(self.optimisers, self.parameters, config.clip)
        position.step += 1
        position.seen += int(tokens)
        position.tokens += int(tokens)
        figures: Figures = {
            "step": position.step,
            "phase": phase.name,
            "seen": position.tokens,
            "tokens": int(tokens),
            "loss": loss,
            "rate": factor,
            "norm": norm,
            "fill": tokens / (count * config.pack_tokens),
            "tokens_per_s": tokens / (time.monotonic() - started),
        }
        file.write(json.dumps(figures) + "\n")
        if log is not None and self.ranks.leads:
            log(figures)
        return bool(stop)

    def _pack(self, packer: Packer, plan: NDArray[np.int64], number: int) -> Tensor:
        """Backpropagate one pack's summed loss; f64 [3]: the loss, predicted tokens, tokens."""
        device = self.ranks.device
        pack = packer.fetch(plan)
        rng = np.random.default_rng([self.config.seed, 1, self.position.step, number])
        masked = self.text.masking(pack.ids, rng)
        ids, positions, targets = (
            torch.from_numpy(array).to(device)
            for array in (masked.ids, masked.positions, masked.targets)
        )
        with torch.autocast(device.type, dtype=torch.bfloat16):
            logits = self.model(ids, Layout.of(pack.lengths, device), positions)
        loss = masked_lm_loss(logits, targets)
        torch.autograd.backward(loss)
        counts = torch.tensor([0.0, len(targets), len(pack.ids)], dtype=torch.float64)
        counts[0] = loss.detach().double()
        return counts.to(device)

    def save(self, packer: Packer, *, now: bool) -> None:
        """Write a checkpoint if one is due, or now."""
        due = time.monotonic() - self.saved >= self.config.checkpoint_seconds
        if not self.ranks.leads or not (now or due):
            return
        packer_state = packer.state
        state = {
            "model": self.model.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "position": asdict(self.position),
            "place": [packer_state.epoch, packer_state.taken, list(packer_state.waiting)],
        }
        save_state(self.folder, self.settings(), state)
        self.saved = time.monotonic()


def _step_of(line: str) -> float:
    """The step of a line of the log; infinite if the line is incomplete."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf
