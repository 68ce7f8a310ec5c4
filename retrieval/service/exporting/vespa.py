"""Vespa: a schema with rank profiles, and the documents as `vespa feed` expects them.

Tensors in JSON and schemas follow Vespa's reference documentation.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from retrieval.errors import InputError
from retrieval.files.whole import PART, move_whole
from retrieval.service.exporting.rows import Row
from retrieval.service.exporting.systems import Shape

FEED = "documents.jsonl"
_MAX_SIM = "sum(reduce(sum(query(qt) * attribute(tokens), x), max, token), querytoken)"
_STRINGS = ("id", "document_id", "title", "heading", "symbol", "metadata")


def write(rows: Iterable[Row], target: str, shape: Shape) -> None:
    """Write the folder with `schemas/NAME.sd` and `documents.jsonl`, whole or not at all."""
    folder = Path(target)
    if folder.exists():
        raise InputError(f"{target} already exists; choose another folder, or delete it")
    part = folder.with_name(folder.name + PART)
    shutil.rmtree(part, ignore_errors=True)
    try:
        (part / "schemas").mkdir(parents=True)
        (part / "schemas" / f"{shape.name}.sd").write_text(schema(shape), encoding="utf-8")
        with (part / FEED).open("w", encoding="utf-8", newline="\n") as feed:
            for row in rows:
                feed.write(json.dumps(_document(row, shape), ensure_ascii=False) + "\n")
        move_whole(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def schema(shape: Shape) -> str:
    """The schema: fields, and a rank profile for each kind of vector."""
    return "\n".join(_schema(shape)) + "\n"


def _schema(shape: Shape) -> Iterator[str]:
    yield f"# Vectors by {shape.encoder['name']}; queries need the same encoder."
    yield f"schema {shape.name} {{"
    yield f"    document {shape.name} {{"
    for name in _STRINGS:
        yield f"        field {name} type string {{ indexing: summary | attribute }}"
    yield "        field ordinal type int { indexing: summary | attribute }"
    yield "        field text type string {"
    yield "            indexing: summary | index"
    yield "            index: enable-bm25"
    yield "        }"
    if shape.dense_dim is not None:
        yield f"        field dense type tensor<float>(x[{shape.dense_dim}]) {{"
        yield "            indexing: attribute | index"
        yield "            attribute { distance-metric: dotproduct }"
        yield "        }"
    if shape.token_dim is not None:
        yield f"        field tokens type tensor<float>(token{{}}, x[{shape.token_dim}]) {{"
        yield "            indexing: attribute"
        yield "        }"
    yield "    }"
    yield "    rank-profile lexical { first-phase { expression: bm25(text) } }"
    if shape.dense_dim is not None:
        yield "    rank-profile dense {"
        yield f"        inputs {{ query(q) tensor<float>(x[{shape.dense_dim}]) }}"
        yield "        first-phase { expression: closeness(field, dense) }"
        yield "    }"
    if shape.token_dim is not None:
        yield "    rank-profile late {"
        yield f"        inputs {{ query(qt) tensor<float>(querytoken{{}}, x[{shape.token_dim}]) }}"
        yield "        first-phase {"
        yield f"            expression: {_MAX_SIM}"
        yield "        }"
        yield "    }"
    yield "}"


def _document(row: Row, shape: Shape) -> dict[str, Any]:
    fields: dict[str, Any] = {name: getattr(row, name) for name in (*_STRINGS, "ordinal", "text")}
    fields["metadata"] = json.dumps(row.metadata, ensure_ascii=False)
    if row.dense is not None:
        fields["dense"] = {"values": row.dense.tolist()}
    if row.tokens is not None:
        fields["tokens"] = {"blocks": {str(n): it.tolist() for n, it in enumerate(row.tokens)}}
    return {"put": f"id:{shape.name}:{shape.name}::{row.uuid}", "fields": fields}
