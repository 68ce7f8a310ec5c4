"""What goes over the wire comes back as what it was, and nothing else can be made of bytes."""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("msgpack")

import msgpack

from retrieval import errors
from retrieval.index.reading.runs import Query
from retrieval.index.reading.searched import Copies, Likeness
from retrieval.indexes import Filter, LexicalTotals, Where
from retrieval.sharded.manifest import ShardRecord
from retrieval.sharded.open_shard import OpenShard
from retrieval.sharded.serving import encoding
from retrieval.sharded.serving.encoding import RECORDS, EncodingError, decoded, encoded
from retrieval.sharded.serving.messages import METHODS, Ask, Keep, Load
from retrieval.store import Listed, Settings
from retrieval.types import (
    Context,
    Document,
    Embeddings,
    Hit,
    Hybrid,
    LateOptions,
    Passage,
    Place,
    TokenMatch,
)

texts = st.text(
    st.characters(), max_size=8
)  # with halves of surrogate pairs, as documents may have
whole = st.integers(-(2**70), 2**70)
count = st.integers(0, 2**63)
numbers = st.floats(allow_nan=False)
values = st.recursive(
    st.none() | st.booleans() | whole | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
metadata = st.dictionaries(texts, values, max_size=3)
names = st.lists(texts, max_size=3).map(tuple)


def arrays(*dtypes: str, rows: int | None = None) -> st.SearchStrategy[Any]:
    shapes = st.lists(st.integers(0, 4), min_size=1, max_size=3).map(tuple)
    return st.builds(
        lambda dtype, shape, seed: np.frombuffer(
            np.random.default_rng(seed).bytes(math.prod(shape) * np.dtype(dtype).itemsize), dtype
        ).reshape(shape),
        st.sampled_from(dtypes),
        shapes,
        st.integers(0, 99),
    )


floats = arrays("<f4")
settings_ = st.builds(
    Settings, texts, st.none() | texts, texts, st.none() | count, count, count,
    st.sampled_from([LateOptions(), LateOptions.small(), LateOptions(exact_passages=5)]),
    st.booleans(),
)  # fmt: skip
totals = st.builds(
    LexicalTotals, count, count, st.dictionaries(texts, count), st.dictionaries(texts, count)
)
shard_records = st.builds(ShardRecord, st.none() | texts, count, count, count, count, totals)
contexts = st.builds(Context, names, texts, texts, names, texts, names)
places = st.builds(Place, st.none() | count, st.none(), st.none() | count, st.none() | texts)
passages = st.builds(Passage, texts, count, count, count, contexts, places)
several = st.lists(passages, max_size=2).map(tuple)
spans = st.tuples(count, count)
scores = st.dictionaries(texts, numbers, max_size=3)
queries = st.builds(
    Query, texts, texts, st.none() | floats, st.none() | floats, st.none() | arrays("<i8")
)
hits = st.builds(
    Hit, texts, passages, texts, texts, st.none() | texts, count, count, numbers, scores,
    st.dictionaries(texts, count, max_size=3), st.lists(spans, max_size=2).map(tuple), metadata,
    texts, several, count, st.just(()), numbers,
)  # fmt: skip
FILTERS: tuple[Where, ...] = (
    'lang == "en" and not year > 2020',
    'tags == ["a", 1, null] or author.name is empty',
    "length(tags) >= 2 and page is number",
    'title contains "x" and (place.page < 3 or path glob "src/**")',
    'when >= time("2020-01-01") and flag',
    'x in [1, 2.5, "b", null] and true',
    {"a": {"$exists": True}},
    "(" * 50 + "a == 1" + ")" * 50,
    " or ".join(f"(not (b{n} == {n} and {'not ' * 20}c))" for n in range(20)),
)

RECORD_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "Ask": st.builds(
        Ask, count, texts, st.tuples(st.lists(queries | hits, max_size=2), values, floats)
    ),
    "Keep": st.builds(Keep, texts, st.frozensets(count)),
    "Load": st.builds(
        Load, count, count, shard_records, totals, settings_, st.frozensets(texts)
    ),
    "Query": queries,
    "Hybrid": st.builds(Hybrid, st.integers(1, 10**6)),
    "LateOptions": st.just(LateOptions.small()),
    "Settings": settings_,
    "Context": contexts,
    "Copies": st.builds(Copies, count, several),
    "Document": st.builds(Document, texts, texts, texts, metadata),
    "Embeddings": st.builds(
        Embeddings, st.none() | floats, st.none() | floats, st.none() | arrays("<i8")
    ),
    "Hit": st.builds(lambda one, other: dataclasses.replace(one, others=(other,)), hits, hits),
    "LexicalTotals": totals,
    "Likeness": st.builds(Likeness, st.none() | floats, st.none() | floats),
    "Listed": st.builds(Listed, texts, texts, st.none() | texts, metadata, count),
    "Passage": passages,
    "Place": places,
    "ShardRecord": shard_records,
    "TokenMatch": st.builds(TokenMatch, texts, st.none() | spans, texts, spans, numbers),
}  # fmt: skip


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same to the bit, and of the same types."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    if dataclasses.is_dataclass(one):
        return all(
            same(getattr(one, field.name), getattr(other, field.name))
            for field in dataclasses.fields(one)
        )
    if isinstance(one, Mapping):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


