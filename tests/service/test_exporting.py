"""What other systems are given: every passage, its texts and vectors, in their own form."""

from __future__ import annotations

import json
import math
import re
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from retrieval.encoders import Precomputed
from retrieval.errors import InputError, MissingDependency, StorageError
from retrieval.index import Index
from retrieval.service.exporting import export, rows
from retrieval.types import Document

from ..index.fake_encoder import FakeEncoder

QUERY = "the pump3 and word7 of stone 12"


@pytest.fixture
def index(tmp_path: Path) -> Index:
    made = Index.create(tmp_path / "index", encoder=FakeEncoder(), passage_tokens=30)
    made.add(
        Document(
            f"docs/{n}.md",
            " ".join(
                f"word{n} pump{n % 7} of mill {n * m % 11}, stone {n + m * m}" for m in range(9)
            ),
            f"Mill {n}",
            {"n": n, "tags": ["a", "ü"], "path": f"docs/{n}.md"},
        )
        for n in range(12)
    )
    return made


def expected(index: Index, retriever: str, where: str | None = None) -> list[str]:
    hits = index.search(QUERY, 5, retriever=retriever, where=where)  # type: ignore[arg-type]
    return [f"{hit.document_id}#{hit.passage.ordinal}" for hit in hits]


def by_dot(index: Index, dense: list[list[float]], ids: list[str]) -> list[str]:
    query = index.encoder.encode_queries([QUERY]).dense
    assert query is not None
    order = np.argsort(-(np.array(dense) @ query[0]), kind="stable")
    return [ids[at] for at in order[:5]]


def by_max_sim(index: Index, tokens: list[list[list[float]]], ids: list[str]) -> list[str]:
    query = index.encoder.encode_queries([QUERY]).tokens
    assert query is not None
    scores = [float((query @ np.array(one, np.float32).T).max(axis=1).sum()) for one in tokens]
    order = np.argsort(-np.array(scores), kind="stable")
    return [ids[at] for at in order[:5]]


