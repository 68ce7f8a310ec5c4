"""What makers of files share: where the sources are, and how a program is run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parents[1]
FILES, SOURCES = HERE / "files", HERE / "sources"


def run(*command: str | Path, cwd: Path | None = None, stdin: str | None = None) -> str:
    """Run a program; what it prints."""
    done = subprocess.run(
        list(map(str, command)), check=True, capture_output=True, text=True, cwd=cwd, input=stdin
    )
    return done.stdout


def take(made: Path, name: str) -> None:
    """Put a file that a program wrote into the corpus."""
    shutil.copyfile(made, FILES / name)


def rows() -> list[list[str]]:
    """The table of stores."""
    lines = (SOURCES / "stores.txt").read_text().splitlines()
    return [line.split("|") for line in lines]
