"""LanceDB: a table with a vector and a multivector column."""

from __future__ import annotations

from collections.abc import Iterable

from retrieval.errors import InputError
from retrieval.service.exporting.parquet import batches, schema
from retrieval.service.exporting.rows import Row
from retrieval.service.exporting.systems import Shape


def write(rows: Iterable[Row], target: str, shape: Shape) -> None:
    """Make the table `shape.name` in the database; one that is there is not written over.

    LanceDB compares multivectors by cosine: weights of a query's tokens do not count there.
    """
    import lancedb

    database = lancedb.connect(target)
    if shape.name in database.table_names():
        raise InputError(
            f"{target} has a table {shape.name!r} already; choose another --name, or drop it"
        )
    try:
        database.create_table(shape.name, data=batches(rows, shape), schema=schema(shape))
    except BaseException:
        database.drop_table(shape.name, ignore_missing=True)
        raise