def test_a_row_is_a_passage_with_what_belongs_to_it(index: Index) -> None:
    made = list(rows(index))
    assert len(made) == index.status().passages >= 24
    first = made[0]
    document = index.get(first.document_id)
    assert document is not None
    assert first.text in document.text
    assert (first.title, first.metadata) == (document.title, document.metadata)
    assert len({row.id for row in made}) == len({row.uuid for row in made}) == len(made)
    assert [row.document_id for row in rows(index, "n == 3")] == ["docs/3.md"] * (len(made) // 12)


def test_parquet_holds_the_ranking(index: Index, tmp_path: Path) -> None:
    report = export(index, "parquet", str(tmp_path / "a.parquet"))
    table = pq.read_table(tmp_path / "a.parquet")
    assert report.passages == table.num_rows == index.status().passages
    assert table.schema.metadata[b"encoder_fingerprint"].decode() == index.encoder.fingerprint
    held = table.to_pydict()
    assert json.loads(held["metadata"][0])["tags"] == ["a", "ü"]
    assert by_dot(index, held["dense"], held["id"]) == expected(index, "dense")
    assert by_max_sim(index, held["tokens"], held["id"]) == expected(index, "late")


def test_vespa_holds_the_ranking(index: Index, tmp_path: Path) -> None:
    export(index, "vespa", str(tmp_path / "app"), name="mill")
    schema = (tmp_path / "app" / "schemas" / "mill.sd").read_text(encoding="utf-8")
    assert schema.count("{") == schema.count("}")
    assert "tensor<float>(x[32])" in schema
    assert "tensor<float>(token{}, x[16])" in schema
    lines = (tmp_path / "app" / "documents.jsonl").read_text(encoding="utf-8").splitlines()
    fields = [json.loads(line)["fields"] for line in lines]
    assert {json.loads(line)["put"].split("::")[0] for line in lines} == {"id:mill:mill"}
    ids = [field["id"] for field in fields]
    assert by_dot(index, [f["dense"]["values"] for f in fields], ids) == expected(index, "dense")
    tokens = [list(field["tokens"]["blocks"].values()) for field in fields]
    assert by_max_sim(index, tokens, ids) == expected(index, "late")


# What https://docs.vespa.ai/en/reference/schemas/document-json-format.html says of a put: its
# operations, the form of ids, and tensors in their short forms, of numbers in lists.
PUT = {
    "type": "object",
    "required": ["put", "fields"],
    "properties": {
        "put": {"type": "string", "pattern": r"^id:[^:]+:[A-Za-z_][A-Za-z0-9_]*:[^:]*:.+$"},
        "fields": {
            "type": "object",
            "required": ["id", "document_id", "title", "text", "ordinal", "metadata"],
            "properties": {
                "ordinal": {"type": "integer", "minimum": -(1 << 31), "maximum": (1 << 31) - 1},
                "dense": {
                    "type": "object",
                    "required": ["values"],
                    "properties": {"values": {"$ref": "#/$defs/cells"}},
                    "additionalProperties": False,
                },
                "tokens": {
                    "type": "object",
                    "required": ["blocks"],
                    "properties": {
                        "blocks": {
                            "type": "object",
                            "additionalProperties": {"$ref": "#/$defs/cells"},
                        }
                    },
                    "additionalProperties": False,
                },
            },
            "additionalProperties": {"type": "string"},
        },
    },
    "additionalProperties": False,
    "$defs": {"cells": {"type": "array", "items": {"type": "number"}, "minItems": 1}},
}


def test_vespa_takes_the_form_that_it_documents(index: Index, tmp_path: Path) -> None:
    """Every document is a put of fields that the schema has, with tensors of its dimensions."""
    jsonschema = pytest.importorskip("jsonschema")
    export(index, "vespa", str(tmp_path / "app"), name="mill")
    schema = (tmp_path / "app" / "schemas" / "mill.sd").read_text(encoding="utf-8")
    assert re.search(r"^schema mill \{\n    document mill \{$", schema, re.MULTILINE)
    fields = dict(re.findall(r"field (\w+) type (\S.*?) \{", schema))
    held = jsonschema.Draft202012Validator(PUT)
    lines = (tmp_path / "app" / "documents.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == index.status().passages
    for line in lines:
        put = json.loads(line)
        held.validate(put)
        assert put["fields"].keys() == fields.keys()
        assert len(put["fields"]["dense"]["values"]) == 32
        assert {len(one) for one in put["fields"]["tokens"]["blocks"].values()} == {16}
    with pytest.raises(jsonschema.ValidationError):
        held.validate(put | {"fields": put["fields"] | {"dense": {"cells": {}}}})


def test_qdrant_finds_the_same(index: Index, tmp_path: Path) -> None:
    qdrant_client = pytest.importorskip("qdrant_client")
    export(index, "qdrant", str(tmp_path / "q"), name="mill")
    with pytest.raises(InputError, match="has a collection 'mill' already"):
        export(index, "qdrant", str(tmp_path / "q"), name="mill")
    asked = index.encoder.encode_queries([QUERY])
    assert asked.dense is not None
    assert asked.tokens is not None
    client = qdrant_client.QdrantClient(path=str(tmp_path / "q"))
    for using, query, retriever in (
        ("dense", asked.dense[0].tolist(), "dense"),
        ("tokens", asked.tokens.tolist(), "late"),
    ):
        found = client.query_points("mill", query=query, using=using, limit=5).points
        assert [point.payload["id"] for point in found] == expected(index, retriever)
    client.close()


def test_lancedb_finds_the_same(index: Index, tmp_path: Path) -> None:
    lancedb = pytest.importorskip("lancedb")
    export(index, "lancedb", str(tmp_path / "l"), name="mill")
    with pytest.raises(InputError, match="has a table 'mill' already"):
        export(index, "lancedb", str(tmp_path / "l"), name="mill")
    asked = index.encoder.encode_queries([QUERY])
    assert asked.dense is not None
    assert asked.tokens is not None
    table = lancedb.connect(str(tmp_path / "l")).open_table("mill")
    found = table.search(asked.dense[0], "dense").metric("cosine").limit(5).to_list()
    assert [row["id"] for row in found] == expected(index, "dense")
    late = table.search(asked.tokens, "tokens").metric("cosine").limit(5).to_list()
    assert [row["id"] for row in late] == expected(index, "late")


@pytest.mark.parametrize(
    ("system", "name", "where", "match"),
    [
        ("elastic", "passages", None, "choose from parquet, vespa, lancedb, qdrant"),
        ("parquet", "a b", None, "use letters, digits and `_`"),
        ("parquet", "passages", "n == 99", "no passage matches the filter"),
    ],
)
def test_wrong_input(
    index: Index, tmp_path: Path, system: str, name: str, where: str | None, match: str
) -> None:
    with pytest.raises(InputError, match=match):
        export(index, system, str(tmp_path / "x"), name=name, where=where)
    assert not (tmp_path / "x").exists()


def test_a_table_among_many_is_not_written_over(index: Index, tmp_path: Path) -> None:
    lancedb = pytest.importorskip("lancedb")
    database = lancedb.connect(str(tmp_path / "l"))
    for n in range(12):  # a list of their names stops at ten
        database.create_table(f"t{n:02}", data=[{"kept": n}])
    with pytest.raises(InputError, match="has a table 't11' already"):
        export(index, "lancedb", str(tmp_path / "l"), name="t11")
    assert database.open_table("t11").to_arrow().to_pylist() == [{"kept": 11}]


@pytest.mark.parametrize("target", ["http://127.0.0.1:1", "not an address://x"])
def test_a_server_that_does_not_answer(index: Index, target: str) -> None:
    pytest.importorskip("qdrant_client")
    with pytest.raises(StorageError, match="writing to "):
        export(index, "qdrant", target)


def test_a_library_that_is_not_there(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lancedb", None)
    with pytest.raises(MissingDependency, match="needs lancedb; pip install lancedb"):
        export(index, "lancedb", "somewhere")


@pytest.mark.parametrize("system", ["parquet", "vespa"])
def test_what_is_there_is_not_written_over(index: Index, tmp_path: Path, system: str) -> None:
    target = tmp_path / "taken"
    target.write_text("mine")
    with pytest.raises(InputError, match="already exists"):
        export(index, system, str(target))
    assert target.read_text() == "mine"


@pytest.mark.parametrize("system", ["parquet", "vespa"])
def test_an_export_that_fails_leaves_nothing(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    real = index.get

    def fail(id: str) -> Document | None:
        if id == "docs/5.md":
            raise OSError(5, "Input/output error")
        return real(id)

    monkeypatch.setattr(index, "get", fail)
    with pytest.raises(StorageError, match=r"writing to .* failed \(Input/output error\)"):
        export(index, system, str(tmp_path / "made"))
    assert not list(tmp_path.glob("made*"))


def test_vectors_are_finite_and_about_of_unit_length(index: Index) -> None:
    for row in rows(index):
        assert row.dense is not None
        assert row.tokens is not None
        assert math.isclose(float(np.linalg.norm(row.dense)), 1, abs_tol=1e-2)
        assert np.isfinite(row.tokens).all()


def test_the_first_passage_may_lack_a_vector(tmp_path: Path) -> None:
    """All the others have one, and so has the schema."""
    index = Index.create(tmp_path / "index", encoder=Precomputed(2))
    index.add([Document("a", "words alone"), Document("b", "x")], embeddings=[None, [0.0, 1.0]])
    export(index, "parquet", str(tmp_path / "made.parquet"))
    assert pq.read_table(tmp_path / "made.parquet")["dense"].to_pylist() == [None, [0.0, 1.0]]
    export(index, "vespa", str(tmp_path / "vespa"))
    assert "field dense type tensor" in (tmp_path / "vespa/schemas/passages.sd").read_text()


def test_rows_are_of_one_generation(index: Index) -> None:
    for change in (
        lambda: index.delete(["docs/9.md"]),
        lambda: index.add([Document("docs/8.md", "short")]),
    ):
        made = rows(index)
        next(made)
        change()
        with pytest.raises(StorageError, match="was changed meanwhile; export it again"):
            list(made)
