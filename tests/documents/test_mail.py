"""Mail: messages, mailboxes, Maildir folders, what is attached, and what is damaged."""

from __future__ import annotations

import base64
import mailbox
import quopri
import subprocess
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest

from retrieval.documents import discover, read
from retrieval.documents.formats import format_of
from retrieval.documents.formats.mail.mailbox import is_mail
from retrieval.documents.formats.mail.message import MAX_DEPTH
from retrieval.errors import DocumentError

from .mutations_for_tests import documents, survives
from .outlines_for_tests import FILL, blocks, headings, passages_of

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
BODY = "Dear Charles,\n\nthe pump fails at 40°.\n\n-- \nAda\n"


def message(body: str = BODY, number: int = 2, **fields: str) -> EmailMessage:
    made = EmailMessage()
    made["From"] = fields.pop("sender", "Ada Lövelace <ada@example.org>")
    made["To"] = '"Babbage, Charles" <cb@example.org>, mill@lists.example.org'
    made["Subject"] = fields.pop("subject", "Rückmeldung on the pumps")
    made["Date"] = "Mon, 03 Mar 2025 10:00:00 +0100"
    made["Message-ID"] = f"<{number}@example.org>"
    for name, value in fields.items():
        made[name.replace("_", "-")] = value
    made.set_content(body)
    return made


def test_a_message_is_its_headers_and_its_text() -> None:
    made = message(References="<1@example.org> <1b@example.org>", Cc="x@example.org")
    (found,) = documents("a.eml", bytes(made))
    assert found.title == "Rückmeldung on the pumps"
    assert found.id is None
    assert found.text == (
        "From: Ada Lövelace <ada@example.org>\n"
        "To: Babbage, Charles <cb@example.org>, mill@lists.example.org\n"
        "Cc: x@example.org\n"
        "Date: Mon, 03 Mar 2025 10:00:00 +0100\n\n"
        "Dear Charles,\n\nthe pump fails at 40°.\n\n-- \nAda"
    )
    assert found.metadata == {
        "sender": "Ada Lövelace <ada@example.org>",
        "recipients": [
            "Babbage, Charles <cb@example.org>",
            "mill@lists.example.org",
            "x@example.org",
        ],
        "date": "2025-03-03T09:00:00Z",
        "message_id": "2@example.org",
        "thread": "1@example.org",
    }


def test_headers_that_people_write_are_text() -> None:
    """Of news, and of patches whose headers Debian describes (DEP-3)."""
    head = "From: a@b\nSubject: s\nOrganization: The Mill\nSummary: all of it\n"
    (found,) = documents("a.eml", f"{head}Description: one\n two\nLines: 3\nX-Trace: no\n\nbody")
    assert found.text == (
        "From: a@b\nOrganization: The Mill\nSummary: all of it\nDescription: one two\n\nbody"
    )


def test_labels_of_a_message_that_was_exported_are_metadata() -> None:
    made = message(X_Gmail_Labels="Inbox,Größe der Mühle,Important", Keywords='"a b", Inbox')
    (found,) = documents("a.eml", bytes(made))
    assert found.metadata["labels"] == ["Inbox", "Größe der Mühle", "Important", "a b"]


@pytest.mark.parametrize("encoding", ["quoted-printable", "base64", "8bit"])
@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1", "windows-1252"])
def test_text_is_decoded_from_what_it_was_sent_in(encoding: str, charset: str) -> None:
    made = EmailMessage(policy=SMTP)
    made["From"], made["Date"] = "a@example.org", "Mon, 3 Mar 2025 10:00:00 -0000"
    made.set_content("Größe 40°, naïve\n" * 30, charset=charset, cte=encoding)
    (found,) = documents("a.eml", bytes(made))
    assert found.text.endswith("\n\n" + "Größe 40°, naïve\n" * 29 + "Größe 40°, naïve")
    assert found.metadata["date"] == "2025-03-03T10:00:00Z"


