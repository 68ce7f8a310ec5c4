"""Lines `NAME;PARAMETER=value:value` of iCalendar (RFC 5545) and vCard (RFC 6350), unfolded.

Lines are folded by bytes, in the middle of a character too, so they are put together before they
are decoded. vCard 2.1 has its values in quoted-printable, whose lines go on behind a `=`.
"""

from __future__ import annotations

import quopri
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from retrieval.documents.charsets import codec_of_label
from retrieval.documents.decoding import decode
from retrieval.documents.formats.format import Source

MOST = 100_000
"""Components of a file."""
_LONGEST = 1 << 20
"""Bytes of a value: what is longer is a picture."""
_LINE = re.compile(
    r"(?:[\w-]{1,80}\.)?([A-Za-z0-9-]{1,80})((?:;(?:[^:;\"]|\"[^\"]*\")*+)*+):(.*)", re.DOTALL
)
_PARAMETER = re.compile(r";([A-Za-z0-9-]{1,80})(?:=((?:[^;\"]|\"[^\"]*\")*+))?")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_QUOTED = re.compile(rb"^[^:]{0,200}quoted-printable", re.IGNORECASE)
_BREAKS = re.compile(r"\r\n?")


@dataclass(frozen=True, slots=True)
class Property:
    """A line.

    Attributes:
        value: as it stands; `text` has it as it is read.
        parameters: by their names in capitals, without quotes.
    """

    value: str
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The value without escapes: line breaks are line breaks."""
        return _ESCAPE.sub(_unescaped, self.value).strip()


@dataclass(slots=True)
class Component:
    """What stands between a BEGIN and its END.

    Attributes:
        name: in capitals, such as VEVENT.
        line: the line of its BEGIN in the file, from 1.
        properties: by name in capitals, each in the order of the file.
        within: the names of the components around it.
    """

    name: str
    line: int
    properties: dict[str, list[Property]] = field(default_factory=dict)
    within: tuple[str, ...] = ()

    def first(self, name: str) -> str:
        """The text of the first property of a name, or ""."""
        return next((found.text for found in self.properties.get(name, ())), "")


def components(data: bytes, source: Source) -> Iterator[Component]:
    """The components of a file, each at its end; those that are never ended at the file's."""
    open_: list[Component] = []
    ended = 0
    for line, row in _rows(data):
        found = _property(row, source)
        if found is None:
            continue
        name, held = found
        if name == "BEGIN":
            within = tuple(one.name for one in open_)
            open_.append(Component(held.value.strip().upper(), line, within=within))
        elif name == "END":
            if open_:
                yield open_.pop()
                ended += 1
        elif open_:
            open_[-1].properties.setdefault(name, []).append(held)
        if ended >= MOST:
            return
    yield from reversed(open_)


def _rows(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(number, bytes) of each line, joined with its continuation lines."""
    row: list[bytes] = []
    begun = 1
    quoted = False
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        line = line.rstrip(b"\r")
        if row and line[:1] in (b" ", b"\t"):
            row.append(line[1:])
            continue
        if row and quoted and row[-1].endswith(b"="):
            row[-1] = row[-1][:-1]
            row.append(line)
            continue
        if row:
            yield begun, b"".join(row)
        row, begun = [line] if line else [], number
        quoted = _QUOTED.match(line) is not None
    if row:
        yield begun, b"".join(row)


def _property(row: bytes, source: Source) -> tuple[str, Property] | None:
    if len(row) > _LONGEST:
        return None
    found = _LINE.match(decode(row, encoding=source.encoding)[0])
    if found is None:
        return None
    parameters: dict[str, str] = {}
    for parameter in _PARAMETER.finditer(found[2]):
        # vCard 2.1 leaves out what is before the value: `TEL;HOME:`.
        name, value = (parameter[1], parameter[2]) if parameter[2] else ("TYPE", parameter[1])
        said = value.replace('"', "")
        key = name.upper()
        parameters[key] = f"{parameters[key]},{said}" if key in parameters else said
    value = found[3]
    if "QUOTED-PRINTABLE" in (parameters.get("ENCODING", "") + parameters.get("TYPE", "")).upper():
        codec = codec_of_label(parameters.get("CHARSET", ""))
        value = decode(quopri.decodestring(value.encode()), encoding=codec)[0]
        value = _BREAKS.sub("\n", value)
    return found[1].upper(), Property(value, parameters)


def _unescaped(escape: re.Match[str]) -> str:
    return "\n" if escape[1] in "nN" else escape[1]
