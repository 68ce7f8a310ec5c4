"""Write the files of the corpus, each by the program that its name says.

    python tests/documents/corpus/make_files.py [PROGRAM ...]

Needs pandoc, LibreOffice with its MediaWiki publisher, Emacs, Asciidoctor, po4a, FFmpeg, gettext,
bibutils, SQLite, jq, git, Chromium, and WebKitGTK with Xvfb, and from PyPI docutils, rst2textile,
mistune, jupytext, Babel, icalendar, segno, vobject, feedgen, odfpy, pandas, pyxlsbwriter, rispy, webvtt-py, selenium and
PyGObject, and from npm xlsx, where NODE_PATH finds it. The files are carried; this says how they
were made.
"""

# ruff: noqa: E501 (commands, as one would type them)

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
FILES, SOURCES = HERE / "files", HERE / "sources"
GUIDE = SOURCES / "guide.md"
PANDOC = {
    "md": "gfm", "html": "html5", "rst": "rst", "adoc": "asciidoc", "org": "org", "tex": "latex", "man": "man",
    "mediawiki": "mediawiki", "textile": "textile", "ipynb": "ipynb", "docbook.xml": "docbook5",
    "docbook4.xml": "docbook4", "jats.xml": "jats_archiving", "jats-publishing.xml": "jats_publishing", "tei.xml": "tei",
    "fb2": "fb2", "txt": "plain",
}  # fmt: skip
EMACS = {
    "org": "(org-org-export-to-org)",
    "html": "(org-html-export-to-html)",
    "tex": "(org-latex-export-to-latex)",
    "man": "(org-man-export-to-man)",
    "md": "(org-md-export-to-markdown)",
    "odt": "(org-odt-export-to-odt)",
}
TABLE = "select store, lowest, highest, goods from stores"


def run(*command: str | Path, cwd: Path | None = None, stdin: str | None = None) -> str:
    """Run a program; what it prints."""
    done = subprocess.run(
        list(map(str, command)), check=True, capture_output=True, text=True, cwd=cwd, input=stdin
    )
    return done.stdout


def take(made: Path, name: str) -> None:
    """Put a file that a program wrote into the corpus."""
    shutil.copyfile(made, FILES / name)


def by_pandoc() -> None:
    """All that pandoc writes, whole files."""
    for suffix, writer in PANDOC.items():
        target = FILES / f"guide-pandoc.{suffix}"
        run("pandoc", "-s", "-t", writer, GUIDE, "-o", target)


def by_emacs() -> None:
    """What Org mode exports, of pandoc's file."""
    with tempfile.TemporaryDirectory() as folder:
        for suffix, call in EMACS.items():
            source = Path(folder) / "guide.org"
            take_back = (FILES / "guide-pandoc.org").read_text()
            source.write_text(take_back)
            loads = [
                part for name in ("ox-man", "ox-md", "ox-org", "ox-odt") for part in ("-l", name)
            ]
            run("emacs", "-Q", "--batch", *loads, source, "--eval", call, cwd=Path(folder))
            made = Path(folder) / ("guide.org.org" if suffix == "org" else f"guide.{suffix}")
            take(made, f"guide-emacs.{suffix}")


def by_asciidoctor() -> None:
    """What Asciidoctor makes of pandoc's AsciiDoc."""
    for backend, suffix in (("docbook5", "docbook.xml"), ("html5", "html")):
        target = FILES / f"guide-asciidoctor.{suffix}"
        run(
            "asciidoctor",
            "-b",
            backend,
            "-a",
            "stylesheet!",
            "-o",
            target,
            FILES / "guide-pandoc.adoc",
        )


def by_po4a() -> None:
    """pandoc's AsciiDoc as po4a writes a translation, here one of no message."""
    with tempfile.TemporaryDirectory() as folder:
        messages = Path(folder) / "none.po"
        messages.write_text('msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=UTF-8\\n"\n')
        run("po4a-translate", "-f", "asciidoc", "-M", "UTF-8", "-k", "0", "-p", messages,
            "-m", FILES / "guide-pandoc.adoc", "-l", FILES / "guide-po4a.adoc")  # fmt: skip


def by_docutils() -> None:
    """What docutils makes of pandoc's reStructuredText."""
    for writer, suffix in (("html5", "html"), ("latex", "tex"), ("manpage", "man")):
        target = FILES / f"guide-docutils.{suffix}"
        options = ["--stylesheet="] if suffix == "html" else []
        run("docutils", f"--writer={writer}", *options, FILES / "guide-pandoc.rst", target)
    # Its writer of Textile is rst2textile.
    target = FILES / "guide-docutils.textile"
    run("rst2textile.py", "--syntax-highlight=none", FILES / "guide-pandoc.rst", target)


