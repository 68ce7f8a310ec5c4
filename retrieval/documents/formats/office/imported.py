"""Files of other formats that a Word document shows in its text (`altChunk`): pages, RTF, text."""

from __future__ import annotations

import re

from retrieval.documents.formats.format import Parsed, Source
from retrieval.documents.formats.office.flow import Flow
from retrieval.documents.formats.office.package import Package
from retrieval.documents.naming import one_line
from retrieval.errors import DocumentError

_READ = frozenset({"html", "mhtml", "rtf", "text"})
_BLANK = re.compile(r"\n[ \t]*\n\s*")


def put_imported(flow: Flow, package: Package, part: str) -> None:
    """Put a part that is a file of another format, its headings as headings.

    What cannot be read is a problem of the package.
    """
    from retrieval.documents.formats.table import format_of

    try:
        data = package.read(part)
        format = format_of(part, data[:8192])
        made = format.parse(data, Source(part)) if format.name in _READ else ()
    except DocumentError as error:
        package.problems.append(f"read without {one_line(part)}, which {error}")
        return
    if not isinstance(made, Parsed):
        package.problems.append(f"read without {one_line(part)}, a file in a file")
        return
    at = 0
    for section in made.outline.sections:
        _put(flow, made.text[at : section.start])
        flow.heading(section.heading, max(section.level, 1))
        _put(flow, made.text[section.body : section.end])
        at = section.end
    _put(flow, made.text[at:])


def _put(flow: Flow, text: str) -> None:
    for paragraph in _BLANK.split(text.replace("\r\n", "\n").strip()):
        flow.paragraph(paragraph)
