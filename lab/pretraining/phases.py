"""The phases of a pretraining run: what is read, how much at a time, at which learning rate.

ModernBERT (Warner et al., 2024, "Training Settings") read 1.7 trillion tokens in texts of
up to 1,024 with a RoPE theta of 10,000 in all layers, the batch growing over the first 3 % and the
learning rate warming up over the first 0.2 %; then 250 billion in texts of up to 8,192 with a theta
of 160,000 in global layers, at 3/8 of the rate and with as many tokens a step; then 50 billion more
while the rate decays to nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from retrieval.encoders.model.modernbert import ModernBert, Rotary
from retrieval.errors import InputError
from retrieval.train.schedule import warmup_stable_decay


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of a run with settings of its own.

    Attributes:
        name: for the log.
        tokens: of text to read.
        max_tokens: of one sequence, special tokens included.
        batch_tokens: of one step.
        global_theta: the base of the rotation in global layers; local layers keep theirs.
        rate: factor on the peak learning rate.
        warmup: share of the phase over which the rate rises from 0.
        decay: share of the phase, at its end, over which the rate falls to 0.
        first_batch_tokens: of the first step; None is `batch_tokens`.
        growth: share of the phase over which the batch grows to `batch_tokens`.
    """

    name: str
    tokens: int
    max_tokens: int
    batch_tokens: int
    global_theta: float
    rate: float = 1.0
    warmup: float = 0.0
    decay: float = 0.0
    first_batch_tokens: int | None = None
    growth: float = 0.0

    def __post_init__(self) -> None:
        counts = (self.tokens, self.max_tokens, self.batch_tokens, self.first_batch_tokens or 1)
        if min(counts) < 1 or self.global_theta <= 1 or self.rate <= 0:
            raise InputError(
                f"phase {self.name}: a number of tokens below 1, a theta that is not above 1 or a "
                "rate that is not above 0"
            )
        if min(self.warmup, self.decay, self.growth) < 0 or self.warmup + self.decay > 1:
            raise InputError(
                f"phase {self.name}: a warm-up of {self.warmup}, a decay of {self.decay} and a "
                f"growth of {self.growth}, expected shares of the phase that do not overlap"
            )

    def rate_at(self, seen: int) -> float:
        """The factor on the peak learning rate after `seen` tokens of this phase."""
        progress = seen / self.tokens
        return self.rate * warmup_stable_decay(progress, warmup=self.warmup, decay=self.decay)

    def batch_at(self, seen: int) -> float:
        """Tokens of the step that begins after `seen` tokens of this phase."""
        if self.first_batch_tokens is None or self.growth == 0.0:
            return float(self.batch_tokens)
        progress = seen / (self.growth * self.tokens)
        return growing_batch(progress, self.first_batch_tokens, self.batch_tokens)


def modernbert_phases(
    tokens: int,
    batch_tokens: int,
    *,
    short: int = 1024,
    long: int = 8192,
    theta: float = 160_000.0,
) -> tuple[Phase, Phase, Phase]:
    """ModernBERT's three phases in its own proportions: 85 % short, 12.5 % long, 2.5 % decay.

    The batch grows from a sixth, as that of ModernBERT-base did (768 to 4,608 sequences). The
    warm-up of the rate takes 2 % rather than 0.2 % of the first phase: of 1.7 trillion tokens a
    little is 3 billion, of the runs that this is for it would be a few steps.

    Args:
        tokens: of the whole run.
        batch_tokens: of one step, once the batch has grown; the same in all phases.
        short: tokens of the longest sequence in the first phase; `long` in the others.
        theta: of the global layers once texts are long; 10,000 before.
    """
    extension, decay = round(0.125 * tokens), round(0.025 * tokens)
    return (
        Phase(
            "short", tokens - extension - decay, short, batch_tokens, 10_000.0, warmup=0.02,
            first_batch_tokens=max(batch_tokens // 6, 1), growth=0.03,
        ),
        Phase("long", extension, long, batch_tokens, theta, rate=0.375),
        Phase("decay", decay, long, batch_tokens, theta, rate=0.375, decay=1.0),
    )  # fmt: skip


def enter_phase(trunk: ModernBert, phase: Phase) -> None:
    """Give the trunk the phase's theta, and its longest text so far for its configuration.

    Positions are rotated by computed angles, so that no weight changes.
    """
    config = dataclasses.replace(
        trunk.config, global_theta=phase.global_theta, max_positions=phase.max_tokens
    )
    trunk.config = config
    trunk.rotary["global"] = Rotary(config.global_theta, config.head_dim)


def check_phases(phases: Sequence[Phase], pack_tokens: int) -> None:
    """Check that a run can consist of these phases.

    Raises:
        InputError: there is none, or one has sequences that fit no pack.
    """
    if not phases:
        raise InputError("a run of no phases, expected one or more")
    for phase in phases:
        if phase.max_tokens > pack_tokens:
            raise InputError(
                f"phase {phase.name}: texts of up to {phase.max_tokens} tokens do not fit packs "
                f"of {pack_tokens}; make the packs larger or the texts shorter"
            )


def growing_batch(progress: float, first: float, last: float) -> float:
    """Tokens of a step after a share `progress` (0 to 1) of the tokens of the growth.

    The batch grows by as much with each step, as ModernBERT's does, which spends the same number
    of steps at each size. Tokens seen are the sum of the batches, so the batch's square grows
    linearly with them.
    """
    if progress >= 1.0:
        return last
    square = first**2 + (last**2 - first**2) * progress
    return float(square**0.5)
