"""What is attached to messages, other messages among it."""

from __future__ import annotations

import base64
import quopri
from pathlib import Path

from retrieval.documents import discover, read
from retrieval.documents.formats.mail.message import MAX_DEPTH
from retrieval.errors import DocumentError

from .messages_for_tests import message
from .mutations_for_tests import documents
from .outlines_for_tests import passages_of

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40


def test_attachments_are_documents_in_their_own_format() -> None:
    made = message()
    made.add_attachment("name,flow\npump,7\n", subtype="csv", filename="flows.csv")
    made.add_attachment(
        "# Größe\n\ntext", subtype="markdown", filename="../../etc/Größe der Mühle.md"
    )
    made.add_attachment("# Again\n", subtype="markdown", filename="Größe der Mühle.md")
    made.add_attachment(PICTURE, maintype="image", subtype="png", filename="a.png", cid="<1>")
    made.add_attachment(PICTURE, maintype="application", subtype="msword", filename="old.doc")
    made.add_attachment(PICTURE, maintype="application", subtype="octet-stream")
    made.add_attachment(b"{", maintype="application", subtype="json", filename="n.ipynb")
    made.add_attachment(b"\x30", maintype="application", subtype="pkcs7-signature", filename="s")
    found = documents("in/a.eml", bytes(made))
    assert [(one.id, one.title, one.format) for one in found] == [
        (None, "Rückmeldung on the pumps", ""),
        ("in/a.eml#flows.csv", "flows.csv", "csv"),
        ("in/a.eml#Größe der Mühle.md", "Größe", "markdown"),
        ("in/a.eml#Größe der Mühle-2.md", "Again", "markdown"),
    ]
    names = ["flows.csv", "Größe der Mühle.md", "Größe der Mühle-2.md", "a.png", "old.doc"]
    assert found[0].metadata["attachments"] == [*names, "attachment-6", "n.ipynb"]
    assert "Attachments: flows.csv, Größe der Mühle.md" in found[0].text
    assert found[1].metadata == {
        "sender": "Ada Lövelace <ada@example.org>",
        "date": "2025-03-03T09:00:00Z",
        "thread": "2@example.org",
        "message_id": "2@example.org",
        "subject": "Rückmeldung on the pumps",
        "attachment": "flows.csv",
    }
    assert str(passages_of(found[1])[0][1].place) == "flows.csv, row 1"
    assert all("PNG" not in one.text for one in found)
    problems = [problem for one in found for problem in one.problems]
    assert problems[0].startswith("attachment 'n.ipynb': is not a readable notebook")
    assert problems[1:] == [
        "attachments that no format reads: 1 .doc, 1 without an extension, "
        "such as old.doc, attachment-6"
    ]


def test_a_message_that_is_attached_is_a_document_with_attachments_of_its_own() -> None:
    inner = message("Inner text", number=1, subject="Budget")
    inner.add_attachment("deep", filename="deep.txt")
    outer = message()
    outer.add_attachment(inner)
    outer.add_attachment(bytes(inner), maintype="application", subtype="octet-stream",
                         filename="saved.eml")  # fmt: skip
    found = documents("a.eml", bytes(outer))
    assert [(one.id, one.title) for one in found] == [
        (None, "Rückmeldung on the pumps"),
        ("a.eml#Budget.eml", "Budget"),
        ("a.eml#Budget.eml#deep.txt", "deep.txt"),
        ("a.eml#saved.eml", "Budget"),
        ("a.eml#saved.eml#deep.txt", "deep.txt"),
    ]
    assert "Inner text" in found[1].text and "Inner text" not in found[0].text
    assert found[1].metadata["attachment"] == "Budget.eml"
    assert str(passages_of(found[2])[0][1].place) == "deep.txt"


def test_an_attached_message_that_a_program_has_encoded_is_read() -> None:
    inner = bytes(message("Two of them.\n", 1, subject="Pumps"))
    for encoding, packed in (
        ("base64", base64.encodebytes(inner)),
        ("quoted-printable", quopri.encodestring(inner)),
    ):
        whole = (
            b"From: a@b\nSubject: Outer\nMIME-Version: 1.0\nContent-Type: multipart/mixed; "
            b"boundary=e\n\n--e\nContent-Type: text/plain\n\nSee below.\n--e\n"
            b"Content-Type: message/rfc822\nContent-Transfer-Encoding: " + encoding.encode()
            + b'\nContent-Disposition: attachment; filename="first.eml"\n\n' + packed + b"--e--\n"
        )  # fmt: skip
        outer, attached = documents("a.eml", whole)
        assert outer.text.endswith("See below.")
        assert (attached.id, attached.title) == ("a.eml#first.eml", "Pumps")
        assert attached.text.endswith("Two of them.")


def test_an_attached_message_that_is_none_costs_only_itself() -> None:
    whole = (
        "From: a@b\nSubject: Outer\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=e\n"
        "\n--e\nContent-Type: text/plain\n\nSee below.\n--e\nContent-Type: message/rfc822\n\n\n"
        "no header\n--e--\n"
    )
    (outer,) = documents("a.eml", whole.encode())
    assert outer.text.endswith("See below.")
    assert outer.problems == ("attachment 'attachment-1.eml' holds no message; not read",)


def test_messages_that_are_attached_to_each_other_without_end_are_read_to_a_depth() -> None:
    made = message("the innermost")
    for _ in range(MAX_DEPTH + 3):
        outer = message()
        outer.add_attachment(made)
        made = outer
    found = documents("a.eml", bytes(made))
    assert len(found) == MAX_DEPTH + 1
    assert found[-1].problems[-1].endswith("is attached too deeply; not read")
    deep = b"From: a@b\nDate: x\n" + b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(3000)
    )
    try:
        assert documents("a.eml", deep)
    except DocumentError as error:
        assert "nested too deeply" in str(error)


def test_what_is_attached_may_be_in_any_format(tmp_path: Path) -> None:
    made = message()
    for name in ("office/files/guide-pandoc.docx", "pdf/files/libreoffice.pdf"):
        content = (Path(__file__).parent / name).read_bytes()
        made.add_attachment(
            content, maintype="application", subtype="octet-stream", filename=Path(name).name
        )
    (tmp_path / "a.eml").write_bytes(bytes(made))
    (file,) = discover([tmp_path], tmp_path)
    result = read(file)
    assert [(one.id, one.metadata["format"]) for one in result.documents] == [
        ("a.eml", "mail"),
        ("a.eml#guide-pandoc.docx", "docx"),
        ("a.eml#libreoffice.pdf", "pdf"),
    ]
    assert "Cold stores" in result.documents[1].text and result.problems == []
    assert {mark.unit for mark in result.outlines[2].marks} == {"part", "page"}
