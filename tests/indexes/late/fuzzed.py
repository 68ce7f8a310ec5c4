"""Searches damaged segments; see test_damage. Prints how many were refused, how many searched."""

from __future__ import annotations

import random
import shutil
import sys
import warnings
from pathlib import Path

import numpy as np

from retrieval.errors import IndexCorrupted
from retrieval.indexes import LateSearcher, late, open_late

ROUNDS = 50


def damage(rng: random.Random, folder: Path) -> None:
    """Change bytes in one file: some at random, a run of them, or the sign and size of a number."""
    path = rng.choice(sorted(folder.iterdir()))
    data = bytearray(path.read_bytes())
    first = 0 if path.suffix == ".json" or rng.random() < 0.1 else 128
    for _ in range(rng.choice([1, 1, 3, 50])):
        place = rng.randrange(first, len(data))
        size = min(rng.choice([1, 1, 2, 8]), len(data) - place)
        data[place : place + size] = rng.choice(
            [bytes(size), b"\xff" * size, b"\x7f" * size, rng.randbytes(size)]
        )
    path.write_bytes(data)


def search(folder: Path) -> None:
    segment = open_late(folder)
    searcher = LateSearcher([segment])
    rng = np.random.default_rng(0)
    for tokens in (1, 17, 40):
        query = rng.standard_normal((tokens, segment.dim)).astype(np.float32)
        for candidates, exhaustive in ((1, False), (20, False), (512, False), (1, True)):
            searcher.search([query], 10, candidates=candidates, exhaustive=exhaustive)
        searcher.score(query, segment.ids)
        searcher.explain(query, segment.ids[:5])


def main() -> None:
    good, place = map(Path, sys.argv[1:])
    warnings.simplefilter("ignore")  # numbers that are none overflow
    late.narrowing.SCANNED = 0
    rng = random.Random(7)
    refused = searched = 0
    for _ in range(ROUNDS):
        for kind in ("exact", "compressed", "lists"):
            folder = shutil.copytree(good / kind, place / "fuzzed")
            damage(rng, folder)
            try:
                search(folder)
            except IndexCorrupted:
                refused += 1
            else:
                searched += 1
            shutil.rmtree(folder)
    print(refused, searched)


if __name__ == "__main__":
    main()
