"""JSON lines: documents, metadata, ids, and what is said of broken lines."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.documents.formats import Parsed, jsonl
from retrieval.documents.formats.jsonl import parse
from retrieval.documents.formats.records import TEXT_FIELDS


def one(line: object) -> Parsed:
    (document,), problems = parse(json.dumps(line), path="a/b.jsonl")
    assert problems == []
    return document


def test_a_line_is_a_document_with_its_own_fields_and_its_place() -> None:
    line = {"_id": "7", "title": "T", "text": "words", "year": 2020, "metadata": {"lang": "de"}}
    assert one(line) == Parsed(
        id="7",
        text="words",
        title="T",
        metadata={"lang": "de", "year": 2020, "line": 1},
    )


@pytest.mark.parametrize("field", TEXT_FIELDS)
def test_the_text_may_go_by_several_names(field: str) -> None:
    assert one({field: "words"}).text == "words"


def test_the_first_of_several_texts_is_the_text_and_the_others_stay() -> None:
    document = one({"content": "c", "text": "t"})
    assert (document.text, document.metadata["content"]) == ("t", "c")


def test_an_empty_text_gives_way_to_the_title() -> None:
    assert one({"text": "", "title": "T"}).text == "T"
    assert one({"text": ""}).text == ""


@pytest.mark.parametrize(
    ("fields", "id"),
    [
        ({"_id": "a", "id": "b"}, "a"),
        ({"id": 12}, "12"),
        ({"id": 0}, "0"),
        ({"id": 1.5}, "1.5"),
        ({"_id": None, "id": "b"}, "b"),
        ({}, "a/b.jsonl#L1"),
        ({"id": None}, "a/b.jsonl#L1"),
        ({"id": "weird / \n id"}, "weird / \n id"),
    ],
)
def test_ids_are_the_callers_own_or_name_the_line(fields: dict[str, object], id: str) -> None:
    assert one({"text": "x", **fields}).id == id


def test_fields_that_go_by_a_name_that_is_taken_are_kept_aside() -> None:
    metadata = one({"_id": "a", "id": "b", "text": "x", "path": "src/x.py", "line": 9}).metadata
    assert metadata["line"] == 1
    assert metadata["original"] == {"path": "src/x.py", "line": 9, "id": "b"}


def test_the_lines_own_fields_win_over_those_of_its_metadata() -> None:
    document = one({"text": "x", "a": 1, "metadata": {"a": 2, "text": "y", "language": "python"}})
    assert document.text == "x"
    assert document.metadata["a"] == 1
    assert document.metadata["text"] == "y"
    assert document.metadata["language"] == "python"
    assert one({"text": "x", "metadata": "plain"}).metadata["metadata"] == "plain"


def test_blank_lines_and_windows_newlines_do_not_count_but_are_counted() -> None:
    documents, problems = parse('\r\n{"text": "a"}\r\n\n  \n{"text": "b"}', path="x.jsonl")
    assert [document.id for document in documents] == ["x.jsonl#L2", "x.jsonl#L5"]
    assert problems == []


def test_a_line_may_hold_what_other_tools_take_for_a_newline() -> None:
    assert one({"text": "a\u2028b"}) == one({"text": "a\u2028b"})
    documents, problems = parse('{"text": "a\u2028b\x85c"}', path="x.jsonl")
    assert [document.text for document in documents] == ["a\u2028b\x85c"]
    assert problems == []


def test_a_sentence_or_a_description_is_the_text_of_a_record_that_has_no_other() -> None:
    assert one({"sentence": "a", "label": 1}).text == one({"description": "a"}).text == "a"
    assert one({"description": "b", "sentence": "a"}).metadata["description"] == "b"
    made = one({"description": "b", "abstract": "a"})
    assert (made.text, made.metadata["description"]) == ("a", "b")
    _, problems = parse('{"text": 5, "description": "b"}', path="x.jsonl")
    assert problems == [":1: its text is a number; a string was expected"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "not JSON: Expecting property name enclosed in double quotes at column 2"),
        ('{"text": "a"', "not JSON: Expecting ',' delimiter at column 13"),
        ('{"text": "a"} x', "not JSON: Extra data at column 15"),
        ("[1]", "a JSON list; an object with a text was expected"),
        ("null", "a JSON null; an object with a text was expected"),
        ("true", "a JSON boolean; an object with a text was expected"),
        (
            '{"title": "a"}',
            "no text; one of the fields text, contents, body, content, page_content, ",
        ),
        (
            '{"text": null}',
            "no text; one of the fields text, contents, body, content, page_content, ",
        ),
        ('{"text": 5}', "its text is a number; a string was expected"),
        ('{"text": "a", "title": ["b"]}', "its title is a list; a string was expected"),
        ('{"text": "a", "id": {}}', "its id is a object; a string or a number was expected"),
        ('{"text": "a", "id": true}', "its id is a boolean; a string or a number was expected"),
        ('{"text": "a", "_id": ""}', "its _id is empty; give it one, or leave the field out"),
        ('{"text": "a", "id": "same"}', "id 'same' stands on line 1 already; left out, give it"),
        ('{"text": "a", "x": ' + "[" * 99 + "]" * 99 + "}", "nested too deeply; at most 64"),
        ("[" * 100_000, "nested too deeply; at most 64"),
        ('{"text": "a", "id": ' + "9" * 5000 + "}", "not JSON that can be read: Exceeds the limit"),
    ],
)
def test_a_broken_line_is_named_and_the_others_go_in(line: str, said: str) -> None:
    lines = ['{"id": "same", "text": "first"}', line, '{"id": "z", "text": "last"}']
    documents, problems = parse("\n".join(lines), path="a\n.jsonl")
    assert [document.id for document in documents] == ["same", "z"]
    assert len(problems) == 1
    assert problems[0].startswith(f":2: {said}")
    assert "\n" not in problems[0]


def test_numbers_that_json_does_not_know_become_null() -> None:
    documents, _ = parse('{"text": "a", "x": [NaN, Infinity, -Infinity, 1e999, 1.5]}', path="x")
    assert documents[0].metadata["x"] == [None, None, None, None, 1.5]


def test_halves_of_characters_are_replaced_and_whole_ones_kept() -> None:
    line = r'{"text": "a\ud83db \ud83d\ude00", "x": {"\udc00": ["\ud800"]}}'
    documents, _ = parse(line, path="x")
    assert documents[0].text == "a\ufffdb 😀"
    assert documents[0].metadata["x"] == {"\ufffd": ["\ufffd"]}
    json.dumps(documents[0].metadata, ensure_ascii=False).encode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["id", "_id", "text", "title", "metadata", "path", "line", "language"])


@pytest.mark.slow
@given(st.lists(st.dictionaries(FIELDS | st.text(max_size=3), JSON), max_size=5))
def test_every_line_is_a_document_or_a_problem(lines: list[dict[str, object]]) -> None:
    documents, problems = parse("\n".join(json.dumps(line) for line in lines), path="x.jsonl")
    assert len(documents) + len(problems) == len(lines)
    assert len({document.id for document in documents}) == len(documents)
    for document in documents:
        assert document.id
        json.dumps([document.id, document.text, document.title, document.metadata], allow_nan=False)


def test_the_text_that_is_a_text_is_taken() -> None:
    """Of `document`, which may be anything, and `passage`."""
    document = one({"document": {"id": 3}, "passage": "words", "year": 1})
    assert (document.text, document.metadata["document"]) == ("words", {"id": 3})


def test_the_field_of_the_text_can_be_named() -> None:
    line = json.dumps({"text": "a label", "page": {"number": 7, "words": "what is said"}})
    (document,), problems = parse(line, path="x", text_field="page.words")
    assert (document.text, problems) == ("what is said", [])
    assert document.metadata == {"text": "a label", "page": {"number": 7}, "line": 1}
    (document,), _ = parse('{"a.b": "dotted", "a": {"b": "inner"}}', path="x", text_field="a.b")
    assert document.text == "dotted"
    for field in ("nothing", "page.nothing", "text.words"):
        documents, problems = parse(line, path="x", text_field=field)
        assert (documents, problems) == ([], [f":1: no text; the field {field} was expected"])
    documents, problems = parse(line, path="x", text_field="page")
    assert (documents, problems) == ([], [":1: its page is a object; a string was expected"])


LONG = "word " * 60
PICTURE = "iVBOR" * 99


@pytest.mark.parametrize(
    ("record", "text", "metadata"),
    [
        (
            {"messages": [{"role": "user", "content": "Why?"}, {"role": "tool", "content": LONG}]},
            f"user: Why?\n\ntool: {LONG}",
            {},
        ),
        (
            {"conversations": [{"from": "human", "value": "Why?"}], "model": "m1"},
            "human: Why?\n\nmodel: m1",
            {"conversations": [{"from": "human", "value": "Why?"}], "model": "m1"},
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "text", "text": LONG}, {"image": PICTURE}],
                    },
                    {"role": "assistant", "content": None, "calls": [{"name": "add", "n": 1}]},
                ]
            },
            f"user: {LONG}\n\nassistant: calls.name: add",
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "text", "text": LONG}, {"image": PICTURE}],
                    },
                    {"role": "assistant", "content": None, "calls": [{"name": "add", "n": 1}]},
                ]
            },
        ),
        (
            {"ts": "2026-01-02T03:04:05Z", "level": "error", "msg": "disk full", "code": 28},
            "ts: 2026-01-02T03:04:05Z\nlevel: error\nmsg: disk full",
            {"ts": "2026-01-02T03:04:05Z", "level": "error", "msg": "disk full", "code": 28},
        ),
        (
            {"instruction": "Add.", "input": "1 2", "output": LONG},
            f"instruction: Add.\ninput: 1 2\noutput: {LONG}",
            {"instruction": "Add.", "input": "1 2"},
        ),
        (
            {"question": "Who?", "answers": {"text": ["Ann", LONG], "start": [3, 9]}},
            f"question: Who?\nanswers.text: Ann, {LONG}",
            {"question": "Who?", "answers": {"text": ["Ann", LONG], "start": [3, 9]}},
        ),
        (
            {"name": "a picture", "png": PICTURE, "metadata": {"year": 2020}},
            "name: a picture",
            {"name": "a picture", "png": PICTURE, "year": 2020},
        ),
    ],
)
def test_a_record_without_a_text_is_read_by_what_it_says(
    record: dict[str, Any], text: str, metadata: dict[str, Any]
) -> None:
    (one,), problems = parse(json.dumps(record | {"id": "a", "title": "T"}), path="x.jsonl")
    assert (one.text, one.title, one.id, problems) == (text, "T", "a", [])
    assert one.metadata == metadata | {"line": 1}


@pytest.mark.parametrize("record", ['{"a": 1}', '{"a": [true, {"b": ""}]}', '{"messages": []}'])
def test_a_record_that_says_nothing_is_named(record: str) -> None:
    documents, problems = parse(record, path="x.jsonl")
    assert documents == [] and problems[0].startswith(":1: no text; one of the fields text,")


def test_many_broken_lines_take_linear_time() -> None:
    begun = time.process_time()
    documents, problems = parse("{'a': 1}\n" * 30_000, path="a.jsonl")
    assert time.process_time() - begun < 1
    assert (len(documents), len(problems)) == (0, 30_000)


@pytest.mark.parametrize("window", [1, 5, 40])
def test_a_value_is_read_whole_however_little_of_it_is_looked_at_first(
    window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        '[\n {"text": "' + "long " * 30 + '", "n": -1.5e3},\n 12.5e1,\n'
        ' {"text": "\\ud83d\\ude00", "x": null},\n {"text": "a" "b"},\n {"text": "last"}\n]\n'
    )
    expected = parse(text, path="a.jsonl")
    assert len(expected[0]) == 3
    assert expected[1] == [
        ":3: a JSON number; an object with a text was expected",
        ":5: not JSON: Expecting ',' delimiter at column 15",
    ]
    monkeypatch.setattr(jsonl, "_WINDOW", window)
    assert parse(text, path="a.jsonl") == expected
