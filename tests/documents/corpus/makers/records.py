"""Subtitles, messages, references, feeds, calendars, cards and mail."""

# ruff: noqa: E501 (commands, as one would type them)

from __future__ import annotations

import tempfile
from pathlib import Path

from .common import FILES, SOURCES, run, take

LAMPS = (
    "Ring twice at the gate and show two lamps; barges are let through in the order in which they came, whatever they carry."
    "\n\nGrüße an alle Wärter."
)

BARGES = "Write down every barge, its load and its toll in the book that lies in the gate house."

KEYS = "Has the keys of the store; ring at the gate house before nine, for Müller and Finch are on the barges in the afternoon."


def by_ffmpeg() -> None:
    """Subtitles."""
    for suffix in ("vtt", "srt"):
        run("ffmpeg", "-y", "-i", SOURCES / "talk.srt", FILES / f"talk-ffmpeg.{suffix}")


def by_webvtt() -> None:
    """Subtitles by webvtt-py."""
    import webvtt

    captions = webvtt.from_srt(str(SOURCES / "talk.srt"))
    captions.save(str(FILES / "talk-webvtt.vtt"))
    captions.save_as_srt(str(FILES / "talk-webvtt.srt"))


def by_gettext() -> None:
    """A catalogue of messages by gettext and by Babel."""
    with tempfile.TemporaryDirectory() as folder:
        pot = Path(folder) / "lock.pot"
        run(
            "xgettext",
            "--language=Python",
            "--from-code=UTF-8",
            "--add-comments",
            "-o",
            pot,
            "lock.py",
            cwd=SOURCES,
        )
        run("msginit", "--no-translator", "-l", "de", "-i", pot, "-o", FILES / "lock-gettext.po")
        run("pybabel", "extract", "-o", pot, "lock.py", cwd=SOURCES)
        run("pybabel", "init", "-l", "de", "-i", pot, "-o", FILES / "lock-babel.po")


def by_bibutils() -> None:
    """References by bibutils and pandoc."""
    mods = run("bib2xml", SOURCES / "books.bib")
    for program, suffix in (("xml2bib", "bib"), ("xml2ris", "ris")):
        (FILES / f"books-bibutils.{suffix}").write_text(run(program, stdin=mods))
    run(
        "pandoc",
        "-f",
        "bibtex",
        "-t",
        "biblatex",
        SOURCES / "books.bib",
        "-o",
        FILES / "books-pandoc.bib",
    )


def by_rispy() -> None:
    """References by rispy."""
    import rispy

    books = [
        {"type_of_reference": "BOOK", "title": "Cold Stores of the Harbour", "authors": ["Varga, Ines", "Adler, Ben"],
         "publisher": "Quay Press", "year": "2019", "notes": ["On frost and keepers"]},
        {"type_of_reference": "JOUR", "title": "Thermometers in strong frost", "authors": ["Finch, Orla"], "year": "2021",
         "journal_name": "Journal of Locks and Tolls", "volume": "7", "start_page": "12", "end_page": "31",
         "abstract": "Lamps on the wall fail before the thermometer does."},
    ]  # fmt: skip
    (FILES / "books-rispy.ris").write_text(rispy.dumps(books))


def by_feedgen() -> None:
    """RSS and Atom."""
    from datetime import UTC, datetime

    from feedgen.feed import FeedGenerator

    feed = FeedGenerator()
    feed.id("https://example.org/harbour")
    feed.title("News of the harbour")
    feed.link(href="https://example.org/harbour")
    feed.description("What the harbour office says")
    feed.updated(datetime(2026, 1, 5, tzinfo=UTC))
    for title, words in (("The lock is closed", "From Monday on barges wait at the upper gate."),
                         ("A new keeper", "Orla Finch takes the keys of the cold stores.")):  # fmt: skip
        entry = feed.add_entry(order="append")
        entry.id(f"https://example.org/{title.replace(' ', '-')}")
        entry.title(title)
        entry.description(words)
        entry.published(datetime(2026, 1, 5, tzinfo=UTC))
        entry.updated(datetime(2026, 1, 5, tzinfo=UTC))
    feed.rss_file(str(FILES / "news-feedgen.rss"), pretty=True)
    feed.atom_file(str(FILES / "news-feedgen.atom"), pretty=True)


