"""A message as documents: its own, and those of what is attached to it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32
from typing import Any

from retrieval.documents.decoding import HEAD_BYTES, is_binary
from retrieval.documents.formats.builder import OutlineBuilder, lines_of
from retrieval.documents.formats.composing import Composed
from retrieval.documents.formats.format import Parsed, Source, decoded
from retrieval.documents.formats.languages import BINARY_EXTENSIONS, extension_of
from retrieval.documents.formats.mail import headers, outlook
from retrieval.documents.formats.mail.mailbox import messages
from retrieval.documents.formats.mail.parts import Attached, Parts, Shown
from retrieval.documents.formats.table import format_of
from retrieval.documents.outline import Mark
from retrieval.errors import DocumentError, MissingDependency

MAX_DEPTH = 8
"""So deep messages may be attached to each other."""
MAX_ATTACHMENT = 32 * 1024 * 1024
"""Bytes; a larger attachment is not read."""
MAX_DOCUMENTS = 1000
"""More documents of one attachment are not taken."""
_SHOWN_ADDRESSES = 10
_MAILBOXES = (".mbox", ".mbx")
_EXAMPLES = 3
_QUOTE = re.compile(r"[ \t]*>")
_ABOVE = 500
"""Characters above a quote in which is looked for who wrote it."""


@dataclass(slots=True)
class _Unread:
    """Attachments and messages that gave nothing, over a whole file.

    Attributes:
        files: whether files that are attached are read at all.
        types: how many attachments of which extension no format reads.
        examples: names of the first few.
        others: one line for each that went wrong otherwise.
        sealed: how many messages are encrypted.
        cut: how many have more parts than are looked at.
    """

    files: bool = True
    types: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    sealed: int = 0
    cut: int = 0

    def add(self, name: str) -> None:
        self.types[extension_of(name) or "without an extension"] += 1
        if len(self.examples) < _EXAMPLES:
            self.examples.append(name)

    def problems(self) -> tuple[str, ...]:
        """One line for each kind of thing."""
        lines = list(self.others[:_EXAMPLES])
        if len(self.others) > _EXAMPLES:
            lines.append(f"{len(self.others) - _EXAMPLES:,} more attachments like that")
        if self.types:
            kinds = ", ".join(f"{count:,} {kind}" for kind, count in self.types.most_common(5))
            such = ", ".join(self.examples)
            lines.append(f"attachments that no format reads: {kinds}, such as {such}")
        if self.sealed:
            lines.append(f"encrypted messages, of which only headers were read: {self.sealed:,}")
        if self.cut:
            lines.append(f"messages of which not all parts were read, for their number: {self.cut}")
        return tuple(lines)


def parse(data: bytes, source: Source) -> Iterator[Parsed]:
    """The messages of a file one by one, and after each what is attached to it."""
    yield from _file(data, source, _Unread())


def parse_without_files(data: bytes, source: Source) -> Iterator[Parsed]:
    """`parse`, but for files that are attached: one of them ended the process that read it."""
    yield from _file(data, source, _Unread(files=False))


def _file(data: bytes, source: Source, unread: _Unread) -> Iterator[Parsed]:
    last: Parsed | None = None
    for parsed in _documents(data, source, unread):
        if last is not None:
            yield last
        last = parsed
    if last is None:
        raise DocumentError("holds no message; headers such as From and Date were expected")
    yield replace(last, problems=(*last.problems, *unread.problems()))


def parse_outlook(data: bytes, source: Source) -> Iterator[Parsed]:
    """The message that Outlook saved in a file, and what is attached to it.

    Other files have the same extension, such as messages of Tcl programs: those are read as text.
    """
    if not data.startswith(outlook.MAGIC):
        text, problems = decoded(data, source)
        yield Parsed(text, problems=problems, format="text")
        return
    yield from _outlook(data, source, _Unread())


def parse_outlook_without_files(data: bytes, source: Source) -> Iterator[Parsed]:
    """`parse_outlook`, but for files that are attached."""
    yield from _outlook(data, source, _Unread(files=False))


def _outlook(data: bytes, source: Source, unread: _Unread) -> Iterator[Parsed]:
    found = list(_message(outlook.message_of(data), source, None, {}, unread, 0))
    found[-1] = replace(found[-1], problems=(*found[-1].problems, *unread.problems()))
    yield from (replace(one, format=one.format or "mail") for one in found)


def _documents(data: bytes, source: Source, unread: _Unread) -> Iterator[Parsed]:
    is_mailbox = source.id.lower().endswith(_MAILBOXES)
    found = messages(data)
    first = next(found, None)
    if first is None:
        return
    second = next(found, None)
    if second is None and not is_mailbox:
        yield from _message(_read(first[1]), source, None, {}, unread, 0)
        return
    seen: Counter[str] = Counter()
    for line, content in _chained(first, second, found):
        try:
            message = _read(content)
        except DocumentError as error:
            unread.others.append(f"the message at line {line}: {error}")
            continue
        id = headers.message_id(message) or f"L{line}"
        seen[id] += 1
        id = f"{source.id}#{id}" + (f"~{seen[id]}" if seen[id] > 1 else "")
        if message.keys():
            yield from _message(message, source, id, {"line": line}, unread, 0)


def _chained(
    first: tuple[int, bytes], second: tuple[int, bytes] | None, rest: Iterator[tuple[int, bytes]]
) -> Iterator[tuple[int, bytes]]:
    yield first
    if second is not None:
        yield second
    yield from rest


def _read(content: bytes) -> Message:
    try:
        return BytesParser(policy=compat32).parsebytes(content)
    except RecursionError:
        raise DocumentError("its parts are nested too deeply") from None


def _message(
    message: Message,
    source: Source,
    id: str | None,
    place: dict[str, Any],
    unread: _Unread,
    depth: int,
) -> Iterator[Parsed]:
    """A message's document, then those of what is attached to it.

    Args:
        message: the message.
        source: the file.
        id: the document's; None is the file's own.
        place: metadata that say where it stands.
        unread: takes what gives nothing.
        depth: how many messages it is attached to.
    """
    if not message.keys():
        raise DocumentError("holds no message; headers such as From and Date were expected")
    parts = Parts()
    parts.collect(message)
    unread.sealed += parts.sealed
    unread.cut += parts.cut
    about = _about(message, parts)
    text = Composed()
    text.put(_head(message, about))
    for shown in parts.shown:
        _add(text, shown)
    whole, outline = text.outline()
    title = headers.header(message, "subject")
    if depth:
        outline = replace(outline, marks=[Mark(0, "part", place["attachment"])])
    yield Parsed(whole, title, {**about, **place}, outline, id)
    of: dict[str, Any] = {
        key: about[key] for key in ("sender", "date", "thread", "message_id") if key in about
    }
    if title:
        of["subject"] = title
    for attached in parts.attached:
        own = f"{id or source.id}#{attached.name}"
        named = {"line": place["line"]} if "line" in place else {}
        yield from _attachment(attached, source, own, of | named, unread, depth)


def _about(message: Message, parts: Parts) -> dict[str, Any]:
    """A message's metadata."""
    sender = headers.addresses(message, "from") or headers.addresses(message, "sender")
    said: dict[str, Any] = {
        "sender": ", ".join(sender),
        "recipients": headers.addresses(message, "to", "cc", "bcc", "newsgroups"),
        "date": headers.date(message),
        "message_id": headers.message_id(message),
        "thread": headers.thread(message),
        "labels": headers.labels(message),
        "attachments": [attached.name for attached in parts.attached],
    }
    return {key: value for key, value in said.items() if value}


