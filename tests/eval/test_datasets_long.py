"""MLDR and LongEmbed, each in the published format.

The formats are those of: MLDR, the dataset card and the loading script MLDR.py of Shitao/MLDR, and
FlagEmbedding, FlagEmbedding/evaluation/mldr/data_loader.py; LongEmbed, the dataset card of
dwzhu/LongEmbed, its README.md, and MTEB, mteb/tasks/retrieval/eng/lemb_needle_retrieval.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from retrieval.errors import InputError
from retrieval.eval.datasets import load
from tests.eval.dataset_files import format_of, only, texts, write


def test_mldr(tmp_path: Path) -> None:
    folder = tmp_path / "mldr-v1.0-en"
    long = [{"docid": f"doc-en-{n}", "text": f"long text {n}"} for n in (1, 2, 3)]
    write(folder / "corpus.jsonl.gz", long)
    query = {"query_id": "q-en-1", "query": "what?", "positive_passages": [long[0]]}
    write(folder / "test.jsonl.gz", [query | {"negative_passages": []}])
    missing = query | {"query_id": "q-en-2", "negative_passages": None}
    write(folder / "dev.jsonl.gz", [missing])
    hard = query | {"query_id": "q-en-3", "negative_passages": [long[1]]}
    write(folder / "train.jsonl.gz", [hard])
    write(tmp_path / "qrels" / "qrels.mldr-v1.0-en-test.tsv", "q-en-1\tQ0\tdoc-en-1\t1\n")
    assert format_of(folder) == "MLDR"
    found = only(folder)
    assert (found.name, found.split, found.warnings) == ("mldr-v1.0-en", "test", ())
    assert found.queries == {"q-en-1": "what?"}
    assert found.judgements == {"q-en-1": {"doc-en-1": 1}}
    assert texts(found) == {one["docid"]: one["text"] for one in long}
    assert only(folder, "dev").judgements == {"q-en-2": {"doc-en-1": 1}}
    assert only(folder, "train").judgements == {"q-en-3": {"doc-en-1": 1, "doc-en-2": 0}}
    assert [one.name for one in load(str(tmp_path))] == ["mldr-v1.0-en"], "all the languages"


def test_mldr_names_the_splits_that_are_there(tmp_path: Path) -> None:
    write(tmp_path / "corpus.jsonl", [{"docid": "d1", "text": "long"}])
    row = {"query_id": "q1", "query": "what?", "positive_passages": [{"docid": "d1"}]}
    write(tmp_path / "dev.jsonl", [row])
    assert only(tmp_path).split == "dev"
    with pytest.raises(InputError, match=r"has no split 'test'; choose from: dev$"):
        load(str(tmp_path), "test")
    write(tmp_path / "dev.jsonl", [row | {"positive_passages": ["d1"]}])
    with pytest.raises(InputError, match="'positive_passages' of query 'q1' is no list of objects"):
        load(str(tmp_path))


def longembed(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """A task's three files, whose rows have the fields of theirs among the given."""
    fields = {
        "corpus": ("doc_id", "text", "context_length"),
        "queries": ("qid", "text", "context_length"),
        "qrels": ("qid", "doc_id", "score", "context_length"),
    }
    for name, own in fields.items():
        kept = [{field: row[field] for field in own if field in row} for row in rows]
        write(folder / f"{name}.jsonl", kept)
    return folder


def test_longembed(tmp_path: Path) -> None:
    rows = [{"doc_id": "d1", "qid": "q1", "text": "a tale"}]
    folder = longembed(tmp_path / "narrativeqa", rows)
    assert format_of(folder) == "LongEmbed"
    found = only(folder)
    assert (found.split, texts(found)) == ("test", {"d1": "a tale"})
    assert found.judgements == {"q1": {"d1": 1}}
    assert [one.name for one in load(str(tmp_path))] == ["narrativeqa"], "all the tasks"


def test_longembed_with_grades(tmp_path: Path) -> None:
    rows = [{"doc_id": f"d{n}", "qid": "q1", "text": "a tale", "score": n} for n in range(3)]
    assert only(longembed(tmp_path, rows)).judgements == {"q1": {"d0": 0, "d1": 1, "d2": 2}}


def test_longembed_of_several_lengths(tmp_path: Path) -> None:
    """Whether ids are shared between the lengths or not, each length has its own judgements."""
    rows = [
        {"doc_id": f"d{n}", "qid": "q0", "text": f"key {n}", "context_length": n}
        for n in (32768, 256, 1024)
    ]
    folder = longembed(tmp_path / "passkey", rows)
    found = load(str(folder))
    assert [(one.name, one.split) for one in found] == [
        ("passkey_256", "test_256"),
        ("passkey_1024", "test_1024"),
        ("passkey_32768", "test_32768"),
    ]
    assert [texts(one) for one in found] == [{f"d{n}": f"key {n}"} for n in (256, 1024, 32768)]
    assert [one.judgements for one in found] == [{"q0": {f"d{n}": 1}} for n in (256, 1024, 32768)]
    assert [one.warnings for one in found] == [(), (), ()]
    assert [one.name for one in load(str(folder), "test")] == [one.name for one in found]
    assert only(folder, "test_32768").name == "passkey_32768"
