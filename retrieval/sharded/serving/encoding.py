"""Messages as bytes: msgpack, with arrays and a closed list of our own records.

A value that msgpack has no type for is an array whose first element is an extension type that says
    what the rest is: a record's fields, a NumPy array's dtype, shape and bytes, the elements of a
    tuple or a set, an integer beyond 64 bits, an error's text. Nothing else can be created from
    received data: classes and functions are looked up only in the list here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

import numpy as np

from retrieval import errors
from retrieval.index.reading.runs import Query
from retrieval.index.reading.searched import Copies, Likeness
from retrieval.indexes import Filter, LexicalTotals, filter_nodes
from retrieval.sharded.manifest import ShardRecord
from retrieval.sharded.serving.messages import Ask, Keep, Load
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

try:
    import msgpack
except ImportError as error:
    raise errors.MissingDependency(
        "shards are served over msgpack, which is not installed; "
        "pip install 'modernbert-retrieval[shards]'"
    ) from error

_FILTERS: tuple[type[Any], ...] = (
    Filter,
    filter_nodes.And,
    filter_nodes.Compare,
    filter_nodes.Constant,
    filter_nodes.Empty,
    filter_nodes.Exists,
    filter_nodes.In,
    filter_nodes.IsKind,
    filter_nodes.Key,
    filter_nodes.Length,
    filter_nodes.Not,
    filter_nodes.Or,
    filter_nodes.SameList,
    filter_nodes.Text,
    filter_nodes.Time,
    filter_nodes.Truthy,
)
_ASKED: tuple[type[Any], ...] = (Ask, Keep, Load, Query, Hybrid, LateOptions, Settings)
_ANSWERED: tuple[type[Any], ...] = (
    Context,
    Copies,
    Document,
    Embeddings,
    Hit,
    LexicalTotals,
    Likeness,
    Listed,
    Passage,
    Place,
    ShardRecord,
    TokenMatch,
)
ANSWERS = 3
"""To be raised when an answer of `OpenShard` that is not a record changes."""

RECORDS = {one.__name__: one for one in (*_FILTERS, *_ASKED, *_ANSWERED)}
"""Every record that can be sent, by its name."""

_ERRORS: dict[str, type[errors.RetrievalError]] = {
    name: one
    for name, one in vars(errors).items()
    if isinstance(one, type) and issubclass(one, errors.RetrievalError)
}


class _Code:
    """Codes of msgpack's extension types."""

    RECORD, ARRAY, TUPLE, SET, INTEGER, ERROR = range(1, 7)


_DTYPES = frozenset(["<f4", "<f8", "<i8", "<i4", "<u4", "<u8", "|b1", "|u1", "|i1"])


class EncodingError(ValueError):
    """A value cannot be sent, or received bytes are not a message; its text is one line."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """The first element of an array that represents another type."""

    code: int
    name: str


def encoded(value: Any) -> bytes:
    """A message as bytes.

    Raises:
        EncodingError: it contains something that cannot be sent.
    """
    try:
        content: bytes = msgpack.packb(
            value, default=_unpacked, strict_types=True, unicode_errors="surrogatepass"
        )
    except (ValueError, TypeError, OverflowError) as error:
        raise EncodingError(f"a message cannot be sent: {_line(error)}") from error
    return content


def decoded(content: bytes | bytearray | memoryview) -> Any:
    """Decode a message.

    Raises:
        EncodingError: the bytes are not a message.
    """
    try:
        return msgpack.unpackb(
            content,
            ext_hook=_mark,
            list_hook=_made,
            strict_map_key=False,
            unicode_errors="surrogatepass",
        )
    except EncodingError:
        raise
    except Exception as error:  # msgpack raises five kinds, and records check their values
        raise EncodingError(
            f"received bytes are not a message ({type(error).__name__}: {_line(error)})"
        ) from error


def schema() -> bytes:
    """Eight bytes that change with the records' fields and `ANSWERS`; equal at both ends."""
    told = repr((ANSWERS, sorted((name, _names(one)) for name, one in RECORDS.items())))
    return hashlib.blake2b(told.encode(), digest_size=8).digest()


