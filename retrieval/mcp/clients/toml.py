"""TOML, edited in place: everything but the entry stays as it is, comments included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from retrieval.errors import InputError

if TYPE_CHECKING:
    from tomlkit import TOMLDocument


def get(text: str, path: Sequence[str]) -> Any:
    """The value at a path of names; None if there is none.

    Raises:
        InputError: the text is not TOML.
    """
    value: Any = _parse(text).unwrap()
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return None
        value = value[name]
    return value


def set_value(text: str, path: Sequence[str], value: Mapping[str, Any]) -> str:
    """The text with a table at a path of names; missing tables on the path are created.

    Raises:
        InputError: the text is not TOML, or something on the path is not a table.
    """
    import tomlkit
    import tomlkit.items

    document = _parse(text)
    at: Any = document
    for depth, name in enumerate(path[:-1]):
        if name not in at:
            at.add(name, tomlkit.table(is_super_table=True))
        at = at[name]
        if not isinstance(at, dict):
            raise InputError(f"{'.'.join(path[: depth + 1])} is not a table")
    inline = isinstance(at, tomlkit.items.InlineTable)
    table: Any = tomlkit.inline_table() if inline else tomlkit.table()
    for name, one in value.items():
        table.add(name, one)
    at[path[-1]] = table
    return _rendered(document)


def remove(text: str, path: Sequence[str]) -> str:
    """The text without what is at a path of names, if it is there.

    Raises:
        InputError: the text is not TOML.
    """
    if get(text, path) is None:
        return text
    document = _parse(text)
    at: Any = document
    for name in path[:-1]:
        at = at[name]
    del at[path[-1]]
    return _rendered(document)


def _parse(text: str) -> TOMLDocument:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        return tomlkit.parse(text)
    except TOMLKitError as error:
        raise InputError(f"it is not TOML: {' '.join(str(error).split())}") from None


def _rendered(document: TOMLDocument) -> str:
    import tomlkit

    return tomlkit.dumps(document)
