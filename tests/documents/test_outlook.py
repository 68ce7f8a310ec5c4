"""Messages that Outlook saved: headers, text, attachments, and files that are none."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from retrieval.documents import discover, read
from retrieval.errors import DocumentError

from .compound_files_for_tests import Tree, binary, compound, numbers, text
from .mutations_for_tests import documents, survives
from .outlines_for_tests import FILL, headings

WHEN = datetime(2025, 3, 3, 9, 0, tzinfo=UTC)


def recipient(kind: int, name: str, address: str) -> Tree:
    return {**numbers(8, x0C15=kind), **text(0x3001, name), **text(0x39FE, address)}


def attachment(name: str, content: bytes) -> Tree:
    return {**numbers(8, x3705=1), **text(0x3707, name), **binary(0x3701, content)}


def message(before: int = 32, **more: bytes | Tree) -> Tree:
    return {
        **numbers(before, x0039=WHEN),
        **text(0x0037, "Rückmeldung on the pumps"),
        **text(0x0C1A, "Ada Lövelace"),
        **text(0x5D01, "ada@example.org"),
        **text(0x1035, "<2@example.org>"),
        **text(0x1000, "Dear Charles,\r\n\r\nthe pump fails at 40°.\r\n"),
        "__recip_version1.0_#00000000": recipient(1, "Babbage, Charles", "cb@example.org"),
        "__recip_version1.0_#00000001": recipient(2, "Jane Miller", "jane@example.org"),
        **more,
    }


def test_a_message_that_was_never_sent_has_its_headers_from_outlook() -> None:
    (made,) = documents("a.msg", compound(message()))
    assert (made.title, made.format) == ("Rückmeldung on the pumps", "mail")
    assert made.text == (
        "From: Ada Lövelace <ada@example.org>\n"
        "To: Babbage, Charles <cb@example.org>\n"
        "Cc: Jane Miller <jane@example.org>\n"
        "Date: Mon, 03 Mar 2025 09:00:00 +0000\n\n"
        "Dear Charles,\n\nthe pump fails at 40°."
    )
    assert made.metadata == {
        "sender": "Ada Lövelace <ada@example.org>",
        "recipients": ["Babbage, Charles <cb@example.org>", "Jane Miller <jane@example.org>"],
        "date": "2025-03-03T09:00:00Z",
        "message_id": "2@example.org",
        "thread": "2@example.org",
    }


def test_headers_of_a_message_that_was_sent_stand_before_what_outlook_knows() -> None:
    sent = (
        "From: =?utf-8?q?Ada_L=C3=B6velace?= <sent@example.org>\r\nDate: Mon, 3 Mar 2025 10:00:00"
        " +0100\r\nReferences: <1@example.org>\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
    )
    (made,) = documents("a.msg", compound(message() | text(0x007D, sent)))
    assert made.metadata["sender"] == "Ada Lövelace <sent@example.org>"
    assert made.metadata["thread"] == "1@example.org"
    assert "the pump fails" in made.text


def test_without_plain_text_the_page_is_read() -> None:
    page = f"<meta charset=iso-8859-1><h1>Größe</h1><p>{FILL}".encode("iso-8859-1")
    tree = message() | binary(0x1013, page)
    del tree["__substg1.0_1000001F"]
    (made,) = documents("a.msg", compound(tree))
    assert headings(made) == [(1, "Größe")] and "Take care" in made.text


def test_text_of_before_unicode_is_read_in_its_code_page() -> None:
    tree = {**numbers(32, x3FFD=1251), "__substg1.0_0037001E": "Насосы".encode("cp1251")}
    assert documents("a.msg", compound(tree))[0].title == "Насосы"


def test_attachments_and_attached_messages_are_documents() -> None:
    inner = message(24) | text(0x0037, "Budget")
    inner["__attach_version1.0_#00000000"] = attachment("deep.txt", b"deep")
    made = documents(
        "a.msg",
        compound(
            message(
                **{
                    "__attach_version1.0_#00000000": attachment(
                        "flows.csv", b"name,flow\npump,7\n"
                    ),
                    "__attach_version1.0_#00000001": attachment("old.doc", b"\xd0\xcf\0"),
                    "__attach_version1.0_#00000002": {
                        **numbers(8, x3705=5),
                        "__substg1.0_3701000D": inner,
                    },
                }
            )
        ),
    )
    assert [(one.id, one.title, one.format) for one in made] == [
        (None, "Rückmeldung on the pumps", "mail"),
        ("a.msg#flows.csv", "flows.csv", "csv"),
        ("a.msg#Budget.eml", "Budget", "mail"),
        ("a.msg#Budget.eml#deep.txt", "deep.txt", "text"),
    ]
    assert made[-1].problems == ("attachments that no format reads: 1 .doc, such as old.doc",)


def test_the_walk_finds_them_and_what_else_has_the_extension_is_text(tmp_path: Path) -> None:
    (tmp_path / "a.msg").write_bytes(compound(message()))
    (tmp_path / "de.msg").write_text('::msgcat::mcset de "pump" "Pumpe"\n')
    results = [read(file).documents[0] for file in discover([tmp_path], tmp_path)]
    assert [one.metadata["format"] for one in results] == ["mail", "text"]
    assert results[1].text == '::msgcat::mcset de "pump" "Pumpe"\n'


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (compound({"WordDocument": b"x"}), "holds no message; a message saved by Outlook"),
        (compound(message())[:700], "is not a readable Outlook message|holds no message"),
        (compound(message())[:8], "is not a readable Outlook message"),
    ],
)
def test_what_is_no_message_is_one_line(data: bytes, said: str) -> None:
    with pytest.raises(DocumentError, match=said):
        documents("a.msg", data)


def test_damaged_messages_are_read_or_refused() -> None:
    whole = compound(
        message(**{"__attach_version1.0_#00000000": attachment("a.csv", b"a,b\n1,2\n")})
    )
    words = [b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xfe\xff\xff\xff", b"\1\0\0\0", b"_\0_\0"]
    assert survives("a.msg", [whole], words) > 30