def _head(message: Message, about: dict[str, Any]) -> str:
    """What a reader sees above a message."""
    lines = []
    for name in ("From", "To", "Cc", "Newsgroups"):
        found = headers.addresses(message, name.lower())
        more = f" and {len(found) - _SHOWN_ADDRESSES} more" * (len(found) > _SHOWN_ADDRESSES)
        if found:
            lines.append(f"{name}: {', '.join(found[:_SHOWN_ADDRESSES])}{more}")
    for name in ("Date", "Organization", "Summary", "Description", "Comments"):
        if said := headers.header(message, name.lower()):
            lines.append(f"{name}: {said}")
    if names := about.get("attachments"):
        lines.append(f"Attachments: {', '.join(names[:_SHOWN_ADDRESSES])}")
    return "\n".join(lines)


def _add(text: Composed, shown: Shown) -> None:
    """Put a part below what is there."""
    if not shown.text.strip():
        return
    if len(text):
        text.put("\n\n")
    if shown.outline is not None:
        text.take(shown.text, shown.outline)
        return
    start = text.put(shown.text)
    text.build(lambda builder: _quotes(builder, start, start + len(shown.text)))


def _quotes(builder: OutlineBuilder, start: int, end: int) -> None:
    """Note where a text quotes another one: whose it is stands in the paragraph above."""
    builder.tops.append(start)
    begun, last = -1, start
    for at, stop in [*lines_of(builder.text, start, end), (end, end)]:
        if _QUOTE.match(builder.text, at, stop):
            begun, last = at if begun < 0 else begun, stop
        elif begun >= 0:
            above = builder.text[max(start, begun - _ABOVE) : begun].rstrip()
            paragraph = begun - len(builder.text[max(start, begun - _ABOVE) : begun])
            opening = above.rfind("\n\n") + 2 if "\n\n" in above else 0
            if above and not _QUOTE.match(above, above.rfind("\n") + 1):
                builder.introduce(paragraph + opening, paragraph + len(above))
            builder.quote(begun, last)
            builder.tops.append(at)
            begun = -1


