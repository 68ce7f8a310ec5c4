"""The systems for which an index can be exported."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from retrieval.errors import InputError, MissingDependency, StorageError
from retrieval.indexes import Where
from retrieval.service.exporting.rows import Row, rows
from retrieval.service.opened import Opened
from retrieval.types import ProgressCallback, ProgressUpdate

Writer: TypeAlias = "Callable[[Iterable[Row], str, Shape], None]"
"""Writes rows to a target in one system's form."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The properties that all rows of an export share.

    Attributes:
        name: name of the table, collection or schema to create.
        dense_dim: components of a dense vector; None if there are none.
        token_dim: components of a token vector; None if there are none.
        encoder: name and fingerprint of the encoder that made the vectors; queries need the same
            encoder.
    """

    name: str
    dense_dim: int | None
    token_dim: int | None
    encoder: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ExportReport:
    """The result of an export.

    Attributes:
        system: the system.
        target: where it was written.
        name: name of the table, collection or schema.
        passages: number of passages.
        encoder: the name of the encoder that queries need.
    """

    system: str
    target: str
    name: str
    passages: int
    encoder: str


SYSTEMS: Mapping[str, str | None] = MappingProxyType(
    {"parquet": "pyarrow", "vespa": None, "lancedb": "lancedb", "qdrant": "qdrant-client"}
)
"""The package to install for each system."""


def _writer(system: str) -> Writer:
    """Load the module of the system's name, which has one function `write`."""
    package = SYSTEMS[system]
    try:
        if package is not None:
            importlib.import_module(package.replace("-", "_"))
    except ModuleNotFoundError as error:
        raise MissingDependency(
            f"an export to {system} needs {package}; pip install {package}"
        ) from error
    found: Writer = importlib.import_module(f"retrieval.service.exporting.{system}").write
    return found


def export(
    index: Opened,
    system: str,
    target: str,
    *,
    name: str = "passages",
    where: Where | None = None,
    progress: ProgressCallback | None = None,
) -> ExportReport:
    """Write all passages of an index, with their vectors, for another system.

    Args:
        index: the index to read.
        system: one of `SYSTEMS`.
        target: where to write: a file, a folder, or the address of a database; nothing existing is
            overwritten.
        name: name of the table, collection or schema to create.
        where: only passages that match.
        progress: called with the number of passages written.

    Raises:
        InputError: an unknown system, the target exists already, or there is nothing to write.
        MissingDependency: the system's library is not installed.
        FilterError: `where` cannot be parsed.
        StorageError: the target cannot be written.
    """
    if system not in SYSTEMS:
        raise InputError(f"system {system!r} is unknown; choose from {', '.join(SYSTEMS)}")
    if not (name.isascii() and name.isidentifier()):
        raise InputError(f"name {name!r} cannot be used; use letters, digits and `_`")
    write = _writer(system)
    status = index.status()
    made = rows(index, where)
    first = next(made, None)
    if first is None:
        raise InputError("no passage matches the filter" if where else "the index is empty")
    shape = Shape(
        name,
        status.dense_dim,  # not the first passage's, which may have no vector
        status.token_dim,
        {"name": status.encoder, "fingerprint": status.fingerprint},
    )
    counted = _Counted(first, made, status.passages if where is None else None, progress)
    try:
        write(counted, target, shape)
    except OSError as error:
        raise unwritten(target, error) from error
    return ExportReport(system, target, name, counted.count, status.encoder)


def unwritten(target: str, error: Exception) -> StorageError:
    """The StorageError for an error of a system, its library or the disk."""
    said = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
    return StorageError(f"writing to {target} failed ({said}); nothing was left there")


class _Counted:
    """Iterates rows, counts them and reports progress."""

    def __init__(
        self,
        first: Row,
        rest: Iterator[Row],
        total: int | None,
        progress: ProgressCallback | None,
    ) -> None:
        self._first, self._rest, self._total, self._progress = first, rest, total, progress
        self.count = 0

    def __iter__(self) -> Iterator[Row]:
        yield self._passed(self._first)
        for row in self._rest:
            yield self._passed(row)

    def _passed(self, row: Row) -> Row:
        self.count += 1
        if self._progress is not None and self.count % 64 == 0:
            self._progress(ProgressUpdate("writing", self.count, self._total, "passages"))
        return row
