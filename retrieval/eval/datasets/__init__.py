"""Test collections from what is published: the format is recognised from the files.

A folder in the format of BEIR, MTEB, CoIR, MLDR, LongEmbed, CodeSearchNet, CoSQA, AdvTest or TREC,
a name that ir-datasets knows, or `mteb:` and a task's or a benchmark's.
"""

from __future__ import annotations

from pathlib import Path

from retrieval.errors import InputError, RetrievalError
from retrieval.eval.datasets.beir import Dataset, load_beir
from retrieval.eval.datasets.collection import Collection, Documents, Judgement, assemble
from retrieval.eval.datasets.format import Format
from retrieval.eval.datasets.formats import FORMATS
from retrieval.eval.datasets.from_ir_datasets import load_by_name
from retrieval.eval.datasets.from_mteb import is_mteb, load_task, tasks_in
from retrieval.eval.datasets.run_files import read_run, write_run
from retrieval.eval.datasets.splits import entries
from retrieval.eval.datasets.unrecognised import explain

__all__ = [
    "Collection",
    "Dataset",
    "Documents",
    "Format",
    "Judgement",
    "assemble",
    "collections_in",
    "load",
    "load_beir",
    "read_run",
    "recognise",
    "write_run",
]


def load(source: str, split: str | None = None) -> list[Collection]:
    """The collections of a folder, or of a name that ir-datasets or MTEB knows.

    Args:
        source: a folder of one collection, or of folders of them; else a name.
        split: of the judgements; None is `test`, or the only one there is, or of a task of MTEB all
            that it is measured on.

    Raises:
        InputError: nothing is recognised, or the data cannot be used; what is wrong is named.
        MissingDependency: a package is needed for this format.
    """
    if is_mteb(source):
        return [one for task in tasks_in(source) for one in load_task(task, split)]
    folder = Path(source).expanduser()
    if not folder.exists():
        return load_by_name(source, split)
    if not folder.is_dir():
        raise InputError(f"{source} is a file; give the folder of the collection")
    folder = folder.resolve()
    own = recognise(folder)
    if own is not None:
        return own.load(folder, split)
    inside = [path for path in entries(folder) if _may_be(path)]
    if not inside:
        raise InputError(explain(folder, FORMATS))
    return [one for path in inside for one in load(str(path), split)]


def collections_in(source: str) -> list[str]:
    """The folders of collections, or a benchmark's tasks, where the source is of several; else it.

    To load them one by one, so that one that is broken does not lose the others.
    """
    if is_mteb(source):
        try:
            return tasks_in(source)
        except RetrievalError:  # said when it is loaded
            return [source]
    folder = Path(source).expanduser()
    if not folder.is_dir() or _may_be(folder):
        return [source]
    return [str(path) for path in entries(folder.resolve()) if _may_be(path)] or [source]


def recognise(folder: Path) -> Format | None:
    """The format that a folder is in; None if it is in none that is known."""
    if not folder.is_dir():
        return None
    return next((one for one in FORMATS if one.recognises(folder)), None)


def _may_be(folder: Path) -> bool:
    """Whether it is a collection, or so much like one that its files were looked at in vain."""
    try:
        return recognise(folder) is not None
    except InputError:
        return True