@pytest.mark.parametrize(
    ("body", "charset", "said"),
    [
        ("日本語のテキスト".encode("iso-2022-jp"), "iso-2022-jp", "日本語のテキスト"),
        ("Größe".encode(), "us-ascii", "Größe"),
        ("Größe".encode("cp1252"), "unheard-of", "Größe"),
        ("Größe".encode("cp1252"), "", "Größe"),
        ("привет, как дела".encode("koi8-r"), "KOI8-R", "привет, как дела"),
    ],
)
def test_a_charset_that_says_nothing_is_found(body: bytes, charset: str, said: str) -> None:
    kind = f"Content-Type: text/plain; charset={charset}\n" if charset else ""
    head = f"From: a@example.org\nDate: Mon, 3 Mar 2025 10:00:00 +0100\n{kind}\n"
    (found,) = documents("a.eml", head.encode() + body)
    assert found.text.endswith(f"\n\n{said}")


@pytest.mark.parametrize(
    ("raw", "title"),
    [
        (b"=?utf-8?q?Gr=C3=B6=C3=9Fe?= and\n =?iso-8859-1?b?R3L232U=?=", "Größe and Größe"),
        ("Größe".encode(), "Größe"),
        ("Größe".encode("cp1252"), "Größe"),
        (b"=?utf-8?b?broken", "=?utf-8?b?broken"),
        (b"=?unheard-of?q?G?=", "G"),
        (b"=?utf-8?q?a=0Ab?=", "a b"),
        (b"", ""),
    ],
)
def test_headers_are_words_on_one_line(raw: bytes, title: str) -> None:
    (found,) = documents("a.eml", b"From: a@b\nDate: x\nSubject: " + raw + b"\n\nbody")
    assert found.title == title


@pytest.mark.parametrize(
    ("date", "iso"),
    [
        ("Mon, 3 Mar 2025 23:30:00 -0800", "2025-03-04T07:30:00Z"),
        ("3 Mar 25 10:00 GMT", "2025-03-03T10:00:00Z"),
        ("Mon, 31 Feb 2025 10:00:00 +0100", None),
        ("yesterday", None),
        ("Fri, 31 Dec 9999 23:00:00 -1400", None),
    ],
)
def test_dates_are_in_universal_time(date: str, iso: str | None) -> None:
    (found,) = documents("a.eml", f"From: a@b\nDate: {date}\n\nbody")
    assert found.metadata.get("date") == iso


def test_plain_text_is_preferred_and_html_is_read_as_pages_are() -> None:
    page = (
        f"<h1>Pumps</h1><p>{FILL * 4}</p><h2>North</h2><p>it &amp; fails</p>"
        f"<table><tr><th>name<th>flow<tr><td>pump<td>7</table>"
    )
    made = message()
    made.add_alternative(page, subtype="html")
    assert documents("a.eml", bytes(made))[0].text.endswith("\n\n" + BODY.strip())
    # What only says that there is an HTML version is none.
    made = message("This message is in HTML.")
    made.add_alternative(page, subtype="html")
    (found,) = documents("a.eml", bytes(made))
    assert headings(found) == [(1, "Pumps"), (2, "North")]
    assert "it & fails" in found.text and "in HTML" not in found.text
    assert ("table", "name | flow", "") in blocks(found)
    section = found.outline.sections[-1]
    assert found.text[section.start : section.body] == "North"
    text, passage = passages_of(found)[-1]
    assert "pump" in text and passage.context.headings == ("Pumps", "North")


def test_html_alone_has_its_structure_where_blank_lines_are_left_out() -> None:
    made = message("x")
    page = "<html>\n\n\n\n<h1>A</h1>\n\n\n\n\n<p>a</p>\n\n\n<h2>B</h2>\n\n\n\n<ul><li>b</ul>"
    made.set_content(page, subtype="html")
    (found,) = documents("a.eml", bytes(made))
    assert "\n\n\n" not in found.text
    for section in found.outline.sections[1:]:
        assert found.text[section.start : section.body] == section.heading
    item = found.outline.blocks[0]
    assert (item.kind, found.text[item.start : item.end]) == ("list", "b")


