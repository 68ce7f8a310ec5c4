"""`retrieval status`: what an index holds, and whether it is what was committed."""

from __future__ import annotations

import sys
from pathlib import Path

from retrieval.cli import render
from retrieval.cli.json_output import plain_value, print_json
from retrieval.errors import IndexCorrupted
from retrieval.index import Index, IndexStatus
from retrieval.index.reading.verify import problems as find_problems


def run_status(folder: Path, *, verify: bool, as_json: bool) -> bool:
    """Print what the index at `folder` holds; False if `verify` found something wrong with it."""
    problems = find_problems(folder) if verify else []
    try:
        status = _status(folder)
    except IndexCorrupted:
        if not problems:
            raise
        status = None  # too damaged to open, which the problems explain
    if as_json:
        facts = {} if status is None else plain_value(status)
        print_json(facts | ({"problems": problems} if verify else {}))
        return not problems
    if status is not None:
        sys.stdout.write(render.status(status))
    if problems:
        sys.stdout.write(render.listing("problems:", problems))
    elif verify:
        sys.stdout.write(f"{'verified':<12} every file is what was committed\n")
    return not problems


def _status(folder: Path) -> IndexStatus:
    with Index.open(folder) as index:
        return index.status()
