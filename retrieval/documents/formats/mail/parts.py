"""A message's parts: those that are its text, and those that are attached."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from pathlib import PurePosixPath

from retrieval.documents.formats.html import extract
from retrieval.documents.formats.mail.headers import header, safely, text_of, words
from retrieval.documents.outline import Outline

MAX_PARTS = 1000
"""More parts of one message are not looked at."""
MAX_NESTED = 50
_MEDIA = frozenset({"audio", "image", "video"})
_SIGNATURES = frozenset(
    {"application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"}
)
_SEALED = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_REMOVED = "text/x-moz-deleted"
_SUFFIXES = {
    "application/json": ".json",
    "application/pdf": ".pdf",
    "message/rfc822": ".eml",
    "text/calendar": ".ics",
    "text/csv": ".csv",
    "text/html": ".html",
    "text/markdown": ".md",
    "text/plain": ".txt",
}
_SEPARATORS = re.compile(r"[/\\]")
_LONGEST_NAME = 150
_FEW, _MANY = 50, 10
"""The plain text is read in place of the HTML unless the HTML has at least _FEW words and more than
_MANY times as many as the plain text."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A part that is shown as the message's text: what it says, and its structure if that is known.

    Attributes:
        text: its words, with `\\n` at line ends.
        outline: of an HTML part; None for plain text.
    """

    text: str
    outline: Outline | None = None


@dataclass(frozen=True, slots=True)
class Attached:
    """A part that is a file of its own.

    Attributes:
        name: the file's name, no other attachment's.
        content: its bytes, or the message that it is.
        is_media: whether it is a picture, a sound or a film.
    """

    name: str
    content: bytes | Message
    is_media: bool = False


@dataclass(slots=True)
class Parts:
    """What a message consists of.

    Attributes:
        shown: its text, part by part.
        attached: files and other messages.
        sealed: whether its text, or a part of it, is encrypted.
        cut: whether it has more parts than are looked at.
    """

    shown: list[Shown] = field(default_factory=list)
    attached: list[Attached] = field(default_factory=list)
    sealed: bool = False
    cut: bool = False
    _names: set[str] = field(default_factory=set)
    _count: int = 0

    def collect(self, part: Message, depth: int = 0) -> None:
        """Take a part in, with all that is in it."""
        self._count += 1
        if self._count > MAX_PARTS or depth > MAX_NESTED:
            self.cut = True
            return
        kind = part.get_content_type()
        if kind in _SIGNATURES or kind == _REMOVED:
            return
        if kind in _SEALED or kind == "multipart/encrypted":
            self.sealed = True
        elif kind == "multipart/alternative" and part.is_multipart():
            self._alternative(part, depth)
        elif kind.startswith("multipart/") and part.is_multipart():
            for one in _children(part):
                self.collect(one, depth + 1)
        elif kind == "message/rfc822" and part.is_multipart():
            for one in _children(part):
                self._attach(part, kind, _packed_message(part, one) or one)
        elif kind.startswith("message/") and part.is_multipart():  # a report of a delivery
            lines = [f"{key}: {words(v)}" for one in _children(part) for key, v in one.raw_items()]
            self.shown.append(Shown("\n".join(lines)))
        elif self._is_shown(part, kind):
            self.shown.append(_shown(part, kind))
        else:
            self._attach(part, kind, _content(part))

    def _alternative(self, part: Message, depth: int) -> None:
        """Of several forms of one text the plain one, unless it only says that there is another."""
        forms = list(_children(part))
        plain = [one for one in forms if one.get_content_type() == "text/plain"]
        others = [one for one in forms if one not in plain]
        of_plain = [_shown(one, "text/plain") for one in plain]
        before = len(self.shown)
        for one in others:  # what is attached within them counts in any case
            if one.get_content_type() != "text/calendar" or not plain:
                self.collect(one, depth + 1)
        rich = self.shown[before:]
        said = sum(len(one.text.split()) for one in of_plain)
        more = sum(len(one.text.split()) for one in rich)
        if said and not (more >= _FEW and more > _MANY * said):
            self.shown[before:] = of_plain

    def _is_shown(self, part: Message, kind: str) -> bool:
        """Whether a part is text of the message, not a file that comes with it."""
        if part.get_content_disposition() == "attachment":
            return False
        if not kind.startswith(("text/", "multipart/")) or kind == "text/calendar":
            return kind == "text/calendar" and not self.shown
        return not _filename(part) or (not self.shown and kind in ("text/plain", "text/html"))

    def _attach(self, part: Message, kind: str, content: bytes | Message) -> None:
        name = _filename(part)
        if not name and isinstance(content, Message):
            name = f"{_SEPARATORS.sub(' ', header(content, 'subject'))[:80].strip()}.eml"
        if not name or name == ".eml":
            number = len(self.attached) + 1
            name = f"attachment-{number}{_SUFFIXES.get(kind, '')}"
        path, number, unique = PurePosixPath(name), 2, name
        while unique in self._names:
            unique, number = f"{path.stem}-{number}{path.suffix}", number + 1
        self._names.add(unique)
        self.attached.append(Attached(unique, content, kind.split("/")[0] in _MEDIA))


def _children(part: Message) -> Iterator[Message]:
    payload = part.get_payload()
    for one in payload if isinstance(payload, list) else ():
        if isinstance(one, Message):
            yield one


def _packed_message(part: Message, message: Message) -> bytes:
    """An attached message's bytes where a program has encoded it, which it may not; or b""."""
    encoding = str(part.get("content-transfer-encoding", "")).strip().lower()
    if message.keys() or encoding not in ("base64", "quoted-printable"):
        return b""
    message["Content-Transfer-Encoding"] = encoding
    return _content(message)


