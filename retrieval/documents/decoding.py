"""Bytes to text, losing nothing.

A byte order mark decides; without one the text is UTF-8, and a byte that does not fit UTF-8 is read
as Windows-1252, or Latin-1 where that has no such character. So a page in a western encoding comes
out right, and in a UTF-8 text with a damaged byte only that byte is guessed. HTML that is not UTF-8
may name its encoding in a `<meta>`.

Newlines stay as they stand in the file, `\\r\\n` included, so that an offset in the text is an
offset in the file's characters and line n of the text is line n of the file (a line ends at `\\n`).
"""

from __future__ import annotations

import codecs
import re

HEAD_BYTES = 8192
"""As much of a file as is looked at to tell text from binary."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_FALLBACK = "retrieval-windows-1252"
_META = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_-]{2,20})", re.IGNORECASE)
_META_NAMES = re.compile(
    r"windows-125[0-8]|iso-8859-\d{1,2}|koi8-[ru]|gb2312|gbk|gb18030|big5|shift_jis|euc-(jp|kr)"
)


def _as_windows_1252(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    wrong = error.object[error.start : error.end]
    return "".join(_WINDOWS_1252[byte] for byte in wrong), error.end


_WINDOWS_1252 = tuple(
    bytes([byte]).decode("cp1252" if byte not in b"\x81\x8d\x8f\x90\x9d" else "latin-1")
    for byte in range(256)
)
codecs.register_error(_FALLBACK, _as_windows_1252)


def is_binary(head: bytes) -> bool:
    """Whether a file that begins so is no text: a NUL, and no mark of UTF-16 or UTF-32."""
    return b"\0" in head[:HEAD_BYTES] and not head.startswith(tuple(mark for mark, _ in _MARKS))


def decode(data: bytes, *, html: bool = False) -> tuple[str, str]:
    """The text of a file, and what was odd about its encoding ("" for nothing).

    Args:
        data: the whole file.
        html: whether a `<meta charset>` counts.
    """
    for mark, name in _MARKS:
        if data.startswith(mark):
            return _decode_as(name, data[len(mark) :])
    try:
        return data.decode("utf-8"), ""
    except UnicodeDecodeError as error:
        declared = _META.search(data[:1024]) if html else None
        if declared:
            name = declared[1].decode("ascii").lower()
            if _META_NAMES.fullmatch(name):
                return _decode_as(name, data)
        note = (
            f"not UTF-8 (byte 0x{data[error.start]:02x} at offset {error.start}); "
            "what does not fit was read as Windows-1252; convert the file to UTF-8 if that is wrong"
        )
        return data.decode("utf-8", _FALLBACK), note


def _decode_as(name: str, data: bytes) -> tuple[str, str]:
    try:
        return data.decode(name), ""
    except LookupError:
        return data.decode("utf-8", _FALLBACK), f"its encoding {name} is unknown; read as UTF-8"
    except UnicodeDecodeError as error:
        note = f"not {name} at offset {error.start}, as it says it is"
        if name == "utf-8":
            return data.decode(name, _FALLBACK), f"{note}; read as Windows-1252 there"
        return data.decode(name, "replace"), f"{note}; what does not fit was replaced by U+FFFD"
