"""Messages: headers, texts, quotes, what is encrypted, and what is no message."""

from __future__ import annotations

from email.message import EmailMessage
from email.policy import SMTP

import pytest

from retrieval.documents.formats.mail.mailbox import is_mail
from retrieval.errors import DocumentError

from .messages_for_tests import BODY, message
from .mutations_for_tests import documents
from .outlines_for_tests import FILL, blocks, headings, passages_of


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


@pytest.mark.parametrize("data", [b"\n\n", b"no message", b"From x Mon 2024\n", b"\0" * 100])
def test_what_is_no_message_is_one_line(data: bytes) -> None:
    with pytest.raises(DocumentError, match=r"holds no message; headers such as From and Date"):
        documents("a.eml", data)


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece", ["(", "a:", "<", '"', "a@b,", "=?", "=?utf-8?q?a?= ", "1 ", "(a@b "]
)
@pytest.mark.parametrize("name", ["To", "Date", "Subject", "Message-ID", "Content-Type"])
def test_headers_of_one_thing_again_and_again_are_no_trouble(name: str, piece: str) -> None:
    (found,) = documents("a.eml", f"From: a@b\n{name}: {piece * 20_000}\n\nthe text\n")
    assert found.text.endswith("the text")
