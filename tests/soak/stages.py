"""What the stages of the campaign share: trials by number, and a tally of what became of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import retrieval


@dataclass(slots=True)
class Tally:
    """What became of the trials of a stage.

    Attributes:
        trials: how many were run.
        outcomes: how many ended how.
        faults: a line for each that ended as none may, with the number that runs it again.
    """

    trials: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def note(self, outcome: str) -> None:
        self.trials += 1
        self.outcomes[outcome] += 1

    def fault(self, number: int, what: str) -> None:
        self.trials += 1
        self.outcomes["FAULT"] += 1
        self.faults.append(f"trial {number}: {what}")


Run = Callable[[range, Tally, Path], None]
"""Runs the trials of these numbers in a scratch folder; a trial is decided by its number alone."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One kind of trial.

    Attributes:
        name: as on the command line.
        what: for people, what is done and what may come of it.
        target: how many trials make the whole campaign.
        batch: how many are run between two writings of the results.
    """

    name: str
    what: str
    target: int
    batch: int
    run: Run


def python_path() -> str:
    """For a process that imports this package and the tests."""
    import os

    here = Path(__file__).resolve()
    return os.pathsep.join([str(Path(retrieval.__file__).parents[1]), str(here.parents[2])])