def by_mistune() -> None:
    """reStructuredText and Markdown by mistune."""
    import mistune
    from mistune.renderers.markdown import MarkdownRenderer
    from mistune.renderers.rst import RSTRenderer

    text = GUIDE.read_text().split("---\n", 2)[2]
    for renderer, suffix in ((RSTRenderer(), "rst"), (MarkdownRenderer(), "md")):
        made = mistune.create_markdown(renderer=renderer)(text)
        (FILES / f"guide-mistune.{suffix}").write_text(str(made))


def by_jupytext() -> None:
    """A notebook of pandoc's Markdown."""
    run(
        "jupytext", "--to", "ipynb", "-o", FILES / "guide-jupytext.ipynb", FILES / "guide-pandoc.md"
    )


def by_libreoffice() -> None:
    """What LibreOffice makes of pandoc's text, of a PDF (a drawing) and of a sheet."""
    office = HERE.parent / "office" / "files"
    for source, target, name in (
        (office / "guide-pandoc.odt", "html:HTML (StarWriter)", "guide-libreoffice.html"),
        (office / "guide-pandoc.odt", "txt:Text (encoded):UTF8", "guide-libreoffice.txt"),
        (office / "guide-pandoc.odt", "txt:MediaWiki", "guide-libreoffice.mediawiki"),
        (HERE.parent / "pdf" / "files" / "cairo.pdf", "odg:draw8", "mill-libreoffice.odg"),
        (FILES / "stores-odfpy.ods", "csv:Text - txt - csv (StarCalc)", "stores-libreoffice.csv"),
    ):
        with tempfile.TemporaryDirectory() as folder:
            reader = ["--infilter=draw_pdf_import"] if source.suffix == ".pdf" else []
            run("soffice", f"-env:UserInstallation=file://{folder}/profile", "--headless", *reader, "--convert-to",
                target, "--outdir", f"{folder}/made", source)  # fmt: skip
            take(next(Path(folder, "made").iterdir()), name)


def by_odfpy() -> None:
    """OpenDocument slides, drawings and sheets by odfpy."""
    from odf import draw, opendocument, style, table, text

    def page(made: object, parent: object, master: object, title: str, lines: list[str]) -> None:
        sheet = draw.Page(name=title, masterpagename=master)
        parent.addElement(sheet)
        for at, one in enumerate([title, *lines]):
            frame = draw.Frame(width="20cm", height="2cm", x="2cm", y=f"{2 + 3 * at}cm")
            if at == 0:
                frame.setAttrNS(
                    "urn:oasis:names:tc:opendocument:xmlns:presentation:1.0", "class", "title"
                )
            box = draw.TextBox()
            box.addElement(text.P(text=one))
            frame.addElement(box)
            sheet.addElement(frame)

    pages = [("Ferries of the sound", ["A report to the council"]),
             ("Why ferries are late", ["Fog before nine", "Too few deck hands"])]  # fmt: skip
    for kind, suffix in (("Presentation", "odp"), ("Drawing", "odg")):
        made = getattr(opendocument, f"OpenDocument{kind}")()
        layout = style.PageLayout(name="layout")
        made.automaticstyles.addElement(layout)
        master = style.MasterPage(name="master", pagelayoutname=layout)
        made.masterstyles.addElement(master)
        parent = made.presentation if suffix == "odp" else made.drawing
        for title, lines in pages:
            page(made, parent, master, title, lines)
        made.save(str(FILES / f"ferries-odfpy.{suffix}"))
    made = opendocument.OpenDocumentSpreadsheet()
    sheet = table.Table(name="Stores")
    for cells in rows():
        row = table.TableRow()
        for cell in cells:
            one = table.TableCell(valuetype="string")
            one.addElement(text.P(text=cell))
            row.addElement(one)
        sheet.addElement(row)
    made.spreadsheet.addElement(sheet)
    made.save(str(FILES / "stores-odfpy.ods"))


def rows() -> list[list[str]]:
    """The table of stores."""
    lines = (SOURCES / "stores.txt").read_text().splitlines()
    return [line.split("|") for line in lines]


