"""Arguments of server requests: their JSON Schema, and checking values against it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from retrieval.errors import InputError
from retrieval.numeric import is_number

UNBOUNDED = 1_000_000_000
"""The maximum of a number without a bound of its own."""

MAX_TEXT = 20_000
"""Maximum characters of a text; a longer one is taken for a mistake."""

Type = Literal[
    "string", "integer", "number", "boolean", "object",
    "strings", "texts", "objects", "records", "filter", "numbers", "vectors",
]  # fmt: skip
"""`strings` is a list of texts, `texts` one text or a list of them, `objects` a list of objects,
`records` a list of texts or of objects with a `text`, `filter` a text or an object, `numbers` a
list of numbers, `vectors` a list of lists of numbers."""

_TEXT, _OBJECT = {"type": "string"}, {"type": "object"}
_RECORD = {"type": "object", "properties": {"text": _TEXT}, "required": ["text"]}
_NUMBERS = {"type": "array", "items": {"type": "number"}}
_SCHEMAS: Mapping[Type, Mapping[str, Any]] = {
    "string": _TEXT,
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "strings": {"type": "array", "items": _TEXT},
    "texts": {"oneOf": [_TEXT, {"type": "array", "items": _TEXT}]},
    "object": _OBJECT,
    "objects": {"type": "array", "items": _OBJECT},
    "records": {"type": "array", "items": {"oneOf": [_TEXT, _RECORD]}},
    "filter": {"oneOf": [_TEXT, _OBJECT]},
    "numbers": _NUMBERS,
    "vectors": {"type": "array", "items": _NUMBERS},
}
_SAID: Mapping[Type, str] = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "strings": "a list of texts",
    "texts": "a text or a list of texts",
    "object": "an object",
    "objects": "a list of objects",
    "records": "a list of texts, or of objects that have a `text`",
    "filter": "a text or an object",
    "numbers": "a list of numbers",
    "vectors": "a list of lists of numbers",
}


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument.

    Attributes:
        name: its name.
        type: see `Type`.
        description: what it means.
        default: used if it is not given; None if it is required.
        required: whether it must be given.
        least, most: bounds of a number; for a list, `most` entries.
        longest: maximum characters of a text, or of each text of a list.
        choices: the texts that are allowed; empty allows all.
    """

    name: str
    type: Type
    description: str
    default: str | float | bool | None = None
    required: bool = False
    least: float = 0
    most: float = UNBOUNDED
    longest: int = MAX_TEXT
    choices: tuple[str, ...] = ()

    def schema(self) -> dict[str, Any]:
        """Its JSON Schema."""
        said = {**_SCHEMAS[self.type], "description": self.description}
        if self.type in ("integer", "number"):
            said |= {"minimum": self.least, "maximum": self.most}
        if self.choices:
            said["enum"] = list(self.choices)
        if self.default is not None:
            said["default"] = self.default
        return said

    def check(self, value: Any) -> Any:
        """Check a value and return it.

        Raises:
            InputError: it is not valid.
        """
        if self.type == "integer" and isinstance(value, float) and value.is_integer():
            value = int(value)  # JSON does not distinguish 5 from 5.0
        if not _is(self.type, value):
            raise InputError(f"{self.name} is {_named(value)}; give {_SAID[self.type]}")
        if self.type in ("integer", "number") and not self.least <= value <= self.most:
            bounds = f"{self.least:g} to {self.most:g}"
            if self.most == UNBOUNDED:
                bounds = f"{self.least:g} or more"
            raise InputError(f"{self.name} is {_named(value)}; give {bounds}")
        if self.choices and value not in self.choices:
            raise InputError(
                f"{self.name} is {_named(value)}; choose from {', '.join(self.choices)}"
            )
        if isinstance(value, list) and len(value) > self.most:
            raise InputError(f"{self.name} has {len(value)} entries; give at most {self.most:g}")
        for one in value if isinstance(value, list) else [value]:
            text = one.get("text") if self.type == "records" and isinstance(one, dict) else one
            if isinstance(text, str):
                self._check_text(text)
        return value

    def _check_text(self, text: str) -> None:
        if len(text) > self.longest:
            raise InputError(f"{self.name} has {len(text)} characters; give at most {self.longest}")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"{self.name} has half a surrogate pair at character {error.start}; "
                "give whole characters"
            ) from None

    def parse(self, text: str) -> Any:
        """Parse and check a value given as text in a URL.

        Raises:
            InputError: it is not valid.
        """
        value: Any = text
        try:
            if self.type == "integer":
                value = int(text)
            elif self.type == "number":
                value = float(text)
            elif self.type == "boolean":
                value = {"true": True, "1": True, "false": False, "0": False}[text]
        except (ValueError, KeyError):
            raise InputError(f"{self.name} is {_named(text)}; give {_SAID[self.type]}") from None
        return self.check(value)


def schema_of(arguments: Sequence[Argument]) -> dict[str, Any]:
    """JSON Schema of an object with these arguments."""
    return {
        "type": "object",
        "properties": {one.name: one.schema() for one in arguments},
        "required": [one.name for one in arguments if one.required],
        "additionalProperties": False,
    }


def checked(arguments: Sequence[Argument], given: Mapping[str, Any]) -> dict[str, Any]:
    """Every argument by name, with its default if it is missing or null.

    Raises:
        InputError: one is required but missing, unknown, or not valid.
    """
    _check_names(arguments, given)
    return {one.name: _value(one, given.get(one.name)) for one in arguments}


def parsed(arguments: Sequence[Argument], given: Mapping[str, str]) -> dict[str, Any]:
    """Like `checked`, for texts from a URL."""
    _check_names(arguments, given)
    known = {one.name: one for one in arguments}
    values = {name: known[name].parse(text) for name, text in given.items()}
    return {one.name: _value(one, values.get(one.name)) for one in arguments}


def _check_names(arguments: Sequence[Argument], given: Mapping[str, Any]) -> None:
    names = [one.name for one in arguments]
    for name in given:
        if name not in names:
            takes = ", ".join(names) or "none"
            raise InputError(f"unknown argument {name[:100]!r}; there are: {takes}")


def _value(one: Argument, given: Any) -> Any:
    if given is None and one.required:
        raise InputError(f"{one.name} is missing; give {one.description}")
    return one.default if given is None else one.check(given)


def _is(type: Type, value: Any) -> bool:
    match type:
        case "string":
            return isinstance(value, str)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return is_number(value) and math.isfinite(value)
        case "boolean":
            return isinstance(value, bool)
        case "strings":
            return isinstance(value, list) and all(isinstance(text, str) for text in value)
        case "texts":
            return isinstance(value, str) or _is("strings", value)
        case "object":
            return isinstance(value, dict)
        case "objects":
            return isinstance(value, list) and all(isinstance(one, dict) for one in value)
        case "records":
            return isinstance(value, list) and all(
                isinstance(one, str) or (isinstance(one, dict) and isinstance(one.get("text"), str))
                for one in value
            )
        case "filter":
            return isinstance(value, str | dict)
        case "numbers":
            return isinstance(value, list) and all(_is("number", one) for one in value)
        case "vectors":
            return isinstance(value, list) and all(_is("numbers", one) for one in value)


def _named(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
