"""What a format of test collections is: how its folders are recognised, and read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from retrieval.eval.datasets.collection import Collection


def _nothing(folder: Path) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Format:
    """A format in which collections are published.

    Attributes:
        name: as messages and the documentation call it.
        recognises: whether a folder is in this format. It looks at names of files and perhaps a
            first row; InputError for a folder that is in the format but for a file that cannot
            be read.
        load: the collections of a folder that is recognised, by one split of the judgements, or
            by the usual one if that is None. InputError where the data cannot be used; the file
            is named.
        lacking: of a folder that no format recognises, what it lacks to be in this one, in words;
            None if it is far from it.
        precedence: of formats that recognise the same folder the lowest reads it: a format that
            many folders are in comes after one that few are in.
    """

    name: str
    recognises: Callable[[Path], bool]
    load: Callable[[Path, str | None], list[Collection]]
    lacking: Callable[[Path], str | None] = _nothing
    precedence: int = 0
