"""Test collections from what is published: the format is recognised from the files.

A folder in the format of BEIR, MTEB, CoIR, MLDR, LongEmbed, CodeSearchNet, CoSQA, AdvTest or TREC,
or a name that ir-datasets knows.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from retrieval.errors import InputError
from retrieval.eval.datasets.code import (
    is_advtest,
    is_codesearchnet,
    is_cosqa,
    load_advtest,
    load_codesearchnet,
    load_cosqa,
)
from retrieval.eval.datasets.collection import Collection, Documents, Judgement, assemble
from retrieval.eval.datasets.folders import Dataset, is_folder, load_beir, load_folder
from retrieval.eval.datasets.long import is_longembed, is_mldr, load_longembed, load_mldr
from retrieval.eval.datasets.named import load_named
from retrieval.eval.datasets.rows import entries
from retrieval.eval.datasets.trec import is_trec, load_trec, read_run, write_run
from retrieval.eval.datasets.unknown import explain

__all__ = [
    "Collection",
    "Dataset",
    "Documents",
    "Judgement",
    "assemble",
    "load",
    "load_beir",
    "parts",
    "read_run",
    "recognise",
    "write_run",
]

Loader = Callable[[Path, str | None], list[Collection]]

# The narrow formats first: what is also a folder of corpus and queries must be known as its own.
_FORMATS: tuple[tuple[str, Callable[[Path], bool], Loader], ...] = (
    ("LongEmbed", is_longembed, load_longembed),
    ("MLDR", is_mldr, load_mldr),
    ("CoSQA", is_cosqa, load_cosqa),
    ("AdvTest", is_advtest, load_advtest),
    ("CodeSearchNet", is_codesearchnet, load_codesearchnet),
    ("BEIR, MTEB or CoIR", is_folder, load_folder),
    ("TREC", is_trec, load_trec),
)


def load(source: str, split: str | None = None) -> list[Collection]:
    """The collections of a folder, or of a name that ir-datasets knows.

    Args:
        source: a folder of one collection, or of folders of them; else a name.
        split: of the judgements; None is `test`, or the only one there is.

    Raises:
        InputError: nothing is recognised, or the data cannot be used; what is wrong is named.
        MissingDependency: a package is needed for this format.
    """
    folder = Path(source).expanduser()
    if not folder.exists():
        return load_named(source, split)
    if not folder.is_dir():
        raise InputError(f"{source} is a file; give the folder of the collection")
    folder = folder.resolve()
    own = recognise(folder)
    if own is not None:
        return own[1](folder, split)
    inside = [path for path in entries(folder) if _may_be(path)]
    if not inside:
        raise InputError(explain(folder, [name for name, _, _ in _FORMATS], _format_of))
    return [one for path in inside for one in load(str(path), split)]


def parts(source: str) -> list[str]:
    """The folders of collections where the source is a folder over them; else the source alone.

    To load them one by one, so that one that is broken does not lose the others.
    """
    folder = Path(source).expanduser()
    if not folder.is_dir() or _may_be(folder):
        return [source]
    return [str(path) for path in entries(folder.resolve()) if _may_be(path)] or [source]


def recognise(folder: Path) -> tuple[str, Loader] | None:
    """The name of a folder's format and its loader; None if it is in none that is known."""
    if not folder.is_dir():
        return None
    return next(((name, loader) for name, fits, loader in _FORMATS if fits(folder)), None)


def _may_be(folder: Path) -> bool:
    """Whether it is a collection, or so much like one that its files were looked at in vain."""
    try:
        return recognise(folder) is not None
    except InputError:
        return True


def _format_of(folder: Path) -> str | None:
    found = recognise(folder)
    return None if found is None else found[0]
