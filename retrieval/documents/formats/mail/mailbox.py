"""Where the messages of a file are: one alone, or many after the other in a mailbox."""

from __future__ import annotations

import re
from collections.abc import Iterator

_FIELD = re.compile(rb"[!-9;-~]{1,76}:")
_ENVELOPE = re.compile(rb">?From [^\r\n]{0,500}\r?\n")
_BETWEEN = re.compile(
    rb"(?:\A|(?<=\n)(?:\r?\n)?)From (?:-|[^\s]+)? ?[^\r\n]{0,200}\d{4}[^\r\n]{0,40}\r?\n"
    rb"(?=>?[!-9;-~]{1,76}:|>From )"
)
"""The line that stands before each message of a mailbox: who sent it and when."""
_QUOTED = re.compile(rb"(?m)^>(>*From )")
_APPLE = re.compile(rb"(\d{1,10})[ \t]*\r?\n")
_TELLING = frozenset(
    b"date delivered-to message-id mime-version newsgroups received return-path subject to".split()
)
_EXPUNGED = re.compile(rb"(?mi)^X-Mozilla-Status:[ \t]*([0-9a-f]{4})")
_HEAD = 64 * 1024


def is_mail(head: bytes) -> bool:
    """Whether a file begins as a message or a mailbox does."""
    envelope = _ENVELOPE.match(head)
    at = envelope.end() if envelope else 0
    names: set[bytes] = set()
    lines = head[at:].split(b"\n")
    for number, line in enumerate(lines):
        line = line.rstrip(b"\r")
        if not line:
            break
        if line[:1] in b" \t" and number:
            continue
        field = _FIELD.match(line)
        if field is None:
            if number == len(lines) - 1 and number:  # what was read ends in it
                break
            return False
        names.add(field[0][:-1].lower())
    told = len(names & _TELLING)
    return b"from" in names and told >= (1 if envelope else 2)


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(line, bytes) of each message of a file; those that are deleted already are passed over.

    A mailbox quotes lines that look as its own separators do; that is undone.
    """
    first = _BETWEEN.match(data)
    if first is None:
        apple = _APPLE.match(data)
        if apple is not None:  # a length first, and what Apple's program knows of it at the end
            data = data[apple.end() : apple.end() + int(apple[1])]
        yield 1, data
        return
    line, counted = 1, 0
    start = first.end()
    for following in _BETWEEN.finditer(data, start):
        line, counted = line + data.count(b"\n", counted, start), start
        yield from _one(data[start : following.start()], line)
        start = following.end()
    line += data.count(b"\n", counted, start)
    yield from _one(data[start:], line)


def _one(message: bytes, line: int) -> Iterator[tuple[int, bytes]]:
    status = _EXPUNGED.search(message[:_HEAD])
    if message.strip() and not (status and int(status[1], 16) & 0x8):
        yield line, _QUOTED.sub(rb"\1", message)
