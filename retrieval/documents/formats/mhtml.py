"""Pages that a browser saved in one file with all that belongs to them (MHTML, RFC 2557)."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32
from typing import Any

from retrieval.documents.formats.format import Format, Parsed, Source
from retrieval.documents.formats.html import extract
from retrieval.documents.formats.mail import headers
from retrieval.errors import DocumentError

_MAX_DEPTH = 50
_NO_PAGE = "holds no page; the parts of a page that a browser saved were expected"


def _parse(data: bytes, source: Source) -> Parsed:
    try:
        saved = BytesParser(policy=compat32).parsebytes(data)
    except RecursionError:
        raise DocumentError("its parts are nested too deeply") from None
    page = _page(saved)
    if page is None:
        raise DocumentError(_NO_PAGE)
    content = headers.safely(lambda: page.get_payload(decode=True), None)
    charset = str(headers.safely(lambda: page.get_content_charset(""), ""))
    html = headers.text_of(content if isinstance(content, bytes) else b"", charset, language="html")
    text, title, outline = extract(html)
    metadata: dict[str, Any] = {
        "url": _url(saved, "snapshot-content-location") or _url(page, "content-location"),
        "date": headers.date(saved),
    }
    said = title or headers.header(saved, "subject")
    kept = {key: value for key, value in metadata.items() if value}
    return Parsed(text, said, kept, outline, format="html")


def _page(part: Message) -> Message | None:
    """The page itself: the part that is named as the first, or else the first one of HTML."""
    pages = [one for one in _parts(part) if one.get_content_type() in _TYPES]
    start = headers.safely(lambda: part.get_param("start"), None)
    named = (one for one in pages if start and headers.header(one, "content-id") == start)
    return next(named, None) or next(iter(pages), None)


_TYPES = ("text/html", "application/xhtml+xml")


def _parts(part: Message, depth: int = 0) -> Iterator[Message]:
    payload = part.get_payload()
    if not isinstance(payload, list):
        yield part
    elif depth < _MAX_DEPTH:
        for one in payload:
            if isinstance(one, Message):
                yield from _parts(one, depth + 1)


def _url(part: Message, name: str) -> str:
    found = headers.header(part, name)
    return found if found.startswith(("http:", "https:")) else ""


FORMATS = (Format("mhtml", 4, _parse, (".mhtml", ".mht"), binary=True),)