@pytest.mark.parametrize("name", sorted(RECORD_VALUES))
def test_every_record_comes_back_as_it_was(name: str) -> None:
    @settings(max_examples=25, deadline=None)
    @given(RECORD_VALUES[name])
    def held(value: Any) -> None:
        assert type(value) is RECORDS[name]
        assert same(decoded(encoded(value)), value)

    held()


@settings(max_examples=50, deadline=None)
@given(st.lists(values | floats | arrays("|b1", "|u1", "<u4", "<f8", "<i8") | spans, max_size=4))
def test_every_value_comes_back_as_it_was(several: list[Any]) -> None:
    assert same(decoded(encoded(several)), several)


def test_every_filter_comes_back_as_it_was() -> None:
    seen = set()
    for where in FILTERS:
        one = Filter.parse(where)
        found = decoded(encoded(one))
        assert same(found, one) and found.to_sql() == one.to_sql()
        seen |= kinds(one.root)
    assert {*RECORD_VALUES, *seen, "Filter"} == RECORDS.keys()  # and none is left out here


def kinds(node: Any) -> set[str]:
    """The names of all records in a filter."""
    if isinstance(node, tuple):
        return set[str]().union(*map(kinds, node))
    if not dataclasses.is_dataclass(node):
        return set()
    inner = (getattr(node, field.name) for field in dataclasses.fields(node))
    return {type(node).__name__}.union(*map(kinds, inner))


def test_errors_come_back_with_their_kind_and_their_line() -> None:
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, errors.RetrievalError):
            found = decoded(encoded(kind(f"{name} happened")))
            assert type(found) is kind and str(found) == f"{name} happened"
    found = decoded(encoded(errors.ShardUnavailable("gone", 7)))
    assert found.shard == 7


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, np.array(["a"]), np.array([None]), ValueError("x"), print, 1j]
)
def test_what_is_not_of_the_list_is_not_sent(value: object) -> None:
    with pytest.raises(EncodingError) as told:
        encoded([{"a": value}])
    assert "\n" not in str(told.value)


def hostile() -> dict[str, bytes]:
    ext = msgpack.ExtType
    whole = encoded(Ask(1, "find", (np.zeros(3, np.float32),)))
    return {
        "an unknown extension": msgpack.packb(ext(99, b"")),
        "an unknown record": msgpack.packb([ext(1, b"Popen"), ["true"]]),
        "a module's name": msgpack.packb([ext(1, b"os.system"), "true"]),
        "too few fields": msgpack.packb([ext(1, b"Ask"), 1]),
        "an unknown error": msgpack.packb([ext(6, b"SystemExit"), "", 0]),
        "objects in an array": msgpack.packb([ext(2, b""), "|O", [1], b"12345678"]),
        "a shape that does not fit": msgpack.packb([ext(2, b""), "<f4", [2**40], b"1234"]),
        "a negative shape": msgpack.packb([ext(2, b""), "<f4", [-1, -1], b"1234"]),
        "a set of lists": msgpack.packb([ext(4, b""), []]),
        "options that are none": msgpack.packb([ext(1, b"LateOptions"), 1, 2, 3, 4]),
        "a key that is a list": b"\x81\x90\x01",
        "very deep": b"\x91" * 100_000 + b"\x01",
        "deep tuples": b"\x92\xc7\x00\x03" * 50_000 + b"\x01",
        "a length that is not there": b"\xdd\xff\xff\xff\xff",
        "too short": whole[:-1],
        "too long": whole + b"\x01",
        "nothing": b"",
        "a pickle": b"\x80\x05cos\nsystem\n",
    }


@pytest.mark.parametrize("name", hostile())
def test_hostile_bytes_are_refused_in_one_line(name: str) -> None:
    with pytest.raises(EncodingError) as told:
        decoded(hostile()[name])
    assert "\n" not in str(told.value) and len(str(told.value)) < 400


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=3))
def test_damaged_bytes_are_refused_or_are_a_message(place: int, put: bytes) -> None:
    whole = bytearray(encoded([Keep("r", frozenset([1, 2])), Query("q", dense=np.ones(4, "<f4"))]))
    at = place % len(whole)
    whole[at : at + len(put)] = put
    try:
        decoded(bytes(whole))
    except EncodingError as error:
        assert "\n" not in str(error)


def test_every_method_that_is_asked_for_is_there() -> None:
    assert all(callable(getattr(OpenShard, name)) for name in METHODS)
    assert not METHODS & {"close", "snapshot"}


def test_both_ends_have_the_same_records(monkeypatch: pytest.MonkeyPatch) -> None:
    before = encoding.schema()
    monkeypatch.delitem(RECORDS, "Keep")
    assert encoding.schema() != before


def test_only_replicas_need_msgpack() -> None:
    """A folder, and a collection in this process, are searched and served without it."""
    code = (
        "import sys; sys.modules['msgpack'] = None\n"
        "import retrieval.sharded, retrieval.service.kept_collection\n"
        "import retrieval.cli.commands.serve\n"
        "from retrieval.errors import MissingDependency\n"
        "try:\n    import retrieval.service.serving\n"
        "except MissingDependency as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert "served over msgpack, which is not installed; pip install" in done.stdout, done.stderr
