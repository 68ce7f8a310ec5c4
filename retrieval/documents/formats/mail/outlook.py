"""Messages that Outlook saved (.msg): the same message as it would be sent.

A file holds streams named by property, as MS-OXMSG says: `__substg1.0_0037001F` is the subject in
UTF-16. Numbers and dates stand together in `__properties_version1.0`.
"""

from __future__ import annotations

import base64
import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.parser import HeaderParser
from email.policy import compat32
from email.utils import format_datetime, formataddr
from typing import Any

from retrieval.documents.decoding import decode
from retrieval.errors import DocumentError

MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

_SUBJECT, _BODY, _HTML, _HEADERS = 0x0037, 0x1000, 0x1013, 0x007D
_SENDER, _SENDER_ADDRESS, _SENDER_SMTP, _MESSAGE_ID = 0x0C1A, 0x0C1F, 0x5D01, 0x1035
_REFERENCES, _IN_REPLY_TO = 0x1039, 0x1042
_SENT, _RECEIVED, _KIND, _CODE_PAGE = 0x0039, 0x0E06, 0x0C15, 0x3FFD
_NAME, _ADDRESS, _SMTP = 0x3001, 0x3003, 0x39FE
_FILE, _LONG_NAME, _SHORT_NAME, _TYPE = 0x3701, 0x3707, 0x3704, 0x370E
_TEXT, _BYTE_TEXT, _BYTES = 0x001F, 0x001E, 0x0102
_PROPERTIES = "__properties_version1.0"
_BEFORE = {"message": 32, "embedded": 24, "other": 8}
"""Bytes before the first of the properties, by what has them."""
_RECIPIENTS = {1: "To", 2: "Cc", 3: "Bcc"}
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_MOST = 1000
_MAX_DEPTH = 8
_NOT_KEPT = ("content-", "mime-version")


