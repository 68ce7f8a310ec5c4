"""JSON with comments (JSONC), edited in place: everything but the entry stays the same to the byte.

Comments and trailing commas are accepted; none are added to a file without them, so plain JSON
stays plain JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from retrieval.errors import InputError

_DEEPEST = 200
_SPACE = re.compile(r"(?:[ \t\r\n\ufeff]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"')
_REST = re.compile(r"[ \t]*(?:\r?\n|$)")
_PLAIN = re.compile(r"true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")


@dataclass(slots=True)
class _Member:
    """A member of an object: from where its name starts to where its value ends."""

    start: int
    value: _Value
    comma: int | None = None  # position of the comma after it


@dataclass(slots=True)
class _Value:
    """A value: the characters [start, end), and the members, if it is an object."""

    start: int
    end: int = 0
    members: dict[str, _Member] | None = None
    plain: Any = field(default=None)


def get(text: str, path: Sequence[str]) -> Any:
    """The value at a path of names; None if there is none.

    Raises:
        InputError: the text is not JSON with comments.
    """
    value = _parse(_or_empty(text)).plain
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return None
        value = value[name]
    return value


def set_value(text: str, path: Sequence[str], value: Any) -> str:
    """The text with a value at a path of names; missing objects on the path are created.

    Raises:
        InputError: the text is not JSON with comments, or something on the path is not an object.
    """
    text = _or_empty(text)
    at = _parse(text)
    for depth, name in enumerate(path):
        if at.members is None:
            where = ".".join(path[:depth]) or "the file"
            raise InputError(f"{where} is not an object")
        member = at.members.get(name)
        if member is None:
            for below in reversed(path[depth + 1 :]):
                value = {below: value}
            return _inserted(text, at, name, value)
        at = member.value
    if at.plain == value:
        return text
    return text[: at.start] + _written(text, value, _indent_at(text, at.start)) + text[at.end :]


def remove(text: str, path: Sequence[str]) -> str:
    """The text without what is at a path of names, if it is there.

    Raises:
        InputError: the text is not JSON with comments.
    """
    at: _Value | None = _parse(_or_empty(text))
    for name in path[:-1]:
        member = (at.members or {}).get(name) if at else None
        at = member.value if member else None
    members = (at.members or {}) if at else {}
    if path[-1] not in members:
        return text
    names = list(members)
    gone = members[path[-1]]
    start, end = gone.start, gone.value.end
    if gone.comma is not None:
        end = gone.comma + 1
    elif len(names) > 1:  # the member before becomes the last, which has no comma in this file
        comma = members[names[names.index(path[-1]) - 1]].comma
        assert comma is not None
        text = text[:comma] + text[comma + 1 :]
        start, end = start - 1, end - 1
    line = text.rfind("\n", 0, start) + 1
    rest = _REST.match(text, end)
    if not text[line:start].strip(" \t") and rest:  # nothing else is on its lines
        start, end = line, rest.end()
    else:
        start = len(text[:start].rstrip(" \t"))
    return text[:start] + text[end:]


def _inserted(text: str, parent: _Value, name: str, value: Any) -> str:
    """The text with one more member, the last, of an object."""
    members = parent.members or {}
    line_end = "\r\n" if "\r\n" in text else "\n"
    outer = _indent_at(text, parent.start)
    close = parent.end - 1
    if not members:
        indent = outer + _unit(text)
        member = f"{json.dumps(name)}: {_written(text, value, indent)}"
        kept = text[parent.start + 1 : close].rstrip()  # comments
        return (
            f"{text[: parent.start + 1]}{kept}{line_end}{indent}{member}{line_end}{outer}"
            f"{text[close:]}"
        )
    last = list(members.values())[-1]
    first = next(iter(members.values()))
    alone = text[text.rfind("\n", 0, first.start) + 1 : first.start]
    if alone.strip(" \t"):  # the object begins its members on its own line
        if "\n" not in text[parent.start : parent.end]:
            comma = "" if last.comma is not None else ","
            end = last.value.end if last.comma is None else last.comma + 1
            member = f" {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}"
            return f"{text[:end]}{comma}{member}{text[end:]}"
        alone = outer + _unit(text)
    member = f"{json.dumps(name)}: {_written(text, value, alone)}"
    kept_to = len(text[:close].rstrip())
    tail = f"{line_end}{alone}{member}"
    if last.comma is not None:
        return f"{text[:kept_to]}{tail},{line_end}{outer}{text[close:]}"
    end = last.value.end
    return f"{text[:end]},{text[end:kept_to]}{tail}{line_end}{outer}{text[close:]}"


def _written(text: str, value: Any, indent: str) -> str:
    """A value as JSON text for lines with this indentation."""
    unit = _unit(text)
    plain = json.dumps(value, ensure_ascii=False, indent=unit)
    line_end = "\r\n" if "\r\n" in text else "\n"
    return plain.replace("\n", f"{line_end}{indent}")


def _unit(text: str) -> str:
    """One step of the text's indentation."""
    found = re.search(r"^([ \t]+)\S", text, re.MULTILINE)
    if found is None:
        return "  "
    return "\t" if found[1].startswith("\t") else found[1]


