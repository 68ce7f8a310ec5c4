"""The table of formats: those of this package, of installed plug-ins, and of the caller."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Set
from functools import cache
from importlib import import_module
from pathlib import PurePosixPath
from typing import Any

from retrieval.documents.formats.format import Format, place_of_function
from retrieval.documents.formats.languages import is_maildir_name, language_called
from retrieval.documents.outline import Outline
from retrieval.errors import InputError

GROUP = "retrieval.formats"
"""The entry points of installed packages that offer formats: each is a Format."""

BUILT_IN = (
    "markdown",
    "rst",
    "html",
    "asciidoc",
    "org",
    "latex",
    "delimited",
    "pdf",
    "man",
    "mediawiki",
    "textile",
    "notebook",
    "subtitles",
    "gettext",
    "bibliography",
    "office",
    "mail",
    "calendars",
    "contacts",
    "mhtml",
    "archives",
    "xml",
    "jsonl",
    "code",
    "text",
)
"""Modules of this folder, each with a tuple FORMATS; of two with one suffix the first has it."""

_NAME = re.compile(r"[a-z][a-z0-9-]*")


class _Table:
    """Formats by name, suffix and file name; built on first use."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._given: list[Format] = []
        self._lock = threading.Lock()
        self._formats: dict[str, Format] | None = None
        self._suffixes: dict[str, Format] = {}
        self._names: dict[str, Format] = {}
        self._endings: dict[str, set[str]] = {}

    def add(self, format: Format) -> None:
        """Take a format in, before all others."""
        with self._lock:
            self._given.insert(0, format)
            self._formats = None

    def formats(self) -> Mapping[str, Format]:
        """All formats by name, those that were given last first."""
        with self._lock:
            if self._formats is None:
                self._build()
            assert self._formats is not None
            return self._formats

    def by_name(self, name: str) -> Format | None:
        """The format that a file's name says, or None."""
        self.formats()
        if is_maildir_name(name):
            return None
        path = PurePosixPath(name.lower())
        if found := self._names.get(path.name):
            return found
        suffixes = path.suffixes
        for at in range(len(suffixes)):
            if found := self._suffixes.get("".join(suffixes[at:])):
                return found
        return None

    def with_ending(self, ending: str) -> Set[str]:
        """Names of the formats that names with this ending may say, see `names_with_ending`."""
        self.formats()
        return self._endings.get(ending[ending.rfind("/") + 1 :].lower(), frozenset())

    def _build(self) -> None:
        self.problems = []
        formats: dict[str, Format] = {}
        suffixes: dict[str, Format] = {}
        names: dict[str, Format] = {}
        for format in [*self._given, *self._installed(), *_built_in()]:
            formats.setdefault(format.name, format)
            for suffix in format.suffixes:
                suffixes.setdefault(suffix, format)
            for name in format.names:
                names.setdefault(name, format)
        self._formats, self._suffixes, self._names = formats, suffixes, names
        self._endings = {}
        for name, format in [*suffixes.items(), *names.items()]:
            self._endings.setdefault(name.rpartition(".")[2], set()).add(format.name)

    def _installed(self) -> list[Format]:
        from importlib.metadata import entry_points

        found = []
        for point in entry_points(group=GROUP):
            try:
                found.append(checked(point.load()))
            except Exception as error:  # a stranger's code: whatever it raises, the others serve
                package = point.dist.name if point.dist else "a package"
                self.problems.append(
                    f"the format {point.name!r} of {package} cannot be used ({error}); "
                    "mend or uninstall that package"
                )
        return found


_table = _Table()


@cache
def _built_in() -> tuple[Format, ...]:
    found: list[Format] = []
    for name in BUILT_IN:
        found += import_module(f"retrieval.documents.formats.{name}").FORMATS
    return tuple(found)


def register(format: Format) -> None:
    """Add a format to this process's table; it comes before all others of its names and suffixes.

    Raises:
        InputError: it is no Format, or one of its fields cannot be used.
    """
    _table.add(checked(format))


def checked(format: object) -> Format:
    """The format, if its fields can be used; raises InputError."""
    if not isinstance(format, Format):
        raise InputError(f"{format!r} is not a format; give a retrieval.documents.formats.Format")
    if not _NAME.fullmatch(format.name):
        raise InputError(
            f"the format name {format.name!r} cannot be used; give lower-case letters, digits and -"
        )
    for suffix in format.suffixes:
        if not suffix.startswith(".") or suffix != suffix.lower():
            raise InputError(
                f"the suffix {suffix!r} of format {format.name!r} cannot be used; give lower-case "
                "ones that begin with a dot"
            )
    if format.isolated and place_of_function(format.parse) is None:
        raise InputError(
            f"the format {format.name!r} is isolated, but a worker process cannot find its parse "
            "function; define it at the top level of a module that can be imported"
        )
    return format


def formats() -> Mapping[str, Format]:
    """All formats by name."""
    return _table.formats()


def problems() -> list[str]:
    """One line for each installed format that cannot be used."""
    _table.formats()
    return list(_table.problems)


def named(name: str) -> Format | None:
    """The format that a file's name says, or None."""
    return _table.by_name(name)


def names_with_ending(ending: str) -> Set[str]:
    """Names of the formats that `named` may give for a path, by what follows its last dot.

    Args:
        ending: that, or the whole path if it has no dot; of `a.b/Makefile` it is `b/Makefile`.
    """
    return _table.with_ending(ending)


def format_of(name: str, head: bytes = b"") -> Format:
    """The format of a file: by its name, or else by how it begins; `text` if nothing tells.

    Args:
        name: the file's name or path.
        head: its first 8 KiB. Where the name's format is text and the content is that of a binary
            format, the content decides.
    """
    by_name = named(name)
    if by_name is not None and (by_name.binary or b"\0" not in head):
        return by_name
    for format in formats().values():
        if format.sniff and format.sniff(head) and (by_name is None or format.binary):
            return format
    return by_name or formats()["text"]


def outline_of(text: str, metadata: Mapping[str, Any]) -> Outline:
    """The structure of a text that came without a file.

    Its metadata `format` or `language` tells how it is read; without them, source code is known by
    how it begins.
    """
    from retrieval.documents.formats import code

    told = False
    for key in ("format", "language"):
        name = metadata.get(key)
        if not isinstance(name, str):
            continue
        if language := language_called(name):
            return code.outline(text, language)
        format = formats().get(name)
        if format is not None and format.outline is not None:
            return format.outline(text)
        told = told or format is not None
    return (None if told else code.outline_of_text(text)) or Outline()
