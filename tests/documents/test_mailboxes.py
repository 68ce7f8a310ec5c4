"""Mailboxes and Maildir folders, and what is damaged in them."""

from __future__ import annotations

import mailbox
import subprocess
from pathlib import Path

import pytest

from retrieval.documents import discover, read
from retrieval.documents.formats import format_of

from .messages_for_tests import message
from .mutations_for_tests import documents, survives
from .outlines_for_tests import FILL

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40


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


def test_messages_of_apples_program_end_where_they_say() -> None:
    data = bytes(message("the end"))
    found = documents("1.emlx", b"%d      \n%s<?xml version='1.0'?><plist/>" % (len(data), data))
    assert found[0].text.endswith("the end")


def test_a_broken_message_costs_only_itself(mbox: Path) -> None:
    deep = b"From x Mon Jan  1 00:00:00 2024\nFrom: a@b\n" + b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(3000)
    )
    found = documents("in.mbox", deep + b"\n" + mbox.read_bytes())
    assert [one.metadata["message_id"] for one in found][-1] == "1@example.org"


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
