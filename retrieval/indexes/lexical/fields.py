"""The fields of the lexical index, their weights, and the folder that contains them.

A passage is several fields, each scored by BM25 (k1 = 1.2, b = 0.75) with statistics of its own;
the score of a passage is the weighted sum of its fields'. So a word of the title does not lengthen
the text and is not diluted by it, and lacking a field costs a passage nothing.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from retrieval.errors import (
    IndexCorrupted,
    IndexFormatError,
    InputError,
    RetrievalError,
    StorageError,
)
from retrieval.files.stored_json import parsed
from retrieval.indexes.lexical.words import analyzer

if TYPE_CHECKING:
    import tantivy

FIELDS: tuple[str, ...] = ("text", "title", "path", "headings", "symbol")
"""The fields that a passage is searched by.

    text: its own words, and the table header or columns that belong to it
    title: the document's title
    path: the words of the file's and its folder's names
    headings: the headings above it
    symbol: the qualified name and signature of the definition around it
"""

FIELD_WEIGHTS: Mapping[str, float] = MappingProxyType(
    {"text": 1.0, "title": 0.7, "path": 0.5, "headings": 0.5, "symbol": 0.35}
)
"""The weight of each field, a factor of its BM25 score."""

PRESENT = "present"
"""The field that holds the names of the fields that a passage has."""

_ANALYZER = "words_2"  # the number is the version of the analysis; change it when terms change


def checked_weights(weights: Mapping[str, float] | None) -> Mapping[str, float]:
    """The weight of each field: `weights`, and the default for fields that it lacks.

    Raises:
        InputError: an unknown field, or a weight that is negative or not finite.
    """
    if weights is None:
        return FIELD_WEIGHTS
    for field, weight in weights.items():
        check_field(field)
        if not (math.isfinite(weight) and weight >= 0):
            raise InputError(
                f"the weight of field {field!r} is {weight}; give a finite number from 0 on"
            )
    return {**FIELD_WEIGHTS, **weights}


def check_field(field: str) -> None:
    """InputError if the lexical index has no field of that name."""
    if field not in FIELDS:
        raise InputError(f"lexical field {field!r} is unknown; choose from {', '.join(FIELDS)}")


def grams_of(field: str) -> str:
    """The name of the field for the n-grams of a field."""
    return f"{field}_grams"


def names() -> list[str]:
    """The names of all fields that hold words."""
    return [*FIELDS, *map(grams_of, FIELDS)]


def create(folder: Path) -> tantivy.Index:
    """A new tantivy index in an empty folder."""
    import tantivy

    builder = tantivy.SchemaBuilder().add_integer_field("id", indexed=True, fast=True)
    builder.add_text_field(PRESENT, tokenizer_name="raw", index_option="basic")
    for name in names():
        builder.add_text_field(name, tokenizer_name=_ANALYZER, index_option="position")
    with write_failure(folder), _path_in_utf8(folder) as path:
        index = tantivy.Index(builder.build(), path)
    index.register_tokenizer(_ANALYZER, analyzer())
    return index


def opened(folder: Path, *, origin: Path | None = None) -> tantivy.Index:
    """The tantivy index in `folder`; errors name `origin`, which it was linked from.

    Raises:
        IndexCorrupted: it cannot be read.
        IndexFormatError: its fields or its tokenizer are not those of this release.
    """
    import tantivy

    origin = origin or folder
    with read_failure(origin):
        with _path_in_utf8(folder) as path:
            index = tantivy.Index.open(path)
        check_schema((folder / "meta.json").read_text(encoding="utf-8"), origin)
        index.register_tokenizer(_ANALYZER, analyzer())
    return index


@contextmanager
def _path_in_utf8(folder: Path) -> Iterator[str]:
    """A path of the folder that tantivy can open, which takes only paths in UTF-8."""
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
    else:
        yield str(folder)


def check_schema(meta: str, origin: Path) -> None:
    """IndexFormatError if tantivy's schema does not have our fields and tokenizer."""
    entries = parsed(meta)["schema"]
    held = {entry["name"]: entry["options"] for entry in entries}
    lacking = [name for name in ("id", PRESENT, *names()) if name not in held]
    analysed = {held[name]["indexing"]["tokenizer"] for name in names() if name in held}
    if lacking or analysed != {_ANALYZER}:
        found = f"it has no field {lacking[0]!r}" if lacking else "text was tokenized differently"
        raise IndexFormatError(
            f"the lexical index {origin} was written by another release ({found}); "
            "build the index again"
        )


@contextmanager
def read_failure(folder: Path) -> Iterator[None]:
    """Turn tantivy's errors into IndexCorrupted."""
    try:
        yield
    except BaseException as error:
        if not _is_tantivys(error):
            raise
        raise IndexCorrupted(
            f"the lexical index {folder} cannot be read ({_one_line(error)});"
            " restore it from a copy, or build the index again"
        ) from error


@contextmanager
def write_failure(folder: Path) -> Iterator[None]:
    """Turn tantivy's errors into StorageError."""
    try:
        yield
    except BaseException as error:
        if not _is_tantivys(error):
            raise
        raise StorageError(
            f"cannot write the lexical index {folder} ({_one_line(error)})"
        ) from error


def _is_tantivys(error: BaseException) -> bool:
    """Whether tantivy raised it: a ValueError or OSError, or a panic, which is not an Exception."""
    if isinstance(error, RetrievalError):
        return False
    return isinstance(error, ValueError | OSError) or type(error).__name__ == "PanicException"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