def _indent_at(text: str, place: int) -> str:
    """The indentation of the line of a character."""
    line = text[text.rfind("\n", 0, place) + 1 : place]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _or_empty(text: str) -> str:
    """The text, or an empty object if it is blank or the file does not exist."""
    return text if text.strip("\ufeff \t\r\n") else "{}\n"


def _parse(text: str) -> _Value:
    parser = _Parser(text)
    value = parser.value(parser.space(0), 0)
    end = parser.space(value.end)
    if end != len(text):
        parser.fail(end)
    return value


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text

    def fail(self, at: int) -> NoReturn:
        line = self.text.count("\n", 0, at) + 1
        column = at - self.text.rfind("\n", 0, at)
        raise InputError(f"it is not JSON at line {line}, column {column}")

    def space(self, at: int) -> int:
        """Where the next token starts."""
        found = _SPACE.match(self.text, at)
        return found.end() if found else at

    def value(self, at: int, depth: int) -> _Value:
        text = self.text
        if depth > _DEEPEST:
            raise InputError(f"it has more than {_DEEPEST} levels")
        first = text[at : at + 1]
        if first == "{":
            return self._object(at, depth)
        if first == "[":
            return self._array(at, depth)
        found = (_STRING if first == '"' else _PLAIN).match(text, at)
        if found is None:
            self.fail(at)
        return _Value(at, found.end(), None, json.loads(found[0]))

    def _object(self, start: int, depth: int) -> _Value:
        made = _Value(start, 0, {}, {})
        assert made.members is not None
        at = self.space(start + 1)
        while self.text[at : at + 1] != "}":
            name = _STRING.match(self.text, at)
            if name is None:
                self.fail(at)
            colon = self.space(name.end())
            if self.text[colon : colon + 1] != ":":
                self.fail(colon)
            value = self.value(self.space(colon + 1), depth + 1)
            key = json.loads(name[0])
            made.members.pop(key, None)  # if a name occurs twice the last counts
            made.members[key] = member = _Member(at, value)
            made.plain[key] = value.plain
            at = self.space(value.end)
            if self.text[at : at + 1] == ",":
                member.comma = at
                at = self.space(at + 1)
            elif self.text[at : at + 1] != "}":
                self.fail(at)
        made.end = at + 1
        return made

    def _array(self, start: int, depth: int) -> _Value:
        made = _Value(start, 0, None, [])
        at = self.space(start + 1)
        while self.text[at : at + 1] != "]":
            value = self.value(at, depth + 1)
            made.plain.append(value.plain)
            at = self.space(value.end)
            if self.text[at : at + 1] == ",":
                at = self.space(at + 1)
            elif self.text[at : at + 1] != "]":
                self.fail(at)
        made.end = at + 1
        return made
