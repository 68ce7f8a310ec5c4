"""Parquet: one file, for pandas, Polars, DuckDB and Spark."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.errors import InputError
from retrieval.files.whole import replacing
from retrieval.service.exporting.rows import Row, in_batches
from retrieval.service.exporting.systems import Shape

if TYPE_CHECKING:
    import pyarrow

_AT_ONCE = 512
"""Rows per row group: some 20 MB of token vectors."""


def schema(shape: Shape) -> pyarrow.Schema:
    """The columns; the encoder is named in the schema's metadata."""
    import pyarrow as pa

    fields = [
        pa.field("id", pa.string()),
        pa.field("document_id", pa.string()),
        pa.field("ordinal", pa.int32()),
        *(pa.field(name, pa.string()) for name in ("text", "title", "heading", "symbol")),
        pa.field("metadata", pa.string()),  # JSON, because documents have different keys
    ]
    if shape.dense_dim is not None:
        fields.append(pa.field("dense", pa.list_(pa.float32(), shape.dense_dim)))
    if shape.token_dim is not None:
        fields.append(pa.field("tokens", pa.list_(pa.list_(pa.float32(), shape.token_dim))))
    return pa.schema(fields, {f"encoder_{key}": value for key, value in shape.encoder.items()})


def batches(rows: Iterable[Row], shape: Shape) -> Iterator[pyarrow.RecordBatch]:
    """The rows in batches of that schema."""
    import pyarrow as pa

    made = schema(shape)
    for some in in_batches(rows, _AT_ONCE):
        columns: dict[str, list[object]] = {name: [] for name in made.names}
        for row in some:
            for name in columns:
                columns[name].append(
                    json.dumps(row.metadata, ensure_ascii=False)
                    if name == "metadata"
                    else _plain(getattr(row, name))
                )
        yield pa.RecordBatch.from_pydict(columns, made)


def _plain(value: object) -> object:
    tolist = getattr(value, "tolist", None)
    return value if tolist is None else tolist()


def write(rows: Iterable[Row], target: str, shape: Shape) -> None:
    """Write the file whole or not at all; an existing one is not overwritten."""
    import pyarrow.parquet as pq

    path = Path(target)
    if path.exists():
        raise InputError(f"{target} already exists; choose another file, or delete it")
    with (
        replacing(path) as file,
        pq.ParquetWriter(file, schema(shape), compression="zstd") as writer,
    ):
        for batch in batches(rows, shape):
            writer.write_batch(batch)
