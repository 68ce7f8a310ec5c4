"""Encodings by the names that pages give them, and bytes decoded as browsers decode them.

The names are the labels of the WHATWG Encoding Standard (https://encoding.spec.whatwg.org/), where
`iso-8859-1` and `ascii` mean Windows-1252 and `gb2312` means GBK, because that is what pages that
say so hold. Python's codecs of the same names are narrower, so each encoding names the codec that
reads the most of it, and what that codec lacks is filled in below.
"""

from __future__ import annotations

import codecs

from retrieval.errors import InputError

_LABELS = {
    "utf-8": "unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf-8 utf8 x-unicode20utf8",
    "cp866": "866 cp866 csibm866 ibm866",
    "iso8859-2": "csisolatin2 iso-8859-2 iso-ir-101 iso8859-2 iso88592 iso_8859-2 iso_8859-2:1987 "
    "l2 latin2",
    "iso8859-3": "csisolatin3 iso-8859-3 iso-ir-109 iso8859-3 iso88593 iso_8859-3 iso_8859-3:1988 "
    "l3 latin3",
    "iso8859-4": "csisolatin4 iso-8859-4 iso-ir-110 iso8859-4 iso88594 iso_8859-4 iso_8859-4:1988 "
    "l4 latin4",
    "iso8859-5": "csisolatincyrillic cyrillic iso-8859-5 iso-ir-144 iso8859-5 iso88595 iso_8859-5 "
    "iso_8859-5:1988",
    "iso8859-6": "arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114 iso-8859-6 "
    "iso-8859-6-e iso-8859-6-i iso-ir-127 iso8859-6 iso88596 iso_8859-6 iso_8859-6:1987",
    "iso8859-7": "csisolatingreek ecma-118 elot_928 greek greek8 iso-8859-7 iso-ir-126 iso8859-7 "
    "iso88597 iso_8859-7 iso_8859-7:1987 sun_eu_greek",
    "iso8859-8": "csiso88598e csiso88598i csisolatinhebrew hebrew iso-8859-8 iso-8859-8-e "
    "iso-8859-8-i iso-ir-138 iso8859-8 iso88598 iso_8859-8 iso_8859-8:1988 logical visual",
    "iso8859-10": "csisolatin6 iso-8859-10 iso-ir-157 iso8859-10 iso885910 l6 latin6",
    "iso8859-13": "iso-8859-13 iso8859-13 iso885913",
    "iso8859-14": "iso-8859-14 iso8859-14 iso885914",
    "iso8859-15": "csisolatin9 iso-8859-15 iso8859-15 iso885915 iso_8859-15 l9",
    "iso8859-16": "iso-8859-16",
    "koi8-r": "cskoi8r koi koi8 koi8-r koi8_r",
    "koi8-u": "koi8-ru koi8-u",
    "mac-roman": "csmacintosh mac macintosh x-mac-roman",
    "cp874": "dos-874 iso-8859-11 iso8859-11 iso885911 tis-620 windows-874",
    "cp1250": "cp1250 windows-1250 x-cp1250",
    "cp1251": "cp1251 windows-1251 x-cp1251",
    "cp1252": "ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 "
    "iso8859-1 iso88591 iso_8859-1 iso_8859-1:1987 l1 latin1 us-ascii windows-1252 x-cp1252 "
    "x-user-defined",
    "cp1253": "cp1253 windows-1253 x-cp1253",
    "cp1254": "cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9 "
    "iso_8859-9:1989 l5 latin5 windows-1254 x-cp1254",
    "cp1255": "cp1255 windows-1255 x-cp1255",
    "cp1256": "cp1256 windows-1256 x-cp1256",
    "cp1257": "cp1257 windows-1257 x-cp1257",
    "cp1258": "cp1258 windows-1258 x-cp1258",
    "mac-cyrillic": "x-mac-cyrillic x-mac-ukrainian",
    "gb18030": "chinese csgb2312 csiso58gb231280 gb18030 gb2312 gb_2312 gb_2312-80 gbk iso-ir-58 "
    "x-gbk",
    "big5hkscs": "big5 big5-hkscs cn-big5 csbig5 x-x-big5",
    "euc-jp": "cseucpkdfmtjapanese euc-jp x-euc-jp",
    "iso2022_jp_ext": "csiso2022jp iso-2022-jp",
    "cp932": "csshiftjis ms932 ms_kanji shift-jis shift_jis sjis windows-31j x-sjis",
    "cp949": "cseuckr csksc56011987 euc-kr iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 ksc5601 "
    "ksc_5601 windows-949",
    "utf-16-le": "csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16 utf-16le",
    "utf-16-be": "unicodefffe utf-16be",
}
_CODEC_OF = {label: codec for codec, labels in _LABELS.items() for label in labels.split()}