def test_a_quote_is_read_with_who_wrote_it() -> None:
    quoted = "".join(f"> line {n}: {FILL}\n" for n in range(8))
    body = f"I agree.\n\nOn Sun, 2 Mar 2025 at 09:00, Charles Babbage\nwrote:\n{quoted}\nBye\n"
    (found,) = documents("a.eml", bytes(message(body)))
    lead = "On Sun, 2 Mar 2025 at 09:00, Charles Babbage wrote:"
    assert blocks(found) == [("paragraph", lead, "")]
    late = [passage for text, passage in passages_of(found) if "line 6" in text]
    assert late[0].context.lead == lead
    (found,) = documents("a.eml", bytes(message("a\n\n> b\n> c\n\n> d\ne\n")))
    assert [found.text[b.start : b.end] for b in found.outline.blocks] == ["> b\n> c", "> d"]


def test_lines_that_were_broken_to_be_sent_are_whole_again() -> None:
    head = "From: a@b\nDate: x\nContent-Type: text/plain; format=flowed"
    body = "one \ntwo\n> three \n> four\n>> five \n> six\n-- \nme\n\n From here\n"
    (found,) = documents("a.eml", f"{head}\n\n{body}")
    assert found.text.split("\n\n", 1)[1] == (
        "one two\n> three four\n>> five\n> six\n--\nme\n\nFrom here"
    )
    (found,) = documents("a.eml", f"{head}; delsp=yes\n\nbroken \nword\n")
    assert found.text.endswith("brokenword")


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
    assert problems[0].startswith("attachment 'n.ipynb': is no notebook that can be read")
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


def test_what_is_encrypted_is_said_so() -> None:
    made = (
        "From: a@b\nDate: x\nSubject: s\nContent-Type: multipart/encrypted; boundary=b\n\n"
        "--b\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n--b\n"
        "Content-Type: application/octet-stream; name=x.asc\n\n-----BEGIN PGP MESSAGE-----\n--b--\n"
    )
    (found,) = documents("a.eml", made)
    assert "PGP" not in found.text
    assert found.problems == ("encrypted messages, of which only headers were read: 1",)


def test_a_report_of_a_delivery_is_read() -> None:
    made = (
        "From: mx@b\nDate: x\nContent-Type: multipart/report; boundary=b\n\n"
        "--b\n\nIt was not delivered.\n--b\nContent-Type: message/delivery-status\n\n"
        "Reporting-MTA: dns; mx\n\nFinal-Recipient: rfc822; c@d\nStatus: 5.1.1\n--b--\n"
    )
    (found,) = documents("a.eml", made)
    assert "It was not delivered." in found.text and "Final-Recipient: rfc822; c@d" in found.text


@pytest.fixture
def mbox(tmp_path: Path) -> Path:
    """A mailbox of three messages, written by Python's mailbox."""
    box = mailbox.mbox(tmp_path / "in.mbox")
    box.add(message("From the mill:\n\nFrom here on\n> quoted\n", number=1))
    with_file = message("second", number=2)
    with_file.add_attachment("a note", filename="note.txt")
    box.add(with_file)
    box.add(message("third", number=1))
    box.close()
    return tmp_path / "in.mbox"


