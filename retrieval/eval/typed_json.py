"""JSON as dataclasses: what does not fit is named by its place."""

from __future__ import annotations

import dataclasses
import math
from functools import cache
from types import UnionType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

_T = TypeVar("_T")


class MisfitError(ValueError):
    """What was found and what was expected, without the file's name."""


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _value(kind: Any, value: Any, where: str) -> Any:
    """The value as `kind`: a dataclass, mapping, tuple, optional or plain type.

    Raises:
        MisfitError: it is none, named by `where`.
    """
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _dataclass(kind, value, where)
    origin, inner = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return None if value is None else _value(inner[0], value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise MisfitError(f"{where} is {_kind(value)}, expected a list")
        return tuple(_value(inner[0], item, f"{where}[{at}]") for at, item in enumerate(value))
    if origin is not None:
        if not isinstance(value, dict):
            raise MisfitError(f"{where} is {_kind(value)}, expected an object")
        return {key: _value(inner[1], item, f"{where}.{key}") for key, item in value.items()}
    if kind is float and type(value) is int:
        try:
            return float(value)
        except OverflowError:
            raise MisfitError(f"{where} is beyond all floats, expected float") from None
    if type(value) is not kind or (kind is float and not math.isfinite(value)):
        raise MisfitError(f"{where} is {_kind(value)}, expected {kind.__name__}")
    return value


def _dataclass(cls: type, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise MisfitError(f"{where} is {_kind(value)}, expected an object")
    hints = _hints(cls)
    required = {
        f.name
        for f in dataclasses.fields(cls)
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    }
    missing = sorted(required - set(value))
    if missing:
        raise MisfitError(f"{where} has no {', '.join(missing)}")
    known = {name: item for name, item in value.items() if name in hints}
    return cls(**{n: _value(hints[n], item, f"{where}.{n}") for n, item in known.items()})


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
    if value is None:
        return "null"
    return names.get(type(value), str(value))


def decoded(kind: type[_T], value: Any, where: str) -> _T:
    """What `json.loads` gave, as a dataclass: its fields are mappings, tuples, optional or plain.

    Fields that the class does not have are ignored.

    Args:
        where: what the value is called in an error.

    Raises:
        MisfitError: a value is missing or of another kind; its place is named.
    """
    return cast(_T, _value(kind, value, where))
