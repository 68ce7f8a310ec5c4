"""The course of the learning rate (warm-up, stable, decay) and of the batch (growth)."""

from __future__ import annotations


def warmup_stable_decay(
    done: float, *, warmup: float = 0.02, decay: float = 0.4, floor: float = 0.0
) -> float:
    """The factor on the peak learning rate when a share `done` (0 to 1) of the run is over.

    Linear from 0 over the first `warmup`, 1 until the last `decay`, then 1 - sqrt(progress) down
    to `floor` (Hägele et al., "Scaling Laws and Compute-Optimal Training Beyond Fixed Training
    Durations", 2024; ModernBERT decays the same way).
    """
    if done < warmup:
        return max(done / warmup, 1e-3)
    if done <= 1.0 - decay or decay <= 0.0:
        return 1.0
    progress = min((done - (1.0 - decay)) / decay, 1.0)
    return float(max(floor, 1.0 - progress**0.5))


def growing_batch(done: float, first: float, last: float) -> float:
    """Tokens of a step when a share `done` (0 to 1) of the tokens of the growth is over.

    The batch grows by as much with each step, as ModernBERT's does, which spends the same number
    of steps at each size. Tokens seen are the sum of the batches, so the batch's square grows
    linearly with them.
    """
    if done >= 1.0:
        return last
    square = first**2 + (last**2 - first**2) * done
    return float(square**0.5)
