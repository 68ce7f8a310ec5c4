"""Bytes to text: what decides, and that nothing is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.documents.decoding import decode, is_binary

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


@given(st.binary(max_size=200))
def test_any_bytes_give_a_text_that_can_be_stored(data: bytes) -> None:
    text, _ = decode(data)
    text.encode()
    assert text.count("\n") <= data.count(b"\n")


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


def test_html_may_name_its_encoding_and_only_one_of_text() -> None:
    page = '<meta charset="windows-1251">Привет'
    assert decode(page.encode("cp1251"), html=True) == (page, "")
    assert decode(page.encode("cp1251"))[1]
    declared = b'<meta http-equiv="Content-Type" content="text/html; charset=ISO-8859-1">caf\xe9'
    assert decode(declared, html=True)[0].endswith("café")
    for name in (b"utf-7", b"unicode_escape", b"zlib", b"nonsense"):
        text, note = decode(b"<meta charset=" + name + b">\\x41\xe9", html=True)
        assert text.endswith("\\x41é")
        assert "Windows-1252" in note


@pytest.mark.parametrize(
    ("head", "binary"),
    [
        (b"", False),
        (b"text", False),
        (b"te\0xt", True),
        (b"\x7fELF\0", True),
        (b"a" * 8192 + b"\0", False),
        (b"\xff\xfea\0", False),
        (b"a\0b\0", True),
    ],
)
def test_a_nul_in_the_head_makes_a_file_binary(head: bytes, binary: bool) -> None:
    assert is_binary(head) is binary
