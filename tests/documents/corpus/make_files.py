"""Write the files of the corpus, each by the program that its name says.

    python -m tests.documents.corpus.make_files [PROGRAM ...]

Needs pandoc, LibreOffice with its MediaWiki publisher, Emacs, Asciidoctor, po4a, FFmpeg, gettext,
bibutils, SQLite, jq, git, Chromium, and WebKitGTK with Xvfb, and from PyPI docutils, rst2textile,
mistune, jupytext, Babel, icalendar, segno, vobject, feedgen, odfpy, pandas, pyxlsbwriter, rispy,
webvtt-py, selenium and PyGObject, and from npm xlsx, where NODE_PATH finds it. The files are
carried; this, and `makers`, say how they were made.
"""

from __future__ import annotations

import subprocess
import sys

from .makers import pages, records, tables
from .makers.common import FILES

MAKERS = {
    name.removeprefix("by_"): maker
    for module in (pages, tables, records)
    for name, maker in vars(module).items()
    if name.startswith("by_")
}


def main() -> None:
    """Write all files, or those of some programs."""
    FILES.mkdir(exist_ok=True)
    for name in sys.argv[1:] or MAKERS:
        try:
            MAKERS[name]()
        except (ImportError, OSError, subprocess.CalledProcessError) as error:
            said = getattr(error, "stderr", "") or ""
            sys.stderr.write(f"{name}: {error} {said[-300:]}\n")


if __name__ == "__main__":
    main()
