"""The weighted mean of models of one shape: often better than each, where they were close.

    python -m lab.recipes.mean --out FOLDER MODEL=SHARE MODEL=SHARE...

Shares are relative: `a=1 b=1` is the plain mean. The tokenizer, the settings and the query token
weights are the first model's. Models are read as they are stored: the mean of rounded ones is
rounded once more.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from lab.recipes.command import run_recipe
from lab.running.averaging import average
from retrieval.errors import InputError
from retrieval.train.student import Student, export_like


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and write the mean; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", metavar="MODEL=SHARE", help="a folder and its share")
    parser.add_argument("--out", type=Path, required=True, help="a new folder")
    args = parser.parse_args(arguments)
    return run_recipe(lambda: write_mean(args.out, [read_share(text) for text in args.models]))


def read_share(text: str) -> tuple[Path, float]:
    """`MODEL=SHARE` as a folder and a number above 0.

    Raises:
        InputError: it is something else.
    """
    folder, _, number = text.rpartition("=")
    try:
        share = float(number)
    except ValueError:
        share = math.nan
    if not folder or not 0 < share < math.inf:
        raise InputError(f"{text!r} is not a model and its share; give one such as models/a=0.5")
    return Path(folder), share


def write_mean(out: Path, models: Sequence[tuple[Path, float]]) -> None:
    """Write the model folder of the mean.

    Raises:
        CheckpointError: a model cannot be read, or they differ in shape.
        InputError: `out` exists already.
    """
    if out.exists():
        raise InputError(f"{out} is there already; give a new folder")
    (first, total), *others = models
    mean = Student.from_folder(first)
    for folder, share in others:
        average(mean, Student.from_folder(folder), total / (total + share))
        total += share
    export_like(out, mean, first)


if __name__ == "__main__":
    sys.exit(main())