def _content(part: Message) -> bytes:
    """A part's bytes, decoded."""
    found = safely(lambda: part.get_payload(decode=True), None)
    return found if isinstance(found, bytes) else b""


def _shown(part: Message, kind: str) -> Shown:
    charset = str(safely(lambda: part.get_content_charset(""), ""))
    if kind == "text/html":
        page = text_of(_content(part), charset, language="html")
        text, _, outline = extract(page.replace("\r\n", "\n").replace("\r", "\n"))
        return Shown(text, outline)
    text = text_of(_content(part), charset).replace("\r\n", "\n").replace("\r", "\n")
    if _parameter(part, "format") == "flowed":
        text = _unflowed(text, without_space=_parameter(part, "delsp") == "yes")
    return Shown(text.strip("\n"))


def _parameter(part: Message, name: str) -> str:
    """A parameter of a part's type, in lower case, or ""."""
    found = safely(lambda: part.get_param(name), None)
    return found.lower() if isinstance(found, str) else ""


def _unflowed(text: str, *, without_space: bool) -> str:
    """Lines that were broken to be sent put together again (RFC 3676)."""
    lines: list[str] = []
    open_depth = -1  # of quotes in the line before, if it goes on
    for line in text.split("\n"):
        depth = len(line) - len(line.lstrip(">"))
        rest = line[depth:].removeprefix(" ")
        flows = rest.endswith(" ") and rest != "-- "
        if flows and without_space:
            rest = rest[:-1]
        if depth == open_depth and rest != "-- ":
            lines[-1] += rest
        else:
            lines.append(f"{'>' * depth} {rest}" if depth else rest)
        open_depth = depth if flows else -1
    return "\n".join(line.rstrip() for line in lines)


def _filename(part: Message) -> str:
    """The name that a part has as a file, without folders, or ""."""
    found = safely(part.get_filename, None)
    name = _SEPARATORS.split(words(found))[-1].strip(". ") if isinstance(found, str) else ""
    path = PurePosixPath(name)
    return path.stem[: _LONGEST_NAME - len(path.suffix)] + path.suffix[:_LONGEST_NAME]