def by_icalendar() -> None:
    """A calendar by icalendar."""
    from datetime import UTC, date, datetime

    from icalendar import Calendar, Event, vCalAddress

    calendar = Calendar()
    calendar.add("prodid", "-//Harbour//Brenn//EN")
    calendar.add("version", "2.0")
    event = Event()
    event.add("uid", "night@brenn")
    event.add("summary", "Night shift at the lock")
    event.add("dtstart", datetime(2026, 3, 5, 22, tzinfo=UTC))
    event.add("dtend", datetime(2026, 3, 6, 6, tzinfo=UTC))
    event.add("location", "Gate house, second floor")
    for name, called, address in (
        ("organizer", "Ines Varga", "ines"),
        ("attendee", "Ben Adler", "ben"),
    ):
        who = vCalAddress(f"mailto:{address}@example.org")
        who.params["cn"] = called
        event.add(name, who)
    event.add("description", LAMPS)
    calendar.add_component(event)
    other = Event()
    other.add("uid", "barges@brenn")
    other.add("summary", "Count the barges")
    other.add("dtstart", date(2026, 4, 1))
    other.add("description", BARGES)
    calendar.add_component(other)
    (FILES / "shifts-icalendar.ics").write_bytes(calendar.to_ical())


def by_vobject() -> None:
    """A calendar and a card by vobject."""
    from datetime import date, datetime

    import vobject
    from vobject.icalendar import utc

    calendar = vobject.iCalendar()
    event = calendar.add("vevent")
    event.add("uid").value = "night@brenn"
    event.add("summary").value = "Night shift at the lock"
    event.add("dtstart").value = datetime(2026, 3, 5, 22, tzinfo=utc)
    event.add("dtend").value = datetime(2026, 3, 6, 6, tzinfo=utc)
    event.add("location").value = "Gate house, second floor"
    for name, called, address in (
        ("organizer", "Ines Varga", "ines"),
        ("attendee", "Ben Adler", "ben"),
    ):
        who = event.add(name)
        who.value = f"mailto:{address}@example.org"
        who.cn_param = called
    event.add("description").value = LAMPS
    other = calendar.add("vevent")
    other.add("uid").value = "barges@brenn"
    other.add("summary").value = "Count the barges"
    other.add("dtstart").value = date(2026, 4, 1)
    other.add("description").value = BARGES
    (FILES / "shifts-vobject.ics").write_bytes(calendar.serialize().encode())
    card = vobject.vCard()
    card.add("n").value = vobject.vcard.Name(family="Finch", given="Orla")
    card.add("fn").value = "Orla Finch"
    card.add("org").value = ["Harbour office"]
    card.add("title").value = "Keeper of the lock"
    card.add("tel").value = "+47 55 01"
    card.add("email").value = "orla@example.org"
    card.add("adr").value = vobject.vcard.Address(
        street="Quay 3", city="Brenn", code="5003", country="Norway"
    )
    card.add("note").value = KEYS
    (FILES / "people-vobject.vcf").write_bytes(card.serialize().encode())


def by_segno() -> None:
    """A card by segno, which puts it into QR codes."""
    from segno.helpers import make_vcard_data

    card = make_vcard_data(
        "Finch;Orla", "Orla Finch", email="orla@example.org", phone="+47 55 01", street="Quay 3", city="Brenn",
        zipcode="5003", country="Norway", org="Harbour office", title="Keeper of the lock", memo=KEYS,
    )  # fmt: skip
    (FILES / "people-segno.vcf").write_bytes(card.encode())


def by_git() -> None:
    """Messages and a mailbox by git, and by Python's library."""
    import mailbox
    from email.message import EmailMessage

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        who = ["-c", "user.name=Ines Varga", "-c", "user.email=ines@example.org"]
        run("git", "init", "-q", cwd=folder)
        for number, words in enumerate(
            ("The lock opens at six", "Tolls of the night: für Gäste fifty crowns")
        ):
            (folder / "notice.txt").write_text(f"{words}.\n")
            run("git", "add", ".", cwd=folder)
            run("git", *who, "commit", "-q", "--date", f"2026-01-0{number + 1}T10:00:00Z", "-m",
                f"{words}\n\nThe council decided it.", cwd=folder)  # fmt: skip
        run("git", *who, "format-patch", "--root", "-o", folder, cwd=folder)
        take(sorted(folder.glob("*.patch"))[1], "notice-git.eml")
        (FILES / "notices-git.mbox").write_text(
            run("git", *who, "format-patch", "--root", "--stdout", cwd=folder)
        )
    message = EmailMessage()
    message["Subject"], message["From"] = "Tolls für Gäste", "Ines Varga <ines@example.org>"
    message["To"], message["Date"] = "ben@example.org", "Mon, 05 Jan 2026 10:00:00 +0000"
    message["Message-ID"] = "<toll@example.org>"
    message.set_content("Fifty crowns a barge, fünfzig für Gäste.\n")
    message.add_alternative(
        "<p>Fifty crowns a <b>barge</b>, fünfzig für Gäste.</p>", subtype="html"
    )
    (FILES / "toll-python.eml").write_bytes(bytes(message))
    box = FILES / "tolls-python.mbox"
    box.unlink(missing_ok=True)
    made = mailbox.mbox(box)
    made.add(message)
    made.close()
