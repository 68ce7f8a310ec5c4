"""Check that a database has only the tables of an index and nothing that runs: no view, no trigger.

A view in place of a table may have endless rows, and a generated column, a check or an index on an
expression may take any time and memory for each row. Our tables have none of these, so each
definition is compared with ours as text: apart from comments and spaces, it must be the same.
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
    """A description of the first object that differs from our schema, for an error; None if none.

    Missing tables are not reported: the first query of such a table fails.
    """
    known = _definitions(schema)
    # One at a time: an untrusted database may have any number of them.
    for type, name, definition in database.execute("SELECT type, name, sql FROM sqlite_master"):
        if definition is None and type == "index":  # made by SQLite for PRIMARY KEY and UNIQUE
            continue
        if not isinstance(definition, str) or _plain(definition) not in known.get(name, ()):
            what = "table" if name in known and type == "table" else f"{type!s:.20}"
            of_ours = " is not defined as in an index" if name in known else " is none of an index"
            return f"its {what} {str(name)[:80]!r}{of_ours}"
    return None


@lru_cache(maxsize=1)
def _definitions(schema: str) -> dict[str, tuple[str, ...]]:
    """The allowed definitions of each table and index, by name."""
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
    """The statement without comments and unnecessary spaces."""
    spaced = _SPACES.sub(" ", _COMMENT.sub("", definition)).strip(" ")
    return _AROUND.sub(r"\1", spaced)