def test_each_message_of_a_mailbox_is_a_document(mbox: Path) -> None:
    data = mbox.read_bytes()
    found = documents("in.mbox", data)
    assert [one.id for one in found] == [
        "in.mbox#1@example.org",
        "in.mbox#2@example.org",
        "in.mbox#2@example.org#note.txt",
        "in.mbox#1@example.org~2",
    ]
    assert found[0].text.endswith("\n\nFrom the mill:\n\nFrom here on\n> quoted")
    lines = data.decode().split("\n")
    for one in found:
        assert lines[one.metadata["line"] - 1].startswith("From:")
    # The same without an extension, as Thunderbird keeps it, and with line ends of Windows.
    assert format_of("Inbox", data[:8192]).name == "mail"
    windows = documents("in.mbox", data.replace(b"\n", b"\r\n"))
    assert [(one.id, one.text.replace("\r\n", "\n")) for one in windows] == [
        (one.id, one.text) for one in found
    ]


def test_a_message_more_in_a_mailbox_leaves_the_others_as_they_are(mbox: Path) -> None:
    before = documents("in.mbox", mbox.read_bytes())
    box = mailbox.mbox(mbox)
    box.add(message("a fourth", number=4))
    box.close()
    after = documents("in.mbox", mbox.read_bytes())
    assert after[:-1] == before and after[-1].id == "in.mbox#4@example.org"


def test_messages_that_thunderbird_deleted_are_not_read(mbox: Path) -> None:
    data = mbox.read_bytes().replace(b"Message-ID: <2@", b"X-Mozilla-Status: 0009\nMessage-ID: <2@")
    found = documents("in.mbox", data)
    assert [one.metadata["message_id"] for one in found] == ["1@example.org"] * 2


def test_patches_of_git_are_messages(tmp_path: Path) -> None:
    def git(*args: str) -> None:
        who = ["-c", "user.name=Ada Lovelace", "-c", "user.email=ada@example.org"]
        subprocess.run(["git", *who, *args], cwd=tmp_path, check=True, capture_output=True)

    git("init", "-q")
    for number in (1, 2):
        (tmp_path / "pump.c").write_text(f"int flow = {number};\n")
        git("add", "pump.c")
        git("commit", "-qm", f"Flow is {number}\n\nFrom now on the pump is faster.")
    git("format-patch", "-q", "--root", "HEAD")
    patch = tmp_path / "0002-Flow-is-2.patch"
    data = patch.read_bytes()
    assert format_of(patch.name, data[:8192]).name == "mail"
    (found,) = documents(patch.name, data)
    assert found.title == "[PATCH 2/2] Flow is 2"
    assert found.metadata["sender"] == "Ada Lovelace <ada@example.org>"
    assert "\n\nFrom now on the pump is faster.\n---\n pump.c |" in found.text
    assert "\n-int flow = 1;\n+int flow = 2;" in found.text
    series = b"".join(one.read_bytes() for one in sorted(tmp_path.glob("*.patch")))
    assert [one.title for one in documents("all.mbox", series)] == [
        "[PATCH 1/2] Flow is 1",
        "[PATCH 2/2] Flow is 2",
    ]
    assert format_of("a.patch", b"diff --git a/x b/x\n--- a/x\n").name == "text"


def test_a_maildir_is_walked_and_read(tmp_path: Path) -> None:
    box = mailbox.Maildir(tmp_path / "Mail")
    made = message()
    made.add_attachment(PICTURE * 20, maintype="application", subtype="zip", filename="a.zip")
    key = box.add(made)
    seen = mailbox.MaildirMessage(message("read already"))
    seen.set_subdir("cur")
    seen.set_flags("S")
    box.add(seen)
    files = list(discover([tmp_path], tmp_path))
    assert [file.id.split("/")[1] for file in files] == ["cur", "new"]
    assert key in files[1].id
    results = [read(file) for file in files]
    assert [result.documents[0].text[-11:] for result in results] == [
        "ead already",
        "°.\n\n-- \nAda",
    ]
    assert {result.documents[0].metadata["format"] for result in results} == {"mail"}
    assert results[1].problems == [
        f"{files[1].id}: attachments that no format reads: 1 .zip, such as a.zip"
    ]


