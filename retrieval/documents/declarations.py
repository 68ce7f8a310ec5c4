"""What a file says of its own encoding: `<meta>`, an XML declaration, a coding line.

`<meta>` is found as browsers find it, by the standard's "prescan a byte stream to determine its
encoding" (https://html.spec.whatwg.org/multipage/parsing.html). They look at 1,024 bytes before
they begin and start anew if a later `<meta>` of the head says otherwise, so the head is looked at
to its end here.
"""

from __future__ import annotations

import re

from retrieval.documents.charsets import codec_of_label, codec_of_name

_PRESCAN_BYTES = 1024
_HEAD_BYTES = 64 * 1024

_XML = re.compile(
    rb"<\?xml\s[^>]{0,200}?\bencoding\s*=\s*(?:\"([^\"<>]{1,40})\"|'([^'<>]{1,40})')", re.DOTALL
)
_META_ENDS = (b"\t", b"\n", b"\f", b"\r", b" ", b"/")
_NAME_ENDS = re.compile(rb"[\t\n\f\r />]")
_ATTRIBUTE = re.compile(
    rb"[\t\n\f\r /]*([^\t\n\f\r />=][^\t\n\f\r />=]*)"
    rb"(?:[\t\n\f\r ]*=[\t\n\f\r ]*(?:\"([^\"]*)\"|'([^']*)'|([^\t\n\f\r >\"'][^\t\n\f\r >]*)))?"
)
_CHARSET = re.compile(
    rb"charset[\t\n\f\r ]*=[\t\n\f\r ]*(?:\"([^\"]*)\"|'([^']*)'|([^\"'\t\n\f\r ;][^\t\n\f\r ;]*))",
    re.IGNORECASE,
)
_HEAD_ENDS = re.compile(rb"</head|<body", re.IGNORECASE)

_CODING = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-_.a-zA-Z0-9]+)")
_COMMENT_OR_BLANK = re.compile(rb"^[ \t\f]*(?:#.*)?\r?$")
_EMACS = re.compile(rb"-\*-.*?coding[ \t]*:[ \t]*([-_.a-zA-Z0-9]+).*?-\*-", re.IGNORECASE)
_VIM = re.compile(rb"\bvim?:.*?\b(?:fileencoding|fenc)=([-_.a-zA-Z0-9]+)")
_LINE_BYTES = 500
"""As much of a line as is searched for a coding line: more would cost time on hostile files."""
_EMACS_ENDS = re.compile(r"-(?:unix|dos|mac)$")


def declared_encoding(data: bytes, *, html: bool = False, python: bool = False) -> str | None:
    """The Python codec for the encoding that a file names; None if it names none that is known.

    Args:
        data: the file, or its first 64 KiB.
        html: whether it is HTML, where a `<meta>` counts.
        python: whether it is Python, where the first two lines may say (PEP 263).
    """
    if data.startswith(b"<?xml"):
        found = _XML.match(data)
        if found:
            codec = codec_of_label((found[1] or found[2]).decode("latin-1"))
            if codec:
                return _readable(codec)
    if html:
        return _meta(data[:_PRESCAN_BYTES]) or _late_meta(data[:_HEAD_BYTES])
    return _coding_line(data[:_HEAD_BYTES], python=python)


def _readable(codec: str) -> str:
    """Who could read the declaration byte for byte was not reading UTF-16, whatever it says."""
    return "utf-8" if codec.startswith("utf-16") else codec


def _late_meta(head: bytes) -> str | None:
    ends = _HEAD_ENDS.search(head)
    return _meta(head[: ends.start()] if ends else head)


def _meta(head: bytes) -> str | None:
    """The encoding of the first `<meta>` that names a known one, comments passed over."""
    at = 0
    while True:
        at = head.find(b"<", at)
        if at < 0:
            return None
        if head.startswith(b"<!--", at):
            end = head.find(b"-->", at + 2)
            if end < 0:
                return None
            at = end + 3
            continue
        after = head[at + 1 : at + 2]
        if head[at + 1 : at + 5].lower() == b"meta" and head[at + 5 : at + 6] in _META_ENDS:
            attributes, at = _attributes(head, at + 5)
            codec = _of_meta(attributes)
            if codec:
                return codec
        elif after.isalpha() or (after == b"/" and head[at + 2 : at + 3].isalpha()):
            name_ends = _NAME_ENDS.search(head, at + 1)
            _, at = _attributes(head, name_ends.start() if name_ends else len(head))
        elif after in (b"!", b"/", b"?"):
            end = head.find(b">", at)
            if end < 0:
                return None
            at = end + 1
        else:
            at += 1


def _attributes(head: bytes, at: int) -> tuple[dict[bytes, bytes], int]:
    """A tag's attributes by their names in lower case, and the place after the tag."""
    attributes: dict[bytes, bytes] = {}
    while True:
        found = _ATTRIBUTE.match(head, at)
        if not found:
            end = head.find(b">", at)
            return attributes, (end + 1 if end >= 0 else len(head))
        value = next((group for group in found.groups()[1:] if group is not None), b"")
        attributes.setdefault(found[1].lower(), value)
        at = found.end()


def _of_meta(attributes: dict[bytes, bytes]) -> str | None:
    label = attributes.get(b"charset")
    if label is None and attributes.get(b"http-equiv", b"").lower() == b"content-type":
        found = _CHARSET.search(attributes.get(b"content", b""))
        groups = found.groups() if found else ()
        label = next((group for group in groups if group is not None), None)
    codec = codec_of_label(label.decode("latin-1")) if label is not None else None
    return _readable(codec) if codec else None


def _coding_line(head: bytes, *, python: bool) -> str | None:
    """What Python or Emacs is told in the first two lines, or Vim in the first or last five."""
    lines = [line[:_LINE_BYTES] for line in head.split(b"\n", 5)[:5]]
    asked = lines[:2]
    if python and not _COMMENT_OR_BLANK.match(lines[0]):
        asked = lines[:1]
    for line in asked:
        found = (_CODING.match(line) if python else None) or _EMACS.search(line)
        if found:
            return _of_editor(found[1])
    for line in [*lines, *head[-_LINE_BYTES:].split(b"\n")[-6:]]:
        found = _VIM.search(line)
        if found:
            return _of_editor(found[1])
    return None


def _of_editor(name: bytes) -> str | None:
    return codec_of_name(_EMACS_ENDS.sub("", name.decode("ascii").lower()))
