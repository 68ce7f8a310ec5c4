"""Bytes to text, losing nothing.

What decides, the first that applies:

1. a byte order mark;
2. the encoding that the caller names;
3. UTF-16 without a mark, by its NULs;
4. UTF-8, if the bytes are that;
5. what the file says of itself: a `<meta>`, an XML declaration, a coding line, as browsers, Python
   and editors take them;
6. its bytes, where they tell East Asian text, Cyrillic, Greek, Arabic, Thai or Hebrew;
7. UTF-8 with the bytes that do not fit read as Windows-1252, or Latin-1 where that has no such
   character. So a page in a western encoding comes out right, and in a UTF-8 text with a damaged
   byte only that byte is guessed.

UTF-8 takes precedence over what a file says, since text in another encoding hardly ever looks like
UTF-8, and pages that were converted and still name their old encoding are common. Where a short
text of an East Asian page may be in either, what the page says is believed.

A NUL that strayed into a text becomes a space: it is part of no word, and programs that print or
store the text would cut it there.
Newlines stay as they stand in the file, `\\r\\n` included, so that an offset in the text is an
offset in the file's characters and line n of the text is line n of the file (a line ends at `\\n`).
"""

from __future__ import annotations

import codecs
import re
import unicodedata

from retrieval.documents.charsets import decode_as, named_encoding
from retrieval.documents.declarations import declared_encoding
from retrieval.documents.detection import detected

ENCODINGS_VERSION = 2
"""Raised whenever the same bytes give another text: files are read again."""

HEAD_BYTES = 8192
"""As much of a file as is looked at to tell text from binary."""

