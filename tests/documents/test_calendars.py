"""Calendars and cards: what is read of them, folded, quoted, damaged."""

from __future__ import annotations

import random
from typing import Any

import pytest

from retrieval.documents.formats import Source, format_of
from retrieval.documents.formats.format import Parsed
from retrieval.errors import DocumentError

from .outlines_for_tests import check, headings


def documents(name: str, content: str | bytes) -> list[Parsed]:
    data = content.encode() if isinstance(content, str) else content
    made = format_of(name, data[:8192]).parse(data, Source(name))
    assert not isinstance(made, Parsed)
    found = list(made)
    for one in found:
        check(one.text, one.outline)
    return found


def event(*lines: str, kind: str = "VEVENT") -> str:
    return "\r\n".join(("BEGIN:VCALENDAR", "VERSION:2.0", f"BEGIN:{kind}", *lines, f"END:{kind}",
                        "END:VCALENDAR", ""))  # fmt: skip


def the_event(*lines: str, kind: str = "VEVENT") -> Parsed:
    (found,) = documents("a.ics", event(*lines, kind=kind))
    return found


MEETING = (
    "SUMMARY:The lock\\, and\r\n  its gates",
    "UID:7@brenn",
    "DTSTART;TZID=Europe/Berlin:20260305T090000",
    "DTEND;TZID=Europe/Berlin:20260305T103000",
    "RRULE:FREQ=WEEKLY;BYDAY=TH",
    "LOCATION:Gate house\\; second floor",
    'ORGANIZER;CN="Varga, Ines":mailto:ines@example.org',
    "ATTENDEE;CN=Ben Adler;ROLE=REQ-PARTICIPANT:MAILTO:ben@example.org",
    "ATTENDEE:mailto:cy@example.org",
    "CATEGORIES:locks,tolls",
    "STATUS:CONFIRMED",
    "DESCRIPTION:Who opens at night?\\n\\nBring the keys.\\nAnd the lam",
    " ps.",
    "BEGIN:VALARM",
    "DESCRIPTION:never read",
    "END:VALARM",
)


def test_an_event_is_what_a_program_shows() -> None:
    found = the_event(*MEETING)
    assert found.text == (
        "The lock, and its gates\n\n"
        "When: 2026-03-05 09:00 to 10:30 (Europe/Berlin), repeats FREQ=WEEKLY;BYDAY=TH\n"
        "Where: Gate house; second floor\n"
        "Status: confirmed\n"
        "Categories: locks,tolls\n"
        "Organizer: Varga, Ines <ines@example.org>\n"
        "Attendees: Ben Adler <ben@example.org>, cy@example.org\n\n"
        "Who opens at night?\n\n"
        "Bring the keys.\nAnd the lamps."
    )
    assert found.title == "The lock, and its gates"
    assert headings(found) == [(1, "The lock, and its gates")]
    assert found.id is None
    assert found.metadata == {
        "kind": "event",
        "start": "2026-03-05T08:00:00Z",
        "end": "2026-03-05T09:30:00Z",
        "location": "Gate house; second floor",
        "uid": "7@brenn",
        "status": "confirmed",
        "organizer": "Varga, Ines <ines@example.org>",
        "attendees": ["Ben Adler <ben@example.org>", "cy@example.org"],
        "categories": ["locks", "tolls"],
    }


@pytest.mark.parametrize(
    ("lines", "when", "metadata"),
    [
        (("DTSTART:20260305T090000Z",), "2026-03-05 09:00 (UTC)",
         {"start": "2026-03-05T09:00:00Z"}),
        (("DTSTART:20260305T090000",), "2026-03-05 09:00", {"start": "2026-03-05T09:00:00"}),
        (("DTSTART;TZID=Own Zone:20260305T090000",), "2026-03-05 09:00 (Own Zone)",
         {"start": "2026-03-05T09:00:00"}),
        (("DTSTART;TZID=../../etc/passwd:20260305T090000",),
         "2026-03-05 09:00 (../../etc/passwd)", {"start": "2026-03-05T09:00:00"}),
        (("DTSTART;VALUE=DATE:20260305", "DTEND;VALUE=DATE:20260306"), "2026-03-05",
         {"start": "2026-03-05", "end": "2026-03-06"}),
        (("DTSTART;VALUE=DATE:20260305", "DTEND;VALUE=DATE:20260308"),
         "2026-03-05 to 2026-03-07", {"start": "2026-03-05", "end": "2026-03-08"}),
        (("DTSTART:20260305T223000", "DURATION:PT2H"),
         "2026-03-05 22:30 to 2026-03-06 00:30", {"start": "2026-03-05T22:30:00"}),
        (("DTSTART;VALUE=DATE:20260305", "DURATION:P1W"), "2026-03-05 to 2026-03-11",
         {"start": "2026-03-05"}),
        (("DTSTART:20261399T250000Z",), "2026-13-99 25:00 (UTC)", {}),
        (("DTSTART:99991231T230000Z", "DURATION:P99999W"), "9999-12-31 23:00 (UTC)",
         {"start": "9999-12-31T23:00:00Z"}),
        (("DTSTART:soon",), "", {}),
    ],
)  # fmt: skip
def test_times(lines: tuple[str, ...], when: str, metadata: dict[str, Any]) -> None:
    found = the_event("SUMMARY:Tide", *lines)
    assert found.text == f"Tide\n\nWhen: {when}" if when else "Tide"
    assert found.metadata == {"kind": "event", **metadata}


