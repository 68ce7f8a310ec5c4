"""Every benchmark can still be imported: few of them are run by a test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
AS_PACKAGE = {"big_folder", "encodings", "formats", "formats_corpus", "instruction_sets"}
"""Run by `python -m benchmarks.NAME`; the others by their path."""


@pytest.mark.slow
def test_every_benchmark_can_be_imported() -> None:
    folder = ROOT / "benchmarks"
    scripts = {path.stem for path in folder.glob("*.py")}
    steps = {f"{path.parent.name}.{path.stem}" for path in folder.glob("*_steps/*.py")}
    names = [*sorted(scripts - AS_PACKAGE), *sorted(steps)]
    names += [f"benchmarks.{name}" for name in sorted(AS_PACKAGE)]
    program = f"import importlib\nfor name in {names}: importlib.import_module(name)"
    paths = [str(folder), str(ROOT)]
    subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {paths}\n{program}"], check=True
    )