@dataclass(frozen=True, slots=True)
class _Storage:
    """A folder of a file: a message, a recipient or an attachment.

    Attributes:
        ole: the file.
        path: of the folder in it.
        kind: a key of `_BEFORE`.
    """

    ole: Any
    path: tuple[str, ...]
    kind: str

    def stream(self, name: str) -> bytes | None:
        """The content of a stream, None if there is none."""
        path = [*self.path, name]
        if not self.ole.exists(path) or self.ole.get_type(path) != 2:
            return None
        content: bytes = self.ole.openstream(path).read()
        return content

    def binary(self, property: int) -> bytes | None:
        """A property that is bytes."""
        return self.stream(f"__substg1.0_{property:04X}{_BYTES:04X}")

    def text(self, property: int) -> str:
        """A property that is text, or ""."""
        if (found := self.stream(f"__substg1.0_{property:04X}{_TEXT:04X}")) is not None:
            return found.decode("utf-16-le", "replace").rstrip("\0")
        if (found := self.stream(f"__substg1.0_{property:04X}{_BYTE_TEXT:04X}")) is not None:
            page = self.number(_CODE_PAGE)
            try:
                return found.decode(f"cp{page}" if page else "utf-8").rstrip("\0")
            except (LookupError, UnicodeDecodeError):
                return decode(found.rstrip(b"\0"))[0]
        return ""

    def number(self, property: int) -> int:
        """A property that is a number, or 0."""
        found = self._fixed(property)
        return struct.unpack("<i", found[:4])[0] if found else 0

    def time(self, property: int) -> datetime | None:
        """A property that is a time."""
        found = self._fixed(property)
        if not found:
            return None
        try:
            return _EPOCH + timedelta(microseconds=struct.unpack("<Q", found)[0] // 10)
        except OverflowError:
            return None

    def _fixed(self, property: int) -> bytes:
        properties = self.stream(_PROPERTIES) or b""
        for at in range(_BEFORE[self.kind], len(properties) - 15, 16):
            if properties[at + 2 : at + 4] == property.to_bytes(2, "little"):
                return properties[at + 8 : at + 16]
        return b""

    def folders(self, prefix: str) -> Iterator[_Storage]:
        """Folders within it whose names begin so."""
        depth = len(self.path)
        names = {
            path[depth]
            for path in self.ole.listdir(streams=False, storages=True)
            if len(path) == depth + 1 and tuple(path[:depth]) == self.path
        }
        for name in sorted(names)[:_MOST]:
            if name.startswith(prefix):
                yield _Storage(self.ole, (*self.path, name), "other")


def message_of(data: bytes) -> Message:
    """The message that a file of Outlook's holds.

    Raises:
        DocumentError: it is not an Outlook message, or is damaged.
    """
    import olefile

    try:
        with olefile.OleFileIO(io.BytesIO(data)) as ole:
            top = _Storage(ole, (), "message")
            if top.stream(_PROPERTIES) is None:
                raise DocumentError("holds no message; a message saved by Outlook was expected")
            return _message(top, 0)
    except (OSError, ValueError, LookupError, TypeError, struct.error, OverflowError) as error:
        why = f"{type(error).__name__}: {error}".split("\n")[0]
        raise DocumentError(f"is not a readable Outlook message ({why})") from None


def _message(storage: _Storage, depth: int) -> Message:
    made = Message(policy=compat32)
    sent = HeaderParser(policy=compat32).parsestr(storage.text(_HEADERS).lstrip())
    for name, value in sent.raw_items():
        if not name.lower().startswith(_NOT_KEPT):
            made.add_header(name, value)
    for name, value in _own_headers(storage):
        if value and name not in made:
            made[name] = " ".join(value.split())
    plain, html = storage.text(_BODY), _html(storage)
    forms: list[Message | str] = [_part(plain.encode(), "text/plain")] if plain.strip() else []
    forms += [_part(*html)] if html else []
    made["Content-Type"] = "multipart/mixed"
    both = Message(policy=compat32)
    both["Content-Type"] = "multipart/alternative"
    both.set_payload(forms)
    attached = storage.folders("__attach_version1.0_")
    made.set_payload([both, *(part for one in attached for part in _attached(one, depth))])
    return made


def _own_headers(storage: _Storage) -> Iterator[tuple[str, str]]:
    """What Outlook knows of a message beside the headers that it was sent with."""
    yield "Subject", storage.text(_SUBJECT)
    address = storage.text(_SENDER_SMTP) or storage.text(_SENDER_ADDRESS)
    yield "From", _address(storage.text(_SENDER), address)
    when = storage.time(_SENT) or storage.time(_RECEIVED)
    yield "Date", format_datetime(when) if when else ""
    for name, property in (
        ("Message-ID", _MESSAGE_ID),
        ("References", _REFERENCES),
        ("In-Reply-To", _IN_REPLY_TO),
    ):
        yield name, storage.text(property)
    named: dict[str, list[str]] = {}
    for one in storage.folders("__recip_version1.0_"):
        kind = _RECIPIENTS.get(one.number(_KIND), "To")
        address = one.text(_SMTP) or one.text(_ADDRESS)
        named.setdefault(kind, []).append(_address(one.text(_NAME), address))
    for kind, addresses in named.items():
        yield kind, ", ".join(filter(None, addresses))


def _address(name: str, address: str) -> str:
    if "@" not in address:  # a path in a directory of Exchange's
        return f'"{name}"' if "," in name else name
    return formataddr((name, address), "utf-8") if name.isascii() else f'"{name}" <{address}>'


def _html(storage: _Storage) -> tuple[bytes, str] | None:
    if content := storage.binary(_HTML):
        return content, "text/html"
    if text := storage.text(_HTML):
        return text.encode(), "text/html; charset=utf-8"
    return None


def _attached(storage: _Storage, depth: int) -> Iterator[Message]:
    name = storage.text(_LONG_NAME) or storage.text(_SHORT_NAME) or storage.text(_NAME)
    inner = (*storage.path, f"__substg1.0_{_FILE:04X}000D")
    if storage.ole.exists(list(inner)) and storage.ole.get_type(list(inner)) == 1:
        if depth < _MAX_DEPTH:
            around = Message(policy=compat32)
            around["Content-Type"] = "message/rfc822"
            around.set_payload([_message(_Storage(storage.ole, inner, "embedded"), depth + 1)])
            yield around
        return
    content = storage.binary(_FILE)
    if content is not None:
        kind = storage.text(_TYPE)
        part = _part(content, kind if "/" in kind else "application/octet-stream")
        part.add_header("Content-Disposition", "attachment", filename=name or None)
        yield part


def _part(content: bytes, kind: str) -> Message:
    part = Message(policy=compat32)
    part["Content-Type"] = " ".join(kind.split())
    if kind == "text/plain":
        part.set_param("charset", "utf-8")
    part["Content-Transfer-Encoding"] = "base64"
    part.set_payload(base64.encodebytes(content).decode("ascii"))
    return part