def by_sqlite() -> None:
    """The table by SQLite's shell, and by jq a record a line."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "stores.db"
        head, *body = rows()
        create = f"create table stores ({', '.join(head)});"
        values = "".join(
            f"insert into stores values ({', '.join(repr(cell) for cell in cells)});"
            for cells in body
        )
        run("sqlite3", base, create + values)
        for mode, suffix in (("csv", "csv"), ("tabs", "tsv"), ("json", "json"), ("list", "psv")):
            made = run("sqlite3", "-header", "-cmd", f".mode {mode}", base, TABLE)
            (FILES / f"stores-sqlite.{suffix}").write_text(made)
        lines = run("jq", "-c", ".[]", FILES / "stores-sqlite.json")
        (FILES / "stores-jq.jsonl").write_text(lines)
        (FILES / "stores-sqlite.sql").write_text(run("sqlite3", base, ".dump"))


def by_pandas() -> None:
    """The table by pandas."""
    import pandas

    head, *body = rows()
    frame = pandas.DataFrame(body, columns=head)
    frame.to_csv(FILES / "stores-pandas.csv", index=False, sep=";")
    frame.to_csv(FILES / "stores-pandas.tsv", index=False, sep="\t")
    frame.to_csv(FILES / "stores-pandas.psv", index=False, sep="|")
    frame.to_json(FILES / "stores-pandas.json", orient="records", indent=1)
    frame.to_json(FILES / "stores-pandas.jsonl", orient="records", lines=True)
    (FILES / "stores-pandas.tex").write_text(frame.to_latex(index=False))


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


LAMPS = (
    "Ring twice at the gate and show two lamps; barges are let through in the order in which they came, whatever they carry."
    "\n\nGrüße an alle Wärter."
)
BARGES = "Write down every barge, its load and its toll in the book that lies in the gate house."
KEYS = "Has the keys of the store; ring at the gate house before nine, for Müller and Finch are on the barges in the afternoon."


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


def by_pyxlsbwriter() -> None:
    """The table as a sheet of Excel's binary format."""
    from pyxlsbwriter import XlsbWriter

    head, *body = rows()
    typed = [[int(cell) if cell.lstrip("-").isdigit() else cell for cell in row] for row in body]
    with XlsbWriter(str(FILES / "stores-pyxlsbwriter.xlsb")) as made:
        made.add_sheet("Stores")
        made.write_sheet([head, *typed])


def by_sheetjs() -> None:
    """The table as a sheet by SheetJS, whose cells do not say their column."""
    head, *body = rows()
    typed = [[int(cell) if cell.lstrip("-").isdigit() else cell for cell in row] for row in body]
    script = (
        "const X = require('xlsx'), book = X.utils.book_new(), [rows, target] = process.argv.slice(1);"
        "X.utils.book_append_sheet(book, X.utils.aoa_to_sheet(JSON.parse(rows)), 'Stores');"
        "X.writeFile(book, target);"
    )
    run("node", "-e", script, json.dumps([head, *typed]), FILES / "stores-sheetjs.xlsb")


def by_webkitgtk() -> None:
    """A page as it is saved from a site."""
    script = (
        "import sys, gi\n"
        "gi.require_version('Gtk', '3.0'); gi.require_version('WebKit2', '4.1')\n"
        "from gi.repository import Gio, Gtk, WebKit2\n"
        "view, mhtml = WebKit2.WebView(), WebKit2.SaveMode.MHTML\n"
        "def saved(view, result): view.save_to_file_finish(result); Gtk.main_quit()\n"
        "def loaded(view, event):\n"
        "    if event == WebKit2.LoadEvent.FINISHED:\n"
        "        view.save_to_file(Gio.File.new_for_path(sys.argv[2]), mhtml, None, saved)\n"
        "view.connect('load-changed', loaded)\n"
        "view.load_html(open(sys.argv[1]).read(), 'http://harbour.example.org/guide.html')\n"
        "Gtk.main()\n"
    )
    page, target = FILES / "guide-pandoc.html", FILES / "guide-webkitgtk.mhtml"
    run("xvfb-run", "-a", sys.executable, "-c", script, page, target)


def by_chromium() -> None:
    """A PDF, and a page as it is saved from a site, whose address the file names."""
    from functools import partial
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    with (
        tempfile.TemporaryDirectory() as folder,
        ThreadingHTTPServer(
            ("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=folder)
        ) as site,
    ):
        shutil.copyfile(FILES / "guide-pandoc.html", Path(folder, "guide.html"))
        Thread(target=site.serve_forever, daemon=True).start()
        url = "http://harbour.example.org/guide.html"
        options = [
            "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile",
            f"--host-resolver-rules=MAP harbour.example.org 127.0.0.1:{site.server_port}",
        ]  # fmt: skip
        printed = FILES / "guide-chromium.pdf"
        run("chromium", *options, f"--print-to-pdf={printed}", "--no-pdf-header-footer", url)
        script = (
            "import sys; from selenium import webdriver\n"
            "options = webdriver.ChromeOptions()\n"
            "for one in sys.argv[3:]: options.add_argument(one)\n"
            "driver = webdriver.Chrome(options=options); driver.get(sys.argv[1])\n"
            "made = driver.execute_cdp_cmd('Page.captureSnapshot', {'format': 'mhtml'})['data']\n"
            "open(sys.argv[2], 'w', newline='').write(made); driver.quit()\n"
        )
        run(sys.executable, "-c", script, url, FILES / "guide-chromium.mhtml", *options)
        site.shutdown()


MAKERS = {
    name.removeprefix("by_"): maker
    for name, maker in list(globals().items())
    if name.startswith("by_")
}


def main() -> None:
    """Write all files, or those of some programs."""
    FILES.mkdir(exist_ok=True)
    for name in sys.argv[1:] or MAKERS:
        try:
            MAKERS[name]()
        except (OSError, subprocess.CalledProcessError) as error:
            said = getattr(error, "stderr", "") or ""
            sys.stderr.write(f"{name}: {error} {said[-300:]}\n")


if __name__ == "__main__":
    main()
