"""Documents and pages, by what writes and saves them."""

# ruff: noqa: E501 (commands, as one would type them)

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from .common import FILES, HERE, SOURCES, run, take

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
