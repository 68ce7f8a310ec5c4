"""Whether a database holds the tables of an index and nothing that runs: no view, no trigger.

A view in the place of a table may have rows without end, and a generated column, a check or an
index on an expression may take any time and memory for each row. Our tables have none of these, so
a definition is held against ours as a text: comments and spaces aside it has to be the same.
"""

from __future__ import annotations

import re
import sqlite3
from functools import lru_cache

_COMMENT = re.compile(r"--[^\n]*")
_SPACES = re.compile(r"[ \t\r\n\f]+")
_AROUND = re.compile(r" ?([(),]) ?")
_NAMED = re.compile(r"CREATE (?:TABLE|INDEX) (\w+)")
_ADDED = (",structure TEXT,text_hash INTEGER", ",reader TEXT")
"""Columns that an index of format 1 or 2 lacks."""


def strange_object(database: sqlite3.Connection, schema: str) -> str | None:
    """What first is not as in our schema, for an error; None if all is.

    Whether anything is missing is not told: who asks for it will see.
    """
    known = _definitions(schema)
    # One at a time: a stranger's may have any number of them.
    for type, name, definition in database.execute("SELECT type, name, sql FROM sqlite_master"):
        if definition is None and type == "index":  # what SQLite makes of PRIMARY KEY and UNIQUE
            continue
        if not isinstance(definition, str) or _plain(definition) not in known.get(name, ()):
            what = "table" if name in known and type == "table" else f"{type!s:.20}"
            of_ours = " is not defined as in an index" if name in known else " is none of an index"
            return f"its {what} {str(name)[:80]!r}{of_ours}"
    return None


@lru_cache(maxsize=1)
def _definitions(schema: str) -> dict[str, tuple[str, ...]]:
    """How each table and index may be defined, by its name."""
    found: dict[str, tuple[str, ...]] = {}
    for statement in schema.split(";\n"):
        definition = _plain(statement)
        if named := _NAMED.match(definition):
            older = definition
            for columns in _ADDED:
                older = older.replace(columns, "")
            found[named[1]] = (definition, older)
    return found


@lru_cache(maxsize=64)
def _plain(definition: str) -> str:
    """A statement without comments, and with spaces only where it needs them."""
    spaced = _SPACES.sub(" ", _COMMENT.sub("", definition)).strip(" ")
    return _AROUND.sub(r"\1", spaced)
