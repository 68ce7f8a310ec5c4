import json
from dataclasses import fields
from pathlib import Path

import pytest

from retrieval.index import CompactReport
from tests.cli.conftest import Retrieval


def test_list_names_documents_as_one_would_type_them(
    indexed: Retrieval, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "docs" / "sub").mkdir()
    (folder / "docs" / "sub" / "r.jsonl").write_text('{"text": "a"}\n{"_id": "x", "text": "b"}\n')
    indexed("index")
    assert indexed("list").out.splitlines() == [
        "docs/locks.md  2 passages  Locks",
        "docs/readers.md  1 passage  Readers",
        "docs/sub/r.jsonl:1  1 passage",
        "docs/sub/r.jsonl:2  1 passage",
    ]
    monkeypatch.chdir(folder / "docs" / "sub")
    for names, lines in (
        (("r.jsonl",), ["r.jsonl:1  1 passage", "r.jsonl:2  1 passage"]),
        ((".",), ["r.jsonl:1  1 passage", "r.jsonl:2  1 passage"]),
        (("../l*.md",), ["../locks.md  2 passages  Locks"]),
        (("x",), ["r.jsonl:2  1 passage"]),
        (("../*",), 4),
        (("--where", 'title == "Readers"'), ["../readers.md  1 passage  Readers"]),
        (("..", "--where", 'title == "Readers"'), ["../readers.md  1 passage  Readers"]),
    ):
        shown = indexed("list", *names)
        assert shown.code == 0
        found = shown.out.splitlines()
        assert (len(found) if isinstance(lines, int) else found) == lines
    unknown = indexed("list", "r.jsonl", "*.py")
    assert (unknown.code, unknown.err) == (1, "not in the index:\n  *.py\n")
    (one,) = json.loads(indexed("list", "../readers.md", "--json").out)
    assert (one["id"], one["path"], one["passages"]) == ("docs/readers.md", "docs/readers.md", 1)
    assert set(one) == {"id", "path", "title", "passages", "metadata"}


def test_delete_by_path_from_below_and_by_filter(
    indexed: Retrieval, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "more").mkdir()
    for name in ("a.md", "b.md", "c.txt"):
        (folder / "more" / name).write_text(f"about {name}\n")
    indexed("index", "more")
    monkeypatch.chdir(folder / "more")
    assert indexed("delete", "a.md").out == "1 document deleted\n"
    assert indexed("delete", "--where", 'extension == ".txt"').out == "1 document deleted\n"
    assert indexed("delete", "../docs/*", "--where", 'title == "Locks"').out == (
        "1 document deleted\n"
    )
    monkeypatch.chdir(folder)
    assert indexed("index").out.startswith(".retrieval: 3 added, 2 unchanged; ")
    assert indexed("delete", "more").out == "3 documents deleted\n"
    assert indexed("index").out == ".retrieval: 2 unchanged\n", "what is deleted stays away"
    nothing = indexed("delete")
    assert (nothing.code, nothing.err.count("\n")) == (2, 1)
    assert "nothing was named" in nothing.err
    assert indexed("delete", "--where", 'title == "Nobody"').out == "0 documents deleted\n"


def test_delete_by_id(indexed: Retrieval) -> None:
    assert indexed("delete", "docs/locks.md").out == "1 document deleted\n"
    assert indexed("search", "refused", "--retriever", "lexical").out == ""
    again = indexed("delete", "docs/locks.md", "docs/readers.md")
    assert (again.code, again.out) == (1, "1 document deleted\n")
    assert again.err == "not in the index:\n  docs/locks.md\n"
    unknown = indexed("delete", "x", "--json")
    assert (unknown.code, json.loads(unknown.out)) == (1, {"deleted": 0, "unknown": ["x"]})


def test_compact_drops_what_was_deleted(indexed: Retrieval) -> None:
    indexed("delete", "docs/readers.md")
    report = json.loads(indexed("compact", "--json").out)
    assert set(report) == {field.name for field in fields(CompactReport)}
    assert report["dropped_passages"] == 1
    assert indexed("compact").out.endswith("; 0 deleted passages dropped\n")
