"""LanceDB: a table with a vector and a multivector column."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from retrieval.errors import InputError, RetrievalError
from retrieval.service.exporting.parquet import batches, schema
from retrieval.service.exporting.rows import Row
from retrieval.service.exporting.systems import Shape, unwritten


def write(rows: Iterable[Row], target: str, shape: Shape) -> None:
    """Make the table `shape.name` in the database; one that is there is not written over.

    LanceDB compares multivectors by cosine: weights of a query's tokens do not count there.
    """
    import lancedb

    try:
        database = lancedb.connect(target)
        table = _made(database, target, shape)
        try:
            table.add(batches(rows, shape))
        except BaseException:
            database.drop_table(shape.name)
            raise
    except RetrievalError:
        raise
    except (ValueError, RuntimeError) as error:
        raise unwritten(target, error) from error


def _made(database: Any, target: str, shape: Shape) -> Any:
    """The table, new and empty: only what was made here is dropped if it cannot be filled."""
    try:
        return database.create_table(shape.name, schema=schema(shape), mode="create")
    except ValueError as error:
        if "already exists" not in str(error):
            raise
        raise InputError(
            f"{target} has a table {shape.name!r} already; choose another --name, or drop it"
        ) from error