NO_TEXT = "a binary file (it holds bytes that no text has); only text can be read"
"""What is said of a file that is named as text and is none."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_FALLBACK = "retrieval-windows-1252"

_CONTROLS = bytes([*range(1, 8), *range(14, 27), *range(28, 32), 127])
"""Bytes that text does not hold; tab, newlines, form feed, backspace and escape may occur."""
_MAX_STRAY_SHARE = 0.1
"""Most stray NULs (a run of them counts once) of a text, as a share of its other bytes."""
_MAX_CONTROL_SHARE = 0.003
_BINARY_CONTROL_SHARE, _BINARY_CONTROLS = 0.03, 3
"""Of the bytes of what has no NUL and is binary all the same, and how many different ones: random
bytes are controls to a tenth, and where one separates fields it is one or two."""
_MAX_BLOCKS = 3
"""Characters from at most this many blocks of 256 are text in one script, not chance."""
_MIN_CHARACTERS = 16
"""This many characters that all exist are not chance, whatever blocks they are from."""
_NULS = re.compile(b"\0+")
_TAR = slice(257, 262)

_EAST_ASIAN = frozenset({"gb18030", "big5hkscs", "euc-jp", "cp932", "cp949", "cp874"})
_FEW = 2


def _as_windows_1252(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    wrong = error.object[error.start : error.end]
    return "".join(_WINDOWS_1252[byte] for byte in wrong), error.end


_WINDOWS_1252 = tuple(decode_as("cp1252", bytes([byte]))[0] for byte in range(256))
codecs.register_error(_FALLBACK, _as_windows_1252)


def is_binary(data: bytes) -> bool:
    """Whether the start of a file, or all of it, is binary rather than text.

    Text holds no NUL, but for UTF-16 and UTF-32, and for a log into which a few have strayed; and
    what is no UTF-8 holds hardly a control character.
    """
    if data.startswith(tuple(mark for mark, _ in _MARKS)):
        return False
    if b"\0" not in data:
        return _has_many_controls(data[:HEAD_BYTES])
    return _unmarked_utf16(data) is None and not _has_only_stray_nuls(data)


def decode(data: bytes, *, language: str = "text", encoding: str | None = None) -> tuple[str, str]:
    """The text of a file, and what was odd about its encoding ("" for nothing).

    The text holds no NUL.

    Args:
        data: the whole file.
        language: what its name says it is; decides what counts as a declaration.
        encoding: what to read it in, unless a byte order mark says otherwise.

    Raises:
        InputError: `encoding` is not known.
    """
    text, note = _decode(data, language, named_encoding(encoding) if encoding else None)
    return text.replace("\0", " "), note


def _decode(data: bytes, language: str, codec: str | None) -> tuple[str, str]:
    for mark, name in _MARKS:
        if data.startswith(mark):
            return _decode_as(name, data[len(mark) :], "as its byte order mark says it is")
    if codec:
        return _decode_as(codec, data, "as was said")
    unmarked = _unmarked_utf16(data[:HEAD_BYTES])
    if unmarked:
        return _decode_as(unmarked, data, "as its beginning looks")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        declared = _declared(data, language)
        if declared and declared != "utf-8":
            return _decode_as(declared, data, "as it says it is")
        if looks := detected(data, error.start):
            return _decode_as(looks, data, "as its bytes look")
        note = (
            f"not UTF-8 (byte 0x{data[error.start]:02x} at offset {error.start}); "
            "what does not fit was read as Windows-1252; if that is wrong, convert the file to "
            "UTF-8, or name the encoding of all files (--encoding)"
        )
        return data.decode("utf-8", _FALLBACK), note
    if text.isascii() and "\x1b" not in text:
        return text, ""
    declared = _declared(data, language)
    if declared and _is_believed(declared, text):
        return _decode_as(declared, data, "as it says it is")
    return text, ""


def _declared(data: bytes, language: str) -> str | None:
    return declared_encoding(data, html=language == "html", python=language == "python")


def _is_believed(declared: str, text: str) -> bool:
    """Whether a file is what it says it is though its bytes may be read as the UTF-8 `text`."""
    if declared == "iso2022_jp_ext":
        return "\x1b" in text
    if declared not in _EAST_ASIAN:
        return False
    others = re.findall(r"[^\x00-\x7f]", text)
    return len(others) <= _FEW and all(other < "\u0800" for other in others)


def _decode_as(codec: str, data: bytes, why: str) -> tuple[str, str]:
    if codec == "utf-8":
        try:
            return data.decode(codec), ""
        except UnicodeDecodeError as error:
            note = f"not UTF-8 at offset {error.start}, {why}; read as Windows-1252 there"
            return data.decode(codec, _FALLBACK), note
    text, lost = decode_as(codec, data)
    name = codec.replace("_", "-")
    note = f"not {name} everywhere, {why}; characters lost, and replaced by U+FFFD: {lost}"
    return text, note if lost else ""


def _has_only_stray_nuls(data: bytes) -> bool:
    """Whether this is text into which NULs have strayed, as after a crash into a log."""
    places = _NULS.subn(b"", data)[1]
    rest = len(data) - data.count(b"\0")
    if places > _MAX_STRAY_SHARE * rest or data[_TAR] == b"ustar":
        return False
    return rest - len(data.translate(None, _CONTROLS + b"\0")) <= _MAX_CONTROL_SHARE * rest


def _has_many_controls(data: bytes) -> bool:
    """Whether this is binary though it has no NUL: numbers as bytes, or compressed data."""
    found = len(data) - len(data.translate(None, _CONTROLS))
    if found <= _BINARY_CONTROL_SHARE * len(data) or data.isascii():
        return False
    if len(set(data) & set(_CONTROLS)) < _BINARY_CONTROLS:
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return True
    return False


def _unmarked_utf16(data: bytes) -> str | None:
    """The byte order of UTF-16 without a byte order mark; None if this is not UTF-16.

    Such text holds a NUL for each ASCII character, all in odd or all in even places but for a few,
    and characters that exist.
    """
    if b"\0" not in data:
        return None
    even, odd = data[0::2].count(0), data[1::2].count(0)
    codec = "utf-16-le" if odd >= even else "utf-16-be"
    try:
        text = codecs.getincrementaldecoder(codec)().decode(data)
    except UnicodeDecodeError:
        return None
    if len(text) < 2 or any(
        unicodedata.category(character) in ("Cc", "Cn", "Co", "Cs")
        for character in set(text) - set("\t\n\r\f\x1b")
    ):
        return None
    few = min(_MAX_BLOCKS, 1 + len(text) // 5)
    if len({ord(character) >> 8 for character in text}) <= few:
        return codec
    # Latin letters in a log with a NUL make Chinese characters when they are taken in pairs.
    if _has_only_stray_nuls(data):
        return None
    # Ideographs are 82 blocks, and stand beside kana or few other characters.
    scripts = {0x4E if "\u4e00" <= one <= "\u9fff" else ord(one) >> 8 for one in text}
    return codec if len(scripts) <= few or len(text) >= _MIN_CHARACTERS else None
