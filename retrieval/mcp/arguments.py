"""What a tool is called with: said as JSON Schema, and checked by the same saying."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from retrieval.mcp.wire import ToolError

MAX_TEXT = 20_000
"""Characters of a text; more is a mistake."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument.

    Attributes:
        name: of it.
        type: `string` or `integer`.
        description: what the client's model is told.
        default: taken where it is not given; None of a required one.
        required: whether it must be given.
        least, most: of a number.
    """

    name: str
    type: Literal["string", "integer"]
    description: str
    default: str | int | None = None
    required: bool = False
    least: int = 0
    most: int = 1_000_000_000

    def schema(self) -> Mapping[str, Any]:
        """As JSON Schema."""
        said: dict[str, Any] = {"type": self.type, "description": self.description}
        if self.type == "integer":
            said |= {"minimum": self.least, "maximum": self.most}
        if self.default is not None:
            said["default"] = self.default
        return said

    def check(self, value: Any) -> Any:
        """The value, if it can be used.

        Raises:
            ToolError: it cannot.
        """
        if self.type == "string":
            if not isinstance(value, str):
                raise ToolError(f"{self.name} is {_named(value)}; give a text")
            if len(value) > MAX_TEXT:
                raise ToolError(f"{self.name} has {len(value)} characters; give at most {MAX_TEXT}")
            return value
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # JSON does not tell 5 from 5.0
        if isinstance(value, bool) or not isinstance(value, int):
            raise ToolError(f"{self.name} is {_named(value)}; give a whole number")
        if not self.least <= value <= self.most:
            raise ToolError(f"{self.name} is {_named(value)}; give {self.least} to {self.most}")
        return value


def schema_of(arguments: Sequence[Argument]) -> dict[str, Any]:
    """JSON Schema of an object with these arguments."""
    return {
        "type": "object",
        "properties": {one.name: one.schema() for one in arguments},
        "required": [one.name for one in arguments if one.required],
        "additionalProperties": False,
    }


def checked(arguments: Sequence[Argument], given: Mapping[str, Any]) -> dict[str, Any]:
    """Every argument by name, with its default where it is not given or null.

    Raises:
        ToolError: one is missing, unknown or cannot be used.
    """
    names = [one.name for one in arguments]
    for name in given:
        if name not in names:
            takes = ", ".join(names) or "none"
            raise ToolError(f"unknown argument {name[:100]!r}; there are: {takes}")
    values: dict[str, Any] = {}
    for one in arguments:
        value = given.get(one.name)
        if value is None and one.required:
            raise ToolError(f"{one.name} is missing; {one.description}")
        values[one.name] = one.default if value is None else one.check(value)
    return values


def _named(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