_NOT_OF_TEXT = frozenset(
    {"idna", "palmos", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"}
)
"""Codecs of Python that are for text but are not how a file is written."""

_MENDED = "retrieval-mended"


def codec_of_label(label: str) -> str | None:
    """The Python codec for an encoding that a page names; None for a name that no browser knows."""
    return _CODEC_OF.get(label.strip("\t\n\f\r ").lower())


def codec_of_name(name: str) -> str | None:
    """The same, for a name that a person or a program gives: Python's own names count, too."""
    known = codec_of_label(name)
    if known:
        return known
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError):
        return None
    # The attribute is what `bytes.decode` itself asks: codecs such as zip turn bytes to bytes.
    of_text = getattr(found, "_is_text_encoding", True)
    if not of_text or found.name.replace("_", "-") in _NOT_OF_TEXT:
        return None
    return codec_of_label(found.name) or found.name


def named_encoding(name: str) -> str:
    """The codec for an encoding that was asked for.

    Raises:
        InputError: there is none of that name.
    """
    codec = codec_of_name(name)
    if codec is None:
        shown = name if name.isprintable() else repr(name)
        raise InputError(
            f"the encoding {shown!r} is not known; name one such as utf-8, windows-1252, gb18030 "
            "or shift_jis"
        )
    return codec


def decode_as(codec: str, data: bytes) -> tuple[str, int]:
    """The text, and how many characters of it stand for bytes that could not be read (U+FFFD).

    What a browser reads is read, where Python's codec of that name refuses it.
    """
    try:
        return data.decode(codec), 0
    except UnicodeDecodeError:
        text = data.decode(codec, _MENDED)
        return text, text.count("\ufffd")


def _mend(error: UnicodeError) -> tuple[str, int]:
    """What a browser makes of bytes that Python's codec refuses, and where to go on."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    data, start = error.object, error.start
    codec = error.encoding.lower().replace("_", "-")
    byte, pair = data[start], data[start : start + 2]
    if codec in ("euc-jp", "iso2022-jp-ext") and len(pair) == 2:
        text = _jis_pair(pair)
        if text:
            return text, start + 2
    elif codec == "big5hkscs" and len(pair) == 2:
        text = pair.decode("cp950", "ignore")
        if len(text) == 1:
            return text, start + 2
    elif codec == "gb18030" and byte == 0x80:
        return "€", start + 1
    elif (codec.startswith("cp125") or codec == "charmap") and 0x80 <= byte < 0xA0:
        return chr(byte), start + 1
    return "\ufffd", error.end


def _jis_pair(pair: bytes) -> str:
    """A row and a cell of the kanji that NEC and IBM added to JIS X 0208; "" for none."""
    row, cell = (pair[0] & 0x7F) - 0x20, (pair[1] & 0x7F) - 0x20
    if not (1 <= row <= 94 and 1 <= cell <= 94):
        return ""
    lead = (row - 1) // 2 + (0x81 if row <= 62 else 0xC1)
    trail = cell + (0x9E if row % 2 == 0 else 0x3F if cell < 64 else 0x40)
    return bytes([lead, trail]).decode("cp932", "ignore")


codecs.register_error(_MENDED, _mend)
