"""The fields at the start of a Markdown file: YAML between dashes, or TOML between pluses.

Of YAML, only simple fields are read: texts, numbers, truth values, and flat lists of these. Deeper
values are not, so that a file cannot contain anything else. Dates stay as they are written.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from retrieval.documents.formats.yaml_values import (
    Written,
    flow_list,
    scalar,
    seen,
    without_comment,
)

_HEAD_CHARS = 64 * 1024
"""The fields of front matter that does not end within this many characters are not read."""
_BLOCK = re.compile(
    r"(---|\+\+\+)[ \t]*\r?\n(?P<fields>.*?)^(?:\1|\.\.\.)[ \t]*(?:\r?\n|\r?\Z)",
    re.DOTALL | re.MULTILINE,
)
_UNSAID = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\r?\n)*+")
_FIRST = {
    "---": re.compile(r"[\w\"'][^\n]*[:=]"),
    "+++": re.compile(r"\[|[\w\"'][^\n]*="),
}
"""What a block begins with, after any comments."""
_OF_MAPPING = re.compile(
    r"[ \t]*(?:\r?$|#)|[ \t]|[\]}]|-(?:[ \t]|\r?$)"
    r"|(?:[\w.-]+|\"[^\"\n]*\"|'[^'\n]*')[ \t]*[:=](?:[ \t]|\r?$)"
)
_KNOWN = frozenset({"author", "authors", "categories", "category", "date", "description", "draft",
                    "id", "layout", "permalink", "slug", "tags", "title", "weight"})  # fmt: skip
_FIELD = re.compile(r"(?:([\w-]+)|\"([^\"\n]*)\"|'([^'\n]*)')[ \t]*[:=](.*)$")
_ITEM = re.compile(r"([ \t]*)-(?:[ \t]+(.*))?$")
_MAPPING = re.compile(r"(?:[\w-]+|\"[^\"]*\"|'[^']*'):(?:[ \t]|$)")
_FOLDED = re.compile(r"[>|][-+\d]*(?:[ \t]+#.*)?$")
"""The mark of a block of text on the lines below; such a field is left out as not useful."""
_LONG_KEY = re.compile(r"(?:(?:(?<![\w-])[\w-]++|\"[^\"\n]*+\"|'[^'\n]*+')[ \t]*+\.[ \t]*+){9}")
"""A key of more parts than front matter has; the TOML parser's time grows with their square."""
_WHOLE = re.compile(r"[-+]?(?:0|[1-9]\d{0,17})")
_REAL = re.compile(r"[-+]?\d{1,17}\.\d{1,17}")
_NOTHING = frozenset({"~", "NULL", "Null", "null"})
_MOST = 10**18


def end_of(text: str) -> int:
    """The offset at which the text continues after its front matter; 0 if it has none."""
    front = _found(text)
    return front.end() if front else 0


def title(text: str) -> str:
    """The `title` of the front matter, or ""."""
    said = _fields(text).get("title", "")
    words = map(_text, said) if isinstance(said, list) else [_text(said)]
    return " ".join(", ".join(words).split())


def fields(text: str) -> dict[str, Any]:
    """The fields of the front matter except `title`, with names in lower case."""
    typed: dict[str, Any] = {}
    for name, said in _fields(text).items():
        several = said if isinstance(said, list) else [said]
        values = [value for one in several if (value := _typed(one)) != ""]
        if name != "title" and values:
            typed[name] = values if isinstance(said, list) else values[0]
    return typed


def _found(text: str) -> re.Match[str] | None:
    front = _BLOCK.match(text)
    if front is None:
        return None
    said = front["fields"]
    begins = _UNSAID.match(said)
    at = begins.end() if begins else 0
    if not _FIRST[front[1]].match(said, at) or (at and front[1] == "---" and not _is_mapping(said)):
        return None
    return front


