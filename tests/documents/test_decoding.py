"""Bytes to text: what decides, and that nothing is lost."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.documents.charsets import codec_of_label, codec_of_name, decode_as, named_encoding
from retrieval.documents.decoding import decode, is_binary
from retrieval.errors import InputError

TEXT = "Größe — 𝒜\r\nzwei\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_unicode_is_read_with_its_mark_left_out_and_its_newlines_kept(encoding: str) -> None:
    assert decode(TEXT.encode(encoding)) == (TEXT, "")
    assert not is_binary(TEXT.encode(encoding))


def test_both_byte_orders_are_read() -> None:
    assert decode(b"\xfe\xff\x00a\x01\x00") == ("aĀ", "")
    assert decode(b"\xff\xfe\x00\x00a\x00\x00\x00") == ("a", "")


def test_windows_1252_is_read_and_said() -> None:
    text, note = decode("Ein naïves “Café” – 5 €\n".encode("cp1252"))
    assert text == "Ein naïves “Café” – 5 €\n"
    assert note.startswith("not UTF-8 (byte 0xef at offset 6); what does not fit was read as")


def test_a_damaged_byte_in_utf8_is_the_only_one_that_is_guessed() -> None:
    assert decode("Größe ".encode() + b"\x80" + "中文".encode())[0] == "Größe €中文"


@given(st.binary(max_size=200), st.sampled_from(["text", "html", "python", "xml"]))
def test_any_bytes_give_a_text_that_can_be_stored(data: bytes, language: str) -> None:
    text, _ = decode(data, language=language)
    text.encode()
    is_binary(data)


@given(st.binary(max_size=100), st.sampled_from(["gb2312", "x-sjis", "euc-jp", "big5", "euc-kr"]))
def test_any_bytes_are_read_in_an_encoding_of_several_bytes(data: bytes, label: str) -> None:
    codec = codec_of_label(label)
    assert codec is not None
    text, lost = decode_as(codec, data)
    assert text.count("\ufffd") == lost


WESTERN = st.sampled_from(["café ", "über ", "5 € ", "“so” ", "naïve ", "Œuvre ", "½\r\n"])


@given(st.lists(WESTERN, min_size=1).map("".join))
def test_a_page_in_a_western_encoding_comes_out_as_it_was_written(text: str) -> None:
    assert decode(text.encode("cp1252"))[0] == text


def test_the_bytes_that_windows_1252_lacks_are_kept_as_latin_1() -> None:
    assert decode(b"\x81\x8d\x8f\x90\x9d")[0] == "\x81\x8d\x8f\x90\x9d"


def test_damaged_utf16_says_so() -> None:
    text, note = decode("text".encode("utf-16") + b"\x00")
    assert text == "text\ufffd"
    assert "not utf-16" in note


LABELS = [
    ("iso-8859-1", "cp1252", "“Wert” – 5 €"),
    ("ASCII", "cp1252", "don’t"),
    ("Latin1", "cp1252", "Œuvre…"),
    ("iso-8859-9", "cp1254", "İstanbul’da ışık"),
    ("iso-8859-11", "cp874", "ภาษาไทย…"),
    ("tis-620", "cp874", "ยก"),
    ("l2", "iso8859-2", "Příliš žluťoučký kůň"),
    ("cp1250", "cp1250", "Łódź „tak”"),
    ("greek", "iso8859-7", "Ελληνικά"),
    ("windows-1253", "cp1253", "Άλφα"),
    ("windows-1255", "cp1255", "שלום"),
    ("visual", "iso8859-8", "םולש"),
    ("windows-1256", "cp1256", "مرحبا"),
    ("windows-1257", "cp1257", "Ąžuolas"),
    ("windows-1258", "cp1258", "Tiê\u0301ng Viê\u0323t"),
    ("koi8-r", "koi8-r", "Привет, мир"),
    ("koi8-u", "koi8-u", "Їжак і ґава"),
    ("866", "cp866", "Привет"),
    ("x-mac-cyrillic", "mac-cyrillic", "Привет"),
    ("x-mac-roman", "mac-roman", "naïve café"),
    ("shift-jis", "cp932", "①～Ⅳ㈱の問題"),
    ("ms_kanji", "cp932", "表示ソース"),
    ("windows-31j", "cp932", "髙橋﨑"),
    ("x-euc-jp", "euc-jp", "日本語の文字"),
    ("iso-2022-jp", "iso2022-jp", "日本語の文字"),
    ("gb2312", "gb18030", "朱镕基，㐀"),
    ("x-gbk", "gbk", "简体中文"),
    ("big5", "big5hkscs", "中文網頁"),
    ("big5-hkscs", "big5hkscs", "嘅嘢"),
    ("ks_c_5601-1987", "cp949", "똠방각하 펲시콜라"),
    ("korean", "cp949", "안녕하세요"),
]


@pytest.mark.parametrize(("label", "codec", "text"), LABELS)
def test_a_page_is_read_in_what_browsers_take_its_label_for(
    label: str, codec: str, text: str
) -> None:
    page = f'<html><head><meta charset="{label}"><title>t</title></head><body><p>{text}</p>'
    assert decode(page.encode(codec), language="html") == (page, "")
    feed = f"<?xml version='1.0' encoding='{label}'?><p>{text}</p>"
    assert decode(feed.encode(codec), language="xml") == (feed, "")


def test_what_browsers_read_and_codecs_of_that_name_do_not_is_read() -> None:
    assert decode_as("euc-jp", b"\xad\xa1\xf9\xa1") == ("①纊", 0)
    assert decode_as("gb18030", b"\x80") == ("€", 0)
    assert decode_as("cp1251", b"\x98") == ("\x98", 0)
    assert decode_as("cp1253", b"\xaa") == ("\ufffd", 1)
    text, note = decode(b"<meta charset=euc-kr>\xb0\xa1\xff", language="html")
    assert text == "<meta charset=euc-kr>가\ufffd"
    assert note.endswith("characters lost, and replaced by U+FFFD: 1")


@pytest.mark.parametrize(
    "head",
    [
        '<meta charset="windows-1251">',
        "<META\nCharSet = windows-1251 >",
        "<meta/charset='cp1251'/>",
        '<meta name=a content="charset=koi8-r"><meta charset=cp1251>',
        '<meta http-equiv="Content-Type" content="text/html; charset=windows-1251">',
        "<meta content='text/html;charset=\"windows-1251\"' http-equiv=content-type>",
        "<!-- <meta charset=koi8-r> --><meta charset=cp1251>",
        '<script data-a="<meta charset=koi8-r>"></script><meta charset=cp1251>',
        "<meta charset=no-such-thing><meta charset=cp1251>",
        "<?xml version='1.0' encoding='windows-1251'?><html>",
        "<!DOCTYPE html></x a='>'><meta charset=cp1251>",
        "<head><style>" + "a{}" * 500 + "</style><meta charset=cp1251></head>",
    ],
)
def test_a_declaration_is_found_where_browsers_find_it(head: str) -> None:
    page = head + "<p>Привет"
    assert decode(page.encode("cp1251"), language="html") == (page, "")


@pytest.mark.parametrize(
    "head",
    [
        "<!-- <meta charset=cp1251>",
        '<meta content="text/html; charset=cp1251">',
        '<meta name="charset=cp1251">',
        "<metadata charset=cp1251>",
        "<head></head><body>" + "x" * 1100 + "<meta charset=cp1251>",
        "charset=cp1251",
        '<a title="<meta charset=cp1251>">',
        *(f"<meta charset={name}>" for name in ("utf-7", "unicode_escape", "zlib", "nonsense")),
    ],
)
def test_what_is_no_declaration_is_not_taken_for_one(head: str) -> None:
    text, note = decode((head + "<p>Привет").encode("cp1251"), language="html")
    assert text.endswith("Ïðèâåò")
    assert "Windows-1252" in note


def test_a_declaration_of_utf16_that_could_be_read_is_of_utf8() -> None:
    page = '<meta charset="utf-16">naïve'
    assert decode(page.encode(), language="html") == (page, "")


def test_a_page_that_is_utf8_and_says_otherwise_is_utf8() -> None:
    for label in ("iso-8859-1", "windows-1251", "gb2312", "euc-kr"):
        page = f"<meta charset={label}>Größe und Maß, geprüft"
        assert decode(page.encode(), language="html") == (page, "")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("# -*- coding: koi8-r -*-\nx = 'Привет'\n", "python"),
        ("#!/usr/bin/python\n# vim: set fileencoding=koi8-r :\nx = 'Привет'\n", "python"),
        ("# coding=koi8-r\nПривет\n", "python"),
        ("\n# This file's encoding: koi8-r\nПривет\n", "python"),
        ("// -*- mode: c; coding: koi8-r-unix -*-\nПривет\n", "c"),
        ("#!/bin/sh\n# -*- coding: koi8-r -*-\nПривет\n", "bash"),
        ("Привет\n\n\n\n\n\n\n\n# vim: ts=4 fenc=koi8-r\n", "text"),
    ],
)
def test_a_coding_line_is_believed(text: str, language: str) -> None:
    assert decode(text.encode("koi8-r"), language=language) == (text, "")


def test_a_coding_line_counts_only_where_python_looks_for_it() -> None:
    for text in ("x = 1\n# coding: koi8-r\nПривет", "\n\n# coding: koi8-r\nПривет"):
        assert decode(text.encode("koi8-r"), language="python")[1]
    assert decode("# coding: koi8-r\nПривет".encode("koi8-r"), language="text")[1]


def test_an_encoding_that_was_asked_for_is_used_but_for_a_mark() -> None:
    assert decode("Привет".encode("cp866"), encoding="cp866") == ("Привет", "")
    assert decode("日本".encode("utf-16-be"), encoding="UTF-16BE") == ("日本", "")
    page = "<meta charset=koi8-r>Привет"
    assert decode(page.encode("cp1251"), language="html", encoding="cp1251") == (page, "")
    assert decode(b"\xef\xbb\xbfna\xc3\xafve", encoding="cp1251") == ("naïve", "")
    assert decode("naïve".encode("cp437"), encoding="cp437") == ("naïve", "")
    assert "not utf-8" in decode(b"caf\xe9", encoding="utf8")[1].lower()
    for wrong in ("no-such", "zlib", "base64", "unicode_escape", "a\0b"):
        with pytest.raises(InputError, match="is not known; name one such as"):
            decode(b"text", encoding=wrong)
    assert named_encoding("latin_1") == "cp1252"
    assert codec_of_name("hex") is None


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "text",
    [
        "ab",
        "The log begins.\r\n",
        "Größe — 𝒜\n",
        "Привет, мир\n",
        "系统日志 10:30 一切正常\n",
        "お支払いは金曜日までに。\n",
        "नमस्ते दुनिया\n",
    ],
)
def test_utf16_is_known_without_its_mark(codec: str, text: str) -> None:
    data = text.encode(codec)
    assert not is_binary(data)
    assert decode(data) == (text, "")


@pytest.mark.parametrize(
    "data",
    [
        b"2026-01-01 start\n2026-01-02 \0stop\n",
        b"before the crash\n" + b"\0" * 4096 + b"after it\n",
        "Größe\0 und Maß\n".encode(),
        b"\x1b[31merror\x1b[0m in line\0 12\n",
    ],
)
def test_nuls_that_strayed_into_a_log_leave_it_text(data: bytes) -> None:
    assert not is_binary(data)
    assert decode(data) == (data.decode().replace("\0", " "), "")


@pytest.mark.parametrize(
    ("head", "binary"),
    [
        (b"", False),
        (b"text", False),
        (b"te\0xt", True),
        (b"\0", True),
        (b"\x7fELF\0", True),
        (b"\x7fELF\2\1\1\0\0\0\0\0\0\0\0\0\3\0>\0\1\0\0\0", True),
        (bytes(range(256)) * 8, True),
        (b"\0\1\0\2\0\3\0\4\0\5" * 50, True),
        (b"a.txt" + bytes(252) + b"ustar\x0000" + b"text " * 900, True),
        (b"a" * 8192 + b"\0", False),
        (b"\xff\xfea\0", False),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0", True),
    ],
)
def test_what_holds_nuls_is_binary_unless_it_is_text_all_the_same(
    head: bytes, binary: bool
) -> None:
    assert is_binary(head) is binary


@pytest.mark.parametrize(
    ("head", "binary"),
    [
        (
            b"\x08\x02\x08\x03\x10\x01J\x18\x18\xbe\x97=\x1f\x9f\xf1\xbc^\x7f\t\xbfa4\x81>\n\xed\xde>",
            True,
        ),
        (bytes(range(1, 256)) * 40, True),
        (bytes(byte for byte in random.Random(0).randbytes(9000) if byte), True),
        ("Größe\x01Maß\x02Ende\x03\n".encode() * 99, False),  # fields of UTF-8
        (b"Gr\xf6\xdfe\x01Ma\xdf\x01Ende\x02\n" * 99, False),  # of Windows-1252
        (b"\x1b[31merr\x08or\x1b[0m \x07 \xfcber\n" * 99, False),
        ("日本の港".encode("iso2022_jp") * 99, False),
        ("부두의 창고".encode("iso2022_kr") * 99, False),
        ("港の冷蔵庫へ".encode("cp932") * 999, False),
        ("港口的冷库".encode("gb18030") * 999, False),
        (b"\x01\x02\x03\x04 all in ASCII" * 9, False),
    ],
)
def test_what_holds_many_control_characters_and_is_no_utf_8_is_binary(
    head: bytes, binary: bool
) -> None:
    assert is_binary(head) is binary


@pytest.mark.parametrize("language", ["html", "python", "text"])
def test_hostile_declarations_end(language: str) -> None:
    """Each would take minutes if a search began anew at every place."""
    for piece in (b"<a b=", b"<a b='", b"<meta ", b"<!--", b"-*-coding", b"vi:", b"<", b'/="'):
        text, _ = decode(piece * 20_000 + b"\xff", language=language)
        assert text.endswith("ÿ")
