"""Tiny models and texts for the tests of pretraining, the same in every process."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lab.pretraining.masking import MaskedLM, Masking
from lab.pretraining.phases import Phase
from lab.pretraining.pretrain import PretrainConfig, Text, pretrain
from lab.running.distributed import join_ranks
from lab.running.optimisers import OptimiserSettings
from lab.text.tokens import Documents
from retrieval.encoders.model.config import ModernBertConfig

PAD, UNK, CLS, SEP, MASK = range(5)
VOCABULARY = 60
SHAPE = ModernBertConfig(
    vocab_size=VOCABULARY,
    hidden_size=32,
    intermediate_size=48,
    num_layers=2,
    num_heads=2,
    layer_kinds=("global", "local"),
    window=8,
)
PHASES = (
    Phase("short", 1500, 24, 256, 10_000.0, warmup=0.2, first_batch_tokens=64, growth=0.5),
    Phase("long", 800, 96, 256, 160_000.0, rate=0.5),
    Phase("decay", 500, 96, 256, 160_000.0, rate=0.5, decay=1.0),
)
CONFIG = PretrainConfig(PHASES, pack_tokens=96, checkpoint_seconds=1e9)


def model(seed: int = 0, *, tied: bool = True, **changes: Any) -> MaskedLM:
    made = MaskedLM(dataclasses.replace(SHAPE, **changes), tied=tied)
    made.initialise(seed)
    return made


def documents(texts: int = 40, longest: int = 150) -> Documents:
    """Texts that count upwards, so that what is hidden can be guessed from its neighbours."""
    rng = np.random.default_rng(7)
    lengths = rng.integers(1, longest, texts)
    starts = rng.integers(0, VOCABULARY, texts)
    rows = [
        5 + (start + np.arange(n)) % (VOCABULARY - 5)
        for start, n in zip(starts, lengths, strict=True)
    ]
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    return Documents(np.concatenate(rows).astype(np.uint16), offsets, "tiny")


def text(given: Documents | None = None) -> Text:
    masking = Masking(MASK, [PAD, UNK, CLS, SEP], VOCABULARY)
    return Text(given or documents(), masking, (CLS, SEP))


def main() -> None:
    """Run to the end in a folder, with a checkpoint at each step, telling each step.

    With "gradients" as a second argument take one step at a rate of nearly nothing instead; what
    the optimiser was given is left in the folder.
    """
    folder = Path(sys.argv[1])
    torch.set_num_threads(1)
    with join_ranks("cpu") as own:
        if sys.argv[2:] == ["gradients"]:
            torch.save(first_gradients(folder / f"rank{own.rank}", own), folder / f"g{own.rank}.pt")
            return
        config = dataclasses.replace(CONFIG, checkpoint_seconds=0.0)
        pretrain(
            model(),
            text(),
            config,
            folder,
            ranks=own,
            log=lambda figures: print(figures["step"], flush=True),
        )


def first_gradients(folder: Path, own: Any = None) -> dict[str, torch.Tensor]:
    """The gradients of a run's first step, which begins with full batches: 256 tokens, 3 packs."""
    phase = Phase("one", 200, 96, 288, 10_000.0)
    # AdamW's first moment after one step is the gradient times 1 - beta.
    settings = OptimiserSettings(muon=None, betas=(0.5, 0.5))
    config = PretrainConfig((phase,), 96, settings, clip=1e9, checkpoint_seconds=1e9)
    trained = model()
    folder.mkdir(parents=True)
    pretrain(trained, text(), config, folder, ranks=own)
    if own is not None and not own.leads:
        return {}
    state = torch.load(folder / "state.pt", weights_only=True)
    assert state["position"]["step"] == 1
    moments = state["optimisers"][0]["state"]
    return {str(number): 2 * moment["exp_avg"] for number, moment in moments.items()}


if __name__ == "__main__":
    main()
