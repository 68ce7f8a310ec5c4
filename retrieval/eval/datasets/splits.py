"""Which files of a folder make up a split of a collection, and which split is asked for."""

from __future__ import annotations

import re
from pathlib import Path

from retrieval.errors import InputError

SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet")
"""Of files whose rows `rows.rows` reads; the first there is counts."""

# test, test-00000-of-00001, and with a digest: test-00000-of-00001-832c77cf909fcbbc
_SHARD = re.compile(r"^(?P<split>.+?)(?:-\d{5}-of-\d{5}(?:-[0-9a-f]+)?)?$")


def choose(split: str | None, there: list[str], where: Path) -> str:
    """The split that was asked for; without one `test`, or the only one.

    Raises:
        InputError: it is not there; those that are, are named.
    """
    wanted = split or ("test" if "test" in there or len(there) != 1 else there[0])
    if wanted not in there:
        known = ", ".join(sorted(there)) or "none"
        raise InputError(f"{where} has no split {wanted!r}; choose from: {known}")
    return wanted


def named(folder: Path, stem: str) -> Path | None:
    """The file of this name in a folder, with any of the suffixes that can be read, or None."""
    found = (folder / f"{stem}{suffix}" for suffix in SUFFIXES)
    return next((path for path in found if path.is_file()), None)


def shards(folder: Path, suffixes: tuple[str, ...] = SUFFIXES) -> dict[str, list[Path]]:
    """The files of a folder by split, in order: none if there is no such folder.

    The split is the file's name without `-00000-of-00002`, or the name of the folder that it is
    in, as in `test/0000.parquet`. Of a split in several forms the first of `suffixes` counts.
    """
    found: dict[str, dict[str, list[Path]]] = {}
    for path in entries(folder):
        for file in entries(path) if path.is_dir() else [path]:
            suffix = next((end for end in suffixes if file.name.endswith(end)), None)
            if suffix is None or not file.is_file():
                continue
            match = _SHARD.match(file.name.removesuffix(suffix))
            if path.is_dir() or match:
                split = path.name if path.is_dir() or match is None else match["split"]
                found.setdefault(split, {}).setdefault(suffix, []).append(file)
    return {
        split: next(forms[end] for end in suffixes if end in forms)
        for split, forms in found.items()
    }


def entries(folder: Path) -> list[Path]:
    """What is in a folder, in order of name; nothing if it is none or cannot be read."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []
