"""What a worker sends: all of it comes, and nothing that is not of its form."""

from __future__ import annotations

import dataclasses
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.documents.formats import Parsed
from retrieval.documents.outline import Block, Mark, Outline, Part, Section
from retrieval.documents.workers import wire

FULL = Parsed(
    "# T\n\ndef f(): pass\n" * 3,
    "T\ud800",
    {"number": 1.5, "names": ["a"], "none": None},
    Outline(
        [Section("T", 1, 0, 3, 54)],
        [
            Block("definition", 5, 17, "lead", "python", "f", "def f()", (5, 8), 1, 6),
            Block("table", 23, 30),
        ],
        [Mark(0, "page", 1), Mark(9, "part", "sheet")],
        [Part(0, 1), Part(18, 2, joins=False)],
        ([5], [], [23, 41]),
        False,
    ),
    "id",
    ("odd",),
    "text",
    True,
)


def sent(parsed: Parsed) -> Parsed:
    stream = io.BytesIO()
    wire.write(stream, wire.dumped(wire.parsed_as_lists(parsed)))
    stream.seek(0)
    payload = wire.read(stream, 1 << 20)
    assert payload is not None and wire.read(stream, 1 << 20) is None
    return wire.parsed_of(wire.loaded(payload))


def test_every_field_comes() -> None:
    for value in (FULL, FULL.outline, *FULL.outline.blocks[:1]):
        for field in dataclasses.fields(value):  # none is left as it is by default
            default = field.default
            assert getattr(value, field.name) != default, field.name
    assert sent(FULL) == FULL
    plain = sent(Parsed("text"))
    assert (plain.text, plain.id, list(plain.outline.parts)) == ("text", None, [Part(0, 0)])


@given(st.text(), st.text(), st.dictionaries(st.text(), st.integers() | st.text() | st.none()))
def test_every_text_comes(text: str, title: str, metadata: dict[str, Any]) -> None:
    made = sent(Parsed(text, title, metadata))
    assert (made.text, made.title, made.metadata) == (text, title, metadata)


def leaves(value: Any, path: tuple[int, ...] = ()) -> list[tuple[int, ...]]:
    found = [path]
    if isinstance(value, list):
        for at, inner in enumerate(value):
            found += leaves(inner, (*path, at))
    return found


NESTED = wire.parsed_as_lists(dataclasses.replace(FULL, title="T"))


@given(st.data())
def test_what_is_not_of_its_form_is_refused(data: st.DataObject) -> None:
    value = json.loads(json.dumps(NESTED))
    path = data.draw(st.sampled_from([path for path in leaves(NESTED) if path]))
    wrong = data.draw(st.sampled_from([-1, 1e9, 10**9, None, [], {}, [[]], "page?", b"".hex()]))
    inner = value
    for at in path[:-1]:
        inner = inner[at]
    inner[path[-1]] = wrong
    try:
        made = wire.parsed_of(value)
    except wire.WireError:
        return
    end = len(made.text)
    outline = made.outline
    assert all(type(words) is str for words in (made.text, made.title, *made.problems))
    assert all(0 <= at <= end for block in outline.blocks for at in (block.start, block.end))
    assert all(0 <= at <= end for one in outline.sections for at in (one.start, one.body, one.end))
    assert all(0 <= mark.start <= end for mark in outline.marks)
    assert all(0 <= at <= end for offsets in outline.breaks for at in offsets)


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff", b"[" * 100_000, b"1" * 5000])
def test_what_is_no_json_is_refused(payload: bytes) -> None:
    with pytest.raises(wire.WireError):
        wire.loaded(payload)


def test_a_frame_may_be_too_long_or_cut_off() -> None:
    stream = io.BytesIO()
    wire.write(stream, b"12345")
    whole = stream.getvalue()
    with pytest.raises(wire.WireError):
        wire.read(io.BytesIO(whole), 4)
    for end in range(len(whole)):
        assert wire.read(io.BytesIO(whole[:end]), 5) is None