def _names(record: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(record))


def _fields_of(record: type[Any]) -> Callable[[Any], tuple[Any, ...]]:
    names = _names(record)
    if len(names) > 1:
        return attrgetter(*names)
    only = attrgetter(*names)
    return lambda value: (only(value),)


_MARKS = {
    one: (msgpack.ExtType(_Code.RECORD, name.encode()), _fields_of(one))
    for name, one in RECORDS.items()
}
_COUNTS = {name: len(fields(one)) for name, one in RECORDS.items()}
_KNOWN = {
    (code, name.encode()): _Mark(code, name)
    for code, names in (
        (_Code.RECORD, RECORDS),
        (_Code.ERROR, _ERRORS),
        *((code, ("",)) for code in (_Code.ARRAY, _Code.TUPLE, _Code.SET, _Code.INTEGER)),
    )
    for name in names
}
_OF_TUPLE = msgpack.ExtType(_Code.TUPLE, b"")
_OF_SET = msgpack.ExtType(_Code.SET, b"")
_OF_ARRAY = msgpack.ExtType(_Code.ARRAY, b"")
_OF_INTEGER = msgpack.ExtType(_Code.INTEGER, b"")


def _unpacked(value: Any) -> Any:
    """Replace a value that msgpack has no type for by one that it can pack."""
    kind = type(value)
    if kind is tuple:
        return [_OF_TUPLE, *value]
    if kind in _MARKS:
        mark, fields_of = _MARKS[kind]
        return [mark, *fields_of(value)]
    if kind is np.ndarray:
        if value.dtype.str not in _DTYPES:
            raise EncodingError(f"an array of {value.dtype} cannot be sent")
        return [_OF_ARRAY, value.dtype.str, list(value.shape), value.tobytes()]
    if kind is int:
        return [_OF_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)]
    if isinstance(value, np.generic) and value.dtype.str in _DTYPES:
        return value.item()
    if kind is frozenset:
        return [_OF_SET, *sorted(value)]
    if isinstance(value, errors.RetrievalError) and type(value).__name__ in _ERRORS:
        mark = msgpack.ExtType(_Code.ERROR, type(value).__name__.encode())
        return [mark, str(value), getattr(value, "shard", -1)]
    if isinstance(value, Mapping) and kind is not dict:
        return dict(value)
    raise EncodingError(f"a {kind.__module__}.{kind.__qualname__} cannot be sent")


def _mark(code: int, data: bytes) -> _Mark:
    known = _KNOWN.get((code, data))
    if known is None:
        raise EncodingError(f"it contains an unknown type: {code}, {data[:40]!r}")
    return known


def _made(parts: list[Any]) -> Any:
    """The value that an array represents: itself, unless its first element is a mark."""
    if not parts or type(parts[0]) is not _Mark:
        return parts
    mark, *rest = parts
    match mark.code:
        case _Code.TUPLE:
            return tuple(rest)
        case _Code.RECORD:
            if len(rest) != _COUNTS[mark.name]:
                raise EncodingError(f"a {mark.name} has {len(rest)} fields")
            return RECORDS[mark.name](*rest)
        case _Code.ARRAY:
            return _array(*rest)
        case _Code.SET:
            return frozenset(rest)
        case _Code.INTEGER:
            return int.from_bytes(rest[0], "little", signed=True)
    message, shard = rest
    kind = _ERRORS[mark.name]
    return kind(message, shard) if kind is errors.ShardUnavailable else kind(message)


def _array(dtype: str, shape: list[int], content: bytes) -> np.ndarray[Any, Any]:
    if dtype not in _DTYPES:
        raise EncodingError(f"it contains an array of {dtype!r:.40}")
    return np.frombuffer(content, dtype).reshape(shape).copy()  # so that it is writable


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
