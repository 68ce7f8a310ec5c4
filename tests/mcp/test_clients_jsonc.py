"""JSON with comments edited in place: the value is there, and all else is as it was."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.errors import InputError
from retrieval.mcp.clients import jsonc

ENTRY = {"command": "retrieval", "args": ["mcp"]}

CASES = [
    ("", '{\n  "a": {\n    "b": 1\n  }\n}\n'),
    ("{}", '{\n  "a": {\n    "b": 1\n  }\n}'),
    ('{"x": 1}', '{"x": 1, "a": {"b": 1}}'),
    ('{\n\t"x": 1 // why\n}\n', '{\n\t"x": 1, // why\n\t"a": {\n\t\t"b": 1\n\t}\n}\n'),
    ('{\n    "x": 1, // why\n    /* end */\n}', '{\n    "x": 1, // why\n    /* end */\n    "a": {\n        "b": 1\n    },\n}'),  # noqa: E501
    ('{\r\n  "x": 1\r\n}\r\n', '{\r\n  "x": 1,\r\n  "a": {\r\n    "b": 1\r\n  }\r\n}\r\n'),
    ('{\n  "a": {\n    "b": [1, // old\n 2]\n  }\n}', '{\n  "a": {\n    "b": 1\n  }\n}'),
    ('\ufeff{ // first\n}', '\ufeff{ // first\n  "a": {\n    "b": 1\n  }\n}'),
    ('{"a": {}}', '{"a": {\n  "b": 1\n}}'),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after"), CASES)
def test_a_value_is_set_and_the_rest_stays(before: str, after: str) -> None:
    assert jsonc.set_value(before, ["a", "b"], 1) == after
    assert jsonc.get(after, ["a", "b"]) == 1
    assert jsonc.set_value(after, ["a", "b"], 1) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{\n  "x": 1,\n  "a": 2\n}\n', '{\n  "x": 1\n}\n'),
        ('{\n  "x": 1, // why\n  "a": 2\n}\n', '{\n  "x": 1 // why\n}\n'),
        ('{\n  "x": 1,\n  "a": 2,\n}\n', '{\n  "x": 1,\n}\n'),
        ('{\n  "a": {\n    "deep": [1]\n  },\n  "x": 1\n}\n', '{\n  "x": 1\n}\n'),
        ('{"x": 1, "a": 2}', '{"x": 1}'),
        ('{"a": 2, "x": 1}', '{ "x": 1}'),
        ('{"a": 2}', "{}"),
        ('{"x": {"a": 2}}', '{"x": {"a": 2}}'),
        ("{}", "{}"),
        ("", ""),
        ("\ufeff \n", "\ufeff \n"),
    ],
)
def test_a_value_is_removed_and_the_rest_stays(before: str, after: str) -> None:
    assert jsonc.remove(before, ["a"]) == after
    assert jsonc.remove(after, ["a"]) == after


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("{", 1), ('{"a" 1}', 1), ('{"a": 1}}', 1), ("[1 2]", 1), ('{\n"a": nope}', 2),
        ("{'a': 1}", 1), ('{"a": 01}', 1), ('{"a": "\n"}', 1), ("/* {}", 1), ('{"a"}', 1),
        ('{"a": 1 "b": 2}', 1), ("nul", 1), ('{,}', 1), ('{"a": "\\x"}', 1),
    ],
)  # fmt: skip
def test_what_is_no_json_is_said_with_its_place(text: str, line: int) -> None:
    for edit in (lambda: jsonc.set_value(text, ["a", "b"], 1), lambda: jsonc.remove(text, ["a"])):
        with pytest.raises(InputError, match=f"not JSON at line {line}, column"):
            edit()


def test_what_is_no_object_is_said() -> None:
    with pytest.raises(InputError, match="mcpServers is not an object"):
        jsonc.set_value('{"mcpServers": []}', ["mcpServers", "retrieval"], ENTRY)
    with pytest.raises(InputError, match="the file is not an object"):
        jsonc.set_value("[]", ["mcpServers", "retrieval"], ENTRY)
    with pytest.raises(InputError, match="levels"):
        jsonc.get("[" * 10_000, ["a"])


def test_of_a_name_that_stands_twice_the_last_counts() -> None:
    assert jsonc.set_value('{"a": 1, "a": 2}', ["a"], 3) == '{"a": 1, "a": 3}'


NAMES = st.sampled_from(["a", "b", "mcpServers", "retrieval", 'c "d"', "ä", "//", "/*"])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | NAMES
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
GAPS = st.sampled_from(["", " ", "\n", "\n\t", " // , } said\n", "/* { */", "\r\n  "])


def write(draw: Any, value: Any, strict: bool) -> str:
    """The value as a text with odd spaces, and, unless it is strict, comments and last commas."""

    def gap() -> str:
        found: str = draw(GAPS)
        return re.sub(r"//.*|/\*.*\*/", "", found) if strict else found

    def listed(opened: str, parts: Sequence[str], closed: str) -> str:
        last = "," if parts and not strict and draw(st.booleans()) else ""
        return opened + gap() + ("," + gap()).join(parts) + gap() + last + gap() + closed

    if isinstance(value, dict):
        members = [
            f"{json.dumps(key)}{gap()}:{gap()}{write(draw, one, strict)}"
            for key, one in value.items()
        ]
        return listed("{", members, "}")
    if isinstance(value, list):
        return listed("[", [write(draw, one, strict) for one in value], "]")
    return json.dumps(value)


@given(st.dictionaries(NAMES, VALUES, max_size=4), st.booleans(), st.data())
@settings(max_examples=300)
def test_whatever_the_text_is_only_the_value_changes(
    whole: dict[str, Any], strict: bool, data: st.DataObject
) -> None:
    text = write(data.draw, whole, strict)
    assert jsonc.get(text, []) == whole
    expected = json.loads(json.dumps(whole))
    if not isinstance(expected.setdefault("mcpServers", {}), dict):
        with pytest.raises(InputError, match="is not an object"):
            jsonc.set_value(text, ["mcpServers", "retrieval"], ENTRY)
        return
    had = "retrieval" in expected["mcpServers"]
    expected["mcpServers"]["retrieval"] = ENTRY
    put = jsonc.set_value(text, ["mcpServers", "retrieval"], ENTRY)
    assert jsonc.get(put, []) == expected
    assert jsonc.set_value(put, ["mcpServers", "retrieval"], ENTRY) == put
    removed = jsonc.remove(put, ["mcpServers", "retrieval"])
    del expected["mcpServers"]["retrieval"]
    assert jsonc.get(removed, []) == expected
    if strict:
        assert json.loads(put) and json.loads(removed) == expected
    if not had:  # every comment is still there
        for comment in ("// , } said", "/* { */"):
            assert text.count(comment) == put.count(comment) == removed.count(comment)
