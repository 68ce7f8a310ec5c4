"""JSON records however they stand: over several lines, in an array, in a `.json`, packed."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.documents import ReadOptions, SourceFile, discover, read
from retrieval.documents.formats import packed as packing
from retrieval.documents.formats.jsonl import parse
from retrieval.errors import DocumentError
from tests.documents.test_jsonl import FIELDS, JSON

RECORDS = [
    {"_id": "a", "text": "first", "tags": ["x", {"y": 1}]},
    {"title": "T", "text": "second\nline"},
    {"_id": "c", "text": "third }{ ]["},
]


@pytest.mark.parametrize("indent", [None, 0, 1, 4, "\t"])
def test_an_array_is_as_many_documents(indent: int | str | None) -> None:
    text = json.dumps(RECORDS, indent=indent)
    documents, problems = parse(text, path="d/x.json")
    assert problems == []
    assert [one.id for one in documents] == ["a", "d/x.json#2", "c"]
    assert [one.text for one in documents] == ["first", "second\nline", "third }{ ]["]
    for document in documents:
        line = document.metadata["line"]
        assert text.split("\n")[line - 1].strip().strip("[").startswith("{")


@pytest.mark.parametrize("between", ["\n", "\n\n", ",\n", "\r\n"])
@pytest.mark.parametrize("indent", [0, 2])
def test_a_record_may_stand_on_several_lines(indent: int, between: str) -> None:
    texts = [json.dumps(record, indent=indent) for record in RECORDS]
    documents, problems = parse(between.join(texts) + "\n", path="x.jsonl")
    assert problems == []
    assert [one.text for one in documents] == ["first", "second\nline", "third }{ ]["]
    lines = between.join(texts).split("\n")
    assert all(lines[one.metadata["line"] - 1].strip() == "{" for one in documents)
    assert documents[1].id == f"x.jsonl#L{documents[1].metadata['line']}"


def test_lines_and_spread_records_may_stand_together() -> None:
    spread = json.dumps(RECORDS[1], indent=2)
    text = f'{{"text": "one"}}\n{spread}\n{{"text": "three"}}\n{{"text": \n'
    documents, problems = parse(text, path="x.jsonl")
    assert [one.text for one in documents] == ["one", "second\nline", "three"]
    assert len(problems) == 1
    assert problems[0].startswith(":7: not JSON")


def test_of_a_broken_spread_record_one_thing_is_said() -> None:
    good = json.dumps(RECORDS[0], indent=2)
    bad = good.replace('"first",', '"first"')
    last = good.replace('"a"', '"z"')
    documents, problems = parse(f"{good}\n{bad}\n{last}\n", path="x")
    assert [one.id for one in documents] == ["a", "z"]
    assert len(problems) == 1


A, C = '{"id": "a", "text": "1"}', '{"id": "c", "text": "3"}'


@pytest.mark.parametrize(
    ("broken", "ids", "said"),
    [
        (
            '[\n{"id": "a", "text": "1"},\n{"id": "b" "text"},\n{"id": "c", "text": "3"}\n]',
            "ac",
            ":3: ",
        ),
        (f"[\n{A}\n{C}\n]", "ac", ":3: not JSON: a comma was expected"),
        (f'[\n{A},\n{{"id": "b", "te', "a", ":3: not JSON"),
        (f"[\n{A},\n", "a", ":3: not JSON"),
        (f"[\n{A}\n", "a", ":3: the file ends within its array"),
        (
            '[{"id": "a", "text": "1"}, {"id": "b" 2}, {"id": "c", "text": "3"}]',
            "a",
            ":1: not JSON",
        ),
        (
            '[\n{"id": "a", "text": "1"},\n7,\n{"id": "c", "text": "3"}\n]',
            "ac",
            ":3: a JSON number",
        ),
        (
            '[\n{"id": "a", "text": "1"},\n{"id": "b"},\n{"id": "c", "text": "3"},]',
            "ac",
            ":3: no text",
        ),
    ],
)
def test_what_is_broken_in_an_array_is_named(broken: str, ids: str, said: str) -> None:
    documents, problems = parse(broken, path="x.json")
    assert "".join(one.id or "" for one in documents) == ids
    assert len(problems) == 1
    assert problems[0].startswith(said)


@pytest.mark.slow
@given(st.lists(st.dictionaries(FIELDS | st.text(max_size=3), JSON), max_size=5), st.data())
def test_records_are_the_same_however_they_stand(
    records: list[dict[str, object]], data: st.DataObject
) -> None:
    indent = data.draw(st.sampled_from([None, 0, 2]))
    lines, _ = parse("\n".join(map(json.dumps, records)), path="x")
    spread, _ = parse("\n".join(json.dumps(one, indent=indent) for one in records), path="x")
    array, _ = parse(json.dumps(records, indent=indent), path="x")
    texts = [(one.text, one.title) for one in lines]
    assert [(one.text, one.title) for one in spread] == texts
    if records:
        assert [(one.text, one.title) for one in array] == texts


@given(st.text(alphabet='{}[]",: \n\\a1', max_size=60))
def test_no_text_is_too_odd(text: str) -> None:
    documents, problems = parse(text, path="x")
    assert all(isinstance(problem, str) for problem in problems)
    assert all(one.id for one in documents)


@pytest.mark.slow
def test_many_broken_lines_take_no_longer_than_many_good_ones() -> None:
    """Each of them could open what only the end of the file closes."""
    for line in ('{"a": [', '{"a": "', "[{", '{"a": {"b":'):
        documents, problems = parse("\n".join([line] * 20_000), path="x")
        assert documents == []
        assert problems


def file(tmp_path: Path, name: str, content: str | bytes) -> SourceFile:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return SourceFile(path, name, path.stat().st_size, 0)


def test_a_json_file_of_records_is_records(tmp_path: Path) -> None:
    for content in (
        json.dumps(RECORDS, indent=2),
        json.dumps(RECORDS),
        "\n".join(map(json.dumps, RECORDS)),
        "\n".join(json.dumps(one, indent=2) for one in RECORDS),
    ):
        result = read(file(tmp_path, "a.json", content))
        assert [one.text for one in result.documents] == [one["text"] for one in RECORDS]
        assert {one.metadata["format"] for one in result.documents} == {"json"}


@pytest.mark.parametrize(
    "value",
    [
        {"name": "a package", "scripts": {"text": "x"}},
        [{"name": "a"}, {"name": "b"}],
        [1, 2, 3],
        {"text": "short", "settings": {"a": list(range(200))}},
        {"name": "a package", "description": "what it does. " * 20},
        [{"name": "a", "description": "a setting"}, {"name": "b", "description": "another"}],
        "only a string",
        [],
        {},
    ],
)
def test_a_json_file_of_data_is_one_document(tmp_path: Path, value: object) -> None:
    text = json.dumps(value, indent=2)
    result = read(file(tmp_path, "a.json", text))
    (document,) = result.documents
    assert (document.id, document.text, document.metadata["language"]) == ("a.json", text, "json")


def test_a_json_file_of_one_long_text_is_that_text(tmp_path: Path) -> None:
    page = {"title": "T", "page_content": "Words of a page. " * 20, "year": 2020}
    (document,) = read(file(tmp_path, "a.json", json.dumps(page, indent=2))).documents
    assert (document.id, document.title, document.text) == ("a.json", "T", page["page_content"])
    assert document.metadata["year"] == 2020
    named = {"body_html": "x" * 9, "summary": {"text": "what to read"}}
    source = file(tmp_path, "b.json", json.dumps(named))
    (document,) = read(source, ReadOptions(text_field="summary.text")).documents
    assert document.text == "what to read"


@pytest.mark.slow
def test_packed_records_are_found_and_read(tmp_path: Path) -> None:
    packed = gzip.compress("\n".join(map(json.dumps, RECORDS)).encode())
    source = file(tmp_path, "a.jsonl.gz", packed)
    assert [one.id for one in discover([tmp_path], tmp_path)] == ["a.jsonl.gz"]
    result = read(source)
    assert [one.text for one in result.documents] == [one["text"] for one in RECORDS]
    assert result.documents[1].metadata["extension"] == ".gz"
    parts = b"".join(gzip.compress(f"{json.dumps(one)}\n".encode()) for one in RECORDS)
    assert len(read(file(tmp_path, "parts.ndjson.gz", parts + bytes(8))).documents) == 3
    chance = random.Random(
        1
    )  # what hardly packs is larger than a step of unpacking, in few records
    long = gzip.compress(
        b"\n".join(b'{"text": "%s"}' % chance.randbytes(99).hex().encode() for _ in range(1_500))
    )
    assert len(long) > 2 * packing._CHUNK
    cut = long[:-5000]
    result = read(file(tmp_path, "b.jsonl.gz", cut))
    assert len(result.documents) > 100
    assert any("its gzip breaks off" in problem for problem in result.problems)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x1f\x8b\x08garbage", "not gzip that can be unpacked"),
        (gzip.compress(b"\0\1\2" * 50, mtime=0), "a binary file"),
        (gzip.compress(b"[1, 2]\n", mtime=0), "a JSON list; an object with a text was expected"),
        (b"\0" * 100, "a binary file"),
    ],
)
def test_packed_files_that_give_nothing(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(DocumentError, match=said):
        read(file(tmp_path, "a.jsonl.gz", content))


def test_what_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "MAX_UNPACKED", 3 << 20)
    with pytest.raises(DocumentError, match="unpacks to more than 3 MiB"):
        read(file(tmp_path, "a.jsonl.gz", gzip.compress(bytes(40 << 20))))