@pytest.mark.parametrize("host", ["mail.example.pl", "mx.example.so", "a.md", "host"])
def test_a_host_at_the_end_of_a_name_is_no_extension(tmp_path: Path, host: str) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / f"1740996000.M5P1.{host}").write_bytes(bytes(message()))
    (tmp_path / "new" / "2024.md").write_text("# A")
    found = [read(file).documents[0].metadata for file in discover([tmp_path], tmp_path)]
    assert [(one["format"], one["extension"]) for one in found] == [
        ("mail", ""),
        ("markdown", ".md"),
    ]


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


@pytest.mark.parametrize(
    ("head", "told"),
    [
        (b"Received: x\n\tby y\nFrom: a@b\nSubject: s\n\nbody", True),
        (b"From - Mon Jan 01 00:00:00 2024\nX-Mozilla-Status: 0001\nFrom: a@b\nTo: c\n\nx", True),
        (b"From: a@b\r\nTo: c@d\r\nSubject: s\r\n\r\nbody", True),
        (b"From: here\n\nit goes on", False),
        (b"From: a note: to all\nand more text\nDate: x\n", False),
        (b"Name: x\nVersion: 1\nSummary: s\n\ntext", False),
        (b"From here on it is text.\nDate: x", False),
        (b"# From: a\n# Date: b\n# To: c\n", False),
        (b"", False),
    ],
)
def test_what_begins_as_mail_does_is_known(head: bytes, told: bool) -> None:
    assert is_mail(head) == told


def test_messages_of_apples_program_end_where_they_say() -> None:
    data = bytes(message("the end"))
    found = documents("1.emlx", b"%d      \n%s<?xml version='1.0'?><plist/>" % (len(data), data))
    assert found[0].text.endswith("the end")


@pytest.mark.parametrize("data", [b"\n\n", b"no message", b"From x Mon 2024\n", b"\0" * 100])
def test_what_is_no_message_is_one_line(data: bytes) -> None:
    with pytest.raises(DocumentError, match=r"holds no message; headers such as From and Date"):
        documents("a.eml", data)


def test_a_broken_message_costs_only_itself(mbox: Path) -> None:
    deep = b"From x Mon Jan  1 00:00:00 2024\nFrom: a@b\n" + b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(3000)
    )
    found = documents("in.mbox", deep + b"\n" + mbox.read_bytes())
    assert [one.metadata["message_id"] for one in found][-1] == "1@example.org"


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece", ["(", "a:", "<", '"', "a@b,", "=?", "=?utf-8?q?a?= ", "1 ", "(a@b "]
)
@pytest.mark.parametrize("name", ["To", "Date", "Subject", "Message-ID", "Content-Type"])
def test_headers_of_one_thing_again_and_again_are_no_trouble(name: str, piece: str) -> None:
    (found,) = documents("a.eml", f"From: a@b\n{name}: {piece * 20_000}\n\nthe text\n")
    assert found.text.endswith("the text")


@pytest.mark.slow
def test_damaged_mail_is_read_or_refused(mbox: Path) -> None:
    rich = message()
    rich.add_alternative(f"<h1>A</h1><p>{FILL}</p>", subtype="html")
    rich.add_attachment("name,flow\npump,7\n", subtype="csv", filename="Mühle.csv")
    rich.add_attachment(message("inner"))
    words = [
        *(b"\n\n", b"--", b"\nContent-Type: multipart/mixed; boundary=\n", b"=?utf-8?b?", b"=\n"),
        *(b"\nContent-Type: message/rfc822\n\n", b"; charset*0*=x''%ff", b"\nFrom x 2024\na: b\n"),
        *(b"\nContent-Transfer-Encoding: base64\n", b"; filename*=utf-16'", b"\nTo: (((<<,,\n"),
        *(b"\nContent-Transfer-Encoding: x-uuencode\n\nbegin 666 a\n", b"\nDate: 99 99 99\n"),
    ]
    assert survives("a.eml", [bytes(rich), mbox.read_bytes()], words, 400) > 100