def _attachment(
    attached: Attached,
    source: Source,
    id: str,
    of: dict[str, Any],
    unread: _Unread,
    depth: int,
) -> Iterator[Parsed]:
    """The documents of an attachment; none of a picture, or of what no format reads."""
    place = {**of, "attachment": attached.name}
    if attached.is_media:
        return
    if isinstance(attached.content, Message):
        if not attached.content.keys():
            unread.others.append(f"attachment {attached.name!r} holds no message; not read")
        elif depth < MAX_DEPTH:
            yield from _message(attached.content, source, id, place, unread, depth + 1)
        else:
            unread.others.append(f"{attached.name!r} is attached too deeply; not read")
        return
    content = attached.content
    if not (unread.files and content.strip()):
        return
    if len(content) > MAX_ATTACHMENT:
        size = f"has {len(content)} bytes, the limit is {MAX_ATTACHMENT}"
        unread.others.append(f"attachment {attached.name!r} {size}; not read")
        return
    format = format_of(attached.name, content[:HEAD_BYTES])
    unreadable = extension_of(attached.name) in BINARY_EXTENSIONS or is_binary(content)
    if format.archive or (unreadable and not format.binary):
        unread.add(attached.name)
        return
    try:
        if format.name == "mail":
            nested = _documents(content, replace(source, id=id), unread)
            made = [replace(one, id=one.id or id) for one in nested]
        else:
            found = format.parse(content, replace(source, id=id))
            made = [found] if isinstance(found, Parsed) else list(found)
    except (DocumentError, MissingDependency) as error:
        unread.others.append(f"attachment {attached.name!r}: {error}")
        return
    except Exception as error:  # of a parser of foreign bytes: the message is read all the same
        why = f"its parser failed ({type(error).__name__})"
        unread.others.append(f"attachment {attached.name!r}: {why}")
        return
    if len(made) > MAX_DOCUMENTS:
        unread.others.append(f"attachment {attached.name!r}: read up to {MAX_DOCUMENTS} documents")
    for one in made[:MAX_DOCUMENTS]:
        marks = [Mark(0, "part", attached.name), *one.outline.marks]
        yield Parsed(
            one.text,
            one.title or attached.name,
            {**place, **one.metadata},
            replace(one.outline, marks=marks),
            one.id or id,
            format=one.format or format.name,
            problems=tuple(f"attachment {attached.name!r}: {problem}" for problem in one.problems),
        )
