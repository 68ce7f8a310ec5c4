"""Random sequences of calls on an index; see `tests/index/test_any_sequence`."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from ..index.test_any_sequence import AnySequence
from .stages import Stage, Tally

STEPS = 50


def run(numbers: range, tally: Tally, scratch: Path) -> None:
    """A trial is one sequence of up to `STEPS` calls; a fault says the shortest that shows it."""
    chosen = settings(
        max_examples=len(numbers),
        stateful_step_count=STEPS,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow],  # other work may make it so
    )
    try:
        run_state_machine_as_test(seed(numbers.start)(AnySequence), settings=chosen)
    except Exception as error:  # a fault is what the stage looks for
        said = "; ".join([str(error), *getattr(error, "__notes__", [])])
        tally.fault(numbers.start, f"one of {len(numbers)} sequences: {said}")
    else:
        tally.trials += len(numbers)
        tally.outcomes["as the dictionary says"] += len(numbers)


STAGE = Stage(
    "sequences",
    f"sequences of up to {STEPS} calls give what a dictionary and exact search give",
    target=400,
    batch=5,
    run=run,
)
