"""The learning rate schedule: warm-up, stable, decay."""

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
