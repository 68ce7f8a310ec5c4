"""What a format is: names, a version, and one function from bytes to documents' content."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from retrieval.documents.decoding import decode
from retrieval.documents.formats.languages import language_of
from retrieval.documents.outline import Outline


@dataclass(frozen=True, slots=True)
class Source:
    """What a format is told of the file that it reads.

    Attributes:
        id: the file's posix path relative to the base folder.
        encoding: the character encoding that the user says all files have, or None.
        text_field: the field of a record that the user says holds its text, or None.
        rows: whether each row of a table file becomes a document.
    """

    id: str
    encoding: str | None = None
    text_field: str | None = None
    rows: bool = False


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a format makes of bytes: one document's content.

    Attributes:
        text: what is indexed and shown. Where the file is text, the file's text as it stands, so
            that an offset and a line of it are the file's own.
        title: the document's own, or "".
        metadata: fields of its own; `path`, `extension` and `format` are added by the reader.
        outline: its structure.
        id: of a document of a file that holds several; None for the file's own.
        problems: one line for each thing that went wrong, without the file's name.
        format: the name of the format that it is in, where that is not the file's: of an
            attachment, of a member of an archive.
        by_layout: whether its parser could not follow it, and its structure was told by its layout.
    """

    text: str
    title: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    outline: Outline = field(default_factory=Outline)
    id: str | None = None
    problems: tuple[str, ...] = ()
    format: str = ""
    by_layout: bool = False


RESERVED = ("path", "extension", "format")
"""Metadata that every document of a file has; the reader sets them."""

Parse = Callable[[bytes, Source], "Parsed | Iterable[Parsed]"]


@dataclass(frozen=True, slots=True)
class Format:
    """One format of files.

    Attributes:
        name: the value of the metadata field `format`.
        version: raised whenever `parse` makes something else of the same bytes: files that were
            read by an older one are read again.
        parse: bytes to one document, or to several; raises DocumentError, whose text follows the
            file's name, if they give nothing.
        suffixes: of file names, in lower case with their dot; the longest that fits decides.
        names: whole file names, in lower case.
        sniff: whether the first 8 KiB of a file show this format, whatever its name; for names
            that say nothing and for suffixes that lie.
        binary: whether files are binary (hold NUL bytes) rather than text.
        outline: the structure of a text that is in this format already, for documents that come
            without a file; None where there is none to find.
        isolated: whether files are parsed in a worker process, within limits of memory and time,
            since what they hold can end or hang its parser. `parse` is then a function at a
            module's top level, by whose name the worker finds it.
        without_files: of an isolated format whose files hold others, what parses them where
            `parse` ended its worker: it passes over those others, or some, and says so.
        archive: whether files hold others, and are read only where the user asks for that.
    """

    name: str
    version: int
    parse: Parse
    suffixes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    sniff: Callable[[bytes], bool] | None = None
    binary: bool = False
    outline: Callable[[str], Outline] | None = None
    isolated: bool = False
    without_files: Parse | None = None
    archive: bool = False


def place_of_function(function: Callable[..., object]) -> tuple[str, str] | None:
    """The module and the name by which another process finds a function; None if it cannot."""
    module = getattr(function, "__module__", None)
    name = getattr(function, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str) or module == "__main__":
        return None
    found: object = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return (module, name) if found is function else None


def decoded(data: bytes, source: Source, *, html: bool = False) -> tuple[str, tuple[str, ...]]:
    """The text of a file, and what was odd about its encoding, as a Parsed takes it."""
    language = "html" if html else language_of(source.id)
    text, note = decode(data, language=language, encoding=source.encoding)
    return text, (note,) if note else ()


def text_format(
    name: str,
    version: int,
    outline: Callable[[str], Outline],
    *,
    title: Callable[[str, Outline], str] | None = None,
    metadata: Callable[[str], Mapping[str, Any]] | None = None,
    suffixes: tuple[str, ...] = (),
    names: tuple[str, ...] = (),
    sniff: Callable[[bytes], bool] | None = None,
) -> Format:
    """A format whose documents' text is the file's text as it stands.

    Args:
        name: as `Format.name`.
        version: as `Format.version`.
        outline: a text's structure.
        title: a text's title; None takes the heading above all others, if there is one.
        metadata: what the text says of itself.
        suffixes: as `Format.suffixes`.
        names: as `Format.names`.
        sniff: as `Format.sniff`.
    """

    def parse(data: bytes, source: Source) -> Parsed:
        text, problems = decoded(data, source)
        found = outline(text)
        said = metadata(text) if metadata else {}
        titled = title(text, found) if title else top_heading(found)
        return Parsed(text, titled, said, found, problems=problems)

    return Format(name, version, parse, suffixes, names, sniff, outline=outline)


def first_heading(outline: Outline) -> str:
    """The words of the first heading that has any, or ""."""
    return next((section.heading for section in outline.sections if section.heading), "")


def top_heading(outline: Outline) -> str:
    """The words of the first heading if no other stands as high, or "": what a text is about."""
    headings = [section for section in outline.sections if section.level]
    if not headings or any(other.level <= headings[0].level for other in headings[1:]):
        return ""
    return headings[0].heading