def _is_mapping(said: str) -> bool:
    """Whether a block that begins with a comment or a blank line is not text between two rules.

    In such text, a blank line separates at least the last paragraph from the rule below it, since
    it would be a heading otherwise. A block that begins with a comment may also end in a blank line
    if it has a field that is typical of front matter.
    """
    lines = said.split("\n")[:-1]
    if not all(map(_OF_MAPPING.match, lines)):
        return False
    written = filter(None, map(_FIELD.match, lines))
    names = {(field[1] or field[2] or field[3] or "").lower() for field in written}
    return bool(lines[-1].strip() or (lines[0].strip() and names & _KNOWN))


def _fields(text: str) -> dict[str, Any]:
    """Each field's value or list of values; those of YAML are kept as written."""
    front = _found(text[:_HEAD_CHARS])
    if front is None:
        return {}
    said = front["fields"]
    if front[1] == "+++" and (read := _toml(said)) is not None:
        return read
    return dict(_yaml(said))


def _toml(said: str) -> dict[str, Any] | None:
    """The fields before any table; None if it is not TOML."""
    if _LONG_KEY.search(said):
        return None
    try:
        read = tomllib.loads(said.replace("\r\n", "\n"))
    except (ValueError, RecursionError):
        return None
    return {name.lower(): value for name, value in read.items() if not isinstance(value, dict)}


def _yaml(said: str) -> Iterator[tuple[str, Written | list[Written]]]:
    """Each field and its value; lines of TOML are also read as fields, up to the first table."""
    name, rest = "", ""
    below: list[str] = []
    for line in said.split("\n"):
        if line.startswith("["):
            break
        field = _FIELD.match(line.rstrip())
        if field is None:
            below.append(line.rstrip())
            continue
        if name and (value := _value(rest, below)) is not None:
            yield name, value
        name, rest = (field[1] or field[2] or field[3] or "").lower(), field[4].strip()
        below = []
    if name and (value := _value(rest, below)) is not None:
        yield name, value


def _value(rest: str, below: list[str]) -> Written | list[Written] | None:
    """A value that begins after its name and continues below; None if it is not to be kept."""
    if _FOLDED.match(rest):
        return None
    first = next((line for line in below if line.strip() and line.lstrip()[0] != "#"), "")
    if not rest or rest.startswith("#"):
        if item := _ITEM.match(first):
            return list(_items(below, item[1]))
        if _MAPPING.match(first.strip()):
            return None
    goes_on = [line.strip() for line in below if line[:1].isspace() or line[:1] in ("]", "}")]
    if (listed := flow_list("\n".join([rest, *goes_on]))) is not None:
        return listed
    if rest[:1] not in ("'", '"'):
        rest = without_comment(rest)
        goes_on = [without_comment(line) for line in goes_on]
        if any(_MAPPING.match(line) or _ITEM.match(line) for line in goes_on):
            goes_on = []  # the lines below do not belong to the value
    found = scalar(" ".join([rest, *goes_on]))
    return found if found.quoted or found.text not in _NOTHING else None


def _items(below: Iterable[str], indent: str) -> Iterator[Written]:
    """The items of a list, except nested lists and fields."""
    for line in below:
        item = _ITEM.match(line)
        if item and item[1] == indent and item[2]:
            said = item[2].strip()
            if not _MAPPING.match(said) and flow_list(said) is None and said[:1] not in "-{#":
                yield scalar(said)


def _text(value: Any) -> str:
    if isinstance(value, Written):
        return value.text
    typed = _typed(value)
    return str(typed).lower() if isinstance(typed, bool) else str(typed)


def _typed(value: Any) -> str | int | float | bool:
    """A value in a form that metadata can hold, or "" if there is none."""
    if isinstance(value, Written):
        return value.text if value.quoted else _told(value.text)
    if isinstance(value, str):
        return seen(value)
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < _MOST else ""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    said: Callable[[], str] | None = getattr(value, "isoformat", None)  # if it is a date or a time
    return said().replace("+00:00", "Z") if said else ""


def _told(plain: str) -> str | int | float | bool:
    """The value of an unquoted scalar."""
    if plain.lower() in ("false", "true"):
        return plain.lower() == "true"
    if _WHOLE.fullmatch(plain):
        return int(plain)
    return float(plain) if _REAL.fullmatch(plain) else plain