def test_of_several_events_each_has_an_id_and_the_line_that_it_begins_on() -> None:
    first = event("UID:a", "SUMMARY:One").replace("END:VCALENDAR\r\n", "X-WR-CALNAME:Harbour\r\n")
    more = ("BEGIN:VEVENT", "UID:a", "RECURRENCE-ID:20260312T090000", "SUMMARY:One\\, later",
            "END:VEVENT", "BEGIN:VTODO", "SUMMARY:No id", "DUE;VALUE=DATE:20260401",
            "END:VTODO", "BEGIN:VEVENT", "UID:a", "SUMMARY:Again", "END:VEVENT",
            "BEGIN:VEVENT", "UID:empty", "DTSTART:20260312T090000", "END:VEVENT",
            "END:VCALENDAR")  # fmt: skip
    found = documents("a.ics", first + "\r\n".join(more))
    assert [(one.id, one.title, one.metadata["line"]) for one in found] == [
        ("a.ics#a", "One", 3),
        ("a.ics#a@20260312T090000", "One, later", 8),
        ("a.ics#L13", "No id", 13),
        ("a.ics#a~2", "Again", 17),
    ]
    assert found[2].text == "No id\n\nDue: 2026-04-01"
    assert {one.metadata["calendar"] for one in found} == {"Harbour"}


def test_lines_are_put_together_before_they_are_decoded() -> None:
    row = "SUMMARY:Über die Schleuse".encode()
    at = row.index("Ü".encode()) + 1  # in the middle of a character
    data = event("UID:a").encode().replace(b"UID:a", row[:at] + b"\r\n " + row[at:])
    assert documents("a.ics", data)[0].title == "Über die Schleuse"


def test_what_a_program_writes_as_html_is_read_as_it_is_shown() -> None:
    said = "<p>Bring <b>keys</b>.</p>Come early<br>and wait &amp; see"
    assert the_event("SUMMARY:x", f"DESCRIPTION:{said}").text == (
        "x\n\nBring keys.\nCome early\nand wait & see"
    )


def test_a_calendar_without_events_says_so_and_what_is_none_is_text() -> None:
    with pytest.raises(DocumentError, match="holds no events or tasks"):
        list(documents("a.ics", "BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nEND:VTIMEZONE\nEND:VCALENDAR"))
    (text,) = documents("a.ics", "Notes on tides: low at six.\n")
    assert (text.format, text.text) == ("text", "Notes on tides: low at six.\n")


def test_a_calendar_is_known_by_how_it_begins() -> None:
    assert format_of("invite", event("SUMMARY:x").encode()).name == "calendar"
    assert format_of("card", b"begin:vcard\r\nFN:x\r\n").name == "contacts"


CARDS = """BEGIN:VCARD
VERSION:3.0
N:Finch;Orla;;Dr.;
FN:Orla Finch
ORG:Harbour office;Locks
item1.TEL;TYPE=CELL,VOICE:+47 55 01
EMAIL;TYPE=WORK:orla@example.org
ADR;TYPE=HOME:;;Quay 3;Brenn;;5003;Norway
PHOTO;ENCODING=b;TYPE=JPEG:/9j/4AAQSkZJRgABAQAAAQABAAD
 AAAAAAAAAAAA
NOTE:Has the keys\\nof the lock.
END:VCARD
BEGIN:VCARD
VERSION:2.1
N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BCll=
er;J=C3=BCrgen;;;
TEL;HOME:55 02
END:VCARD
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_cards(newline: str) -> None:
    first, second = documents("people.vcf", CARDS.replace("\n", newline))
    assert first.text == (
        "Orla Finch\n\n"
        "Organization: Harbour office, Locks\n"
        "Phone (cell, voice): +47 55 01\n"
        "Mail (work): orla@example.org\n"
        "Address (home): Quay 3, Brenn, 5003, Norway\n\n"
        "Has the keys\nof the lock."
    )
    assert first.metadata == {
        "emails": ["orla@example.org"],
        "organization": "Harbour office, Locks",
        "line": 1,
    }
    assert (second.id, second.title) == ("people.vcf#Jürgen Müller", "Jürgen Müller")
    assert second.text == "Jürgen Müller\n\nPhone (home): 55 02"
    assert second.metadata["line"] == 13


def test_damaged_files_give_documents_or_one_line() -> None:
    chance = random.Random(4)
    for _ in range(600):
        name, whole = chance.choice((("a.ics", event(*MEETING)), ("a.vcf", CARDS)))
        data = bytearray(whole.encode())
        for _ in range(chance.choice((1, 2, 9))):
            at = chance.randrange(len(data))
            match chance.randrange(3):
                case 0:
                    del data[at : at + chance.choice((1, 40))]
                case 1:
                    data[at : at + 1] = chance.randbytes(2)
                case 2:
                    data[at:at] = chance.choice((b'"', b"\\", b":", b"\r\n ", b"BEGIN:VEVENT\n"))
        try:
            documents(name, bytes(data))
        except DocumentError as error:
            assert "\n" not in str(error)


def test_a_line_of_a_megabyte_takes_no_time() -> None:
    parameters = ";X=" * 200_000
    assert documents("a.ics", event(f"SUMMARY{parameters}:x", "SUMMARY:kept"))[0].title == "x"
    quotes = ';A="' * 200_000
    assert documents("a.ics", event(f"SUMMARY{quotes}:x", "SUMMARY:kept"))[0].title == "x"
