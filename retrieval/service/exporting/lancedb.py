"""LanceDB: a table with a vector and a multivector column."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from retrieval.errors import InputError, RetrievalError
from retrieval.service.exporting.parquet import batches, schema
from retrieval.service.exporting.rows import Row
from retrieval.service.exporting.systems import Shape, unwritten


def write(rows: Iterable[Row], target: str, shape: Shape) -> None:
    """Create the table `shape.name` in the database; an existing one is not overwritten.

    LanceDB compares multivectors by cosine: so weights of query tokens have no effect.
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
    """Create the empty table; only a table created here is dropped if filling it fails."""
    try:
        return database.create_table(shape.name, schema=schema(shape), mode="create")
    except ValueError as error:
        if "already exists" not in str(error):
            raise
        raise InputError(
            f"{target} has a table {shape.name!r} already; choose another --name, or drop it"
        ) from error
