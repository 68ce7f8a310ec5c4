"""Reads an index until its standard input ends; see `readers`."""

from __future__ import annotations

import select
import sys
from pathlib import Path

from ..index.generations import read_until


def ended() -> bool:
    """Whether the other side has closed the pipe."""
    return bool(select.select([sys.stdin], [], [], 0)[0])


if __name__ == "__main__":
    read_until(Path(sys.argv[1]), ended)
