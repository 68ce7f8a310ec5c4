"""The encoding of a text that does not say it, by its bytes: scripts other than Latin alone.

The detector is chardetng, which Firefox has for pages that say nothing. Of its answers those are
taken that were right in at least 98 of 100 texts of each length from 40 bytes on; which they are,
and what was measured, is in docs/decisions/text-encodings.md.
"""

from __future__ import annotations

import re

from retrieval.documents.charsets import codec_of_name, decode_as

_KANA_AND_HAN = "\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uff01-\uff9f"
_LETTERS = {
    "gb18030": "\u3000-\u303f\u3400-\u4dbf\u4e00-\u9fff\uff01-\uff5e",
    "big5hkscs": "\u3000-\u303f\u3400-\u4dbf\u4e00-\u9fff\uff01-\uff5e",
    "cp932": _KANA_AND_HAN,
    "euc-jp": _KANA_AND_HAN,
    "cp949": "\u3000-\u303f\u4e00-\u9fff\uac00-\ud7a3\uff01-\uff5e",
    "cp1251": "\u0400-\u045f\u0490\u0491",
    "koi8-u": "\u0400-\u045f\u0490\u0491",
    "cp1253": "\u0370-\u03ff",
    "cp1255": "\u05b0-\u05ff",
    "cp1256": "\u060c-\u06ff",
    "cp874": "\u0e00-\u0e7f",
}
"""The encodings that are told, and the letters of what is written in each."""
_SCRIPTS = {codec: re.compile(f"[{letters}]") for codec, letters in _LETTERS.items()}
_FEWEST = 8
"""Characters beyond ASCII."""
_FEWEST_OF = {"cp1255": 64, "gb18030": 16}
"""Hebrew and Chinese are what short texts in Cyrillic are taken for."""
_SHARE = 0.8
"""Of those characters so many are letters of the script."""

_MOST = 1 << 20
"""Bytes that are looked at, from a little before the first that is no UTF-8."""
_BEFORE = 1024
_UTF8 = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_ASCII = bytes(range(128))


def detected(data: bytes, first: int) -> str | None:
    """The codec that a text is in, by its bytes; None if that is not certain enough.

    Args:
        data: the text, which is no UTF-8.
        first: where the first byte is that does not fit.
    """
    part = _part(data, first)
    others = len(part.translate(None, _ASCII))
    if others < _FEWEST or 2 * sum(map(len, _UTF8.findall(part))) >= others:
        return None  # UTF-8 with a few damaged bytes
    try:
        from chardetng_py import EncodingDetector
    except ImportError:  # for some systems there is none, see pyproject.toml
        return None
    detector = EncodingDetector()
    detector.feed(part, last=True)
    codec = codec_of_name(detector.guess(tld=None, allow_utf8=False))
    if codec not in _SCRIPTS:
        return None
    text, lost = decode_as(codec, part)
    beyond = re.sub(r"[\x00-\x7f]+", "", text)
    letters = len(_SCRIPTS[codec].findall(beyond))
    certain = len(beyond) >= _FEWEST_OF.get(codec, _FEWEST) and letters >= _SHARE * len(beyond)
    return codec if certain and not lost else None


def _part(data: bytes, first: int) -> bytes:
    """The part of the data to examine: whole lines, so that no character is cut."""
    if len(data) <= _MOST:
        return data
    start = max(0, data.rfind(b"\n", 0, max(first - _BEFORE, 0)) + 1)
    part = data[start : start + _MOST]
    end = part.rfind(b"\n")
    return part[: end + 1] if end >= 0 and start + _MOST < len(data) else part
