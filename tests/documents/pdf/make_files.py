"""Make the PDF files of the tests from `sources`, by the programs that people make theirs with.

    python tests/documents/pdf/make_files.py

Needs Debian's texlive-latex-recommended, lmodern, pandoc, libreoffice-writer, ghostscript and
python3-cairo. The files are committed: the tests run none of these programs.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
SOURCES, FILES = HERE / "sources", HERE / "files"

CAIRO = """
import cairo, sys
surface = cairo.PDFSurface(sys.argv[1], 400, 300)
surface.set_metadata(cairo.PDF_METADATA_TITLE, "Notes of the mill")
surface.set_metadata(cairo.PDF_METADATA_AUTHOR, "Grace Hopper")
draw = cairo.Context(surface)
outlines = []
for number, (title, text) in enumerate((
    ("Valves", ["The north valve is opened by hand, and", "the south valve by a motor."]),
    ("Bearings", ["Bearings last for three years."]),
), 1):
    draw.select_font_face("DejaVu Sans", 0, 1)
    draw.set_font_size(20)
    draw.move_to(40, 60)
    draw.show_text(title)
    draw.select_font_face("DejaVu Sans", 0, 0)
    draw.set_font_size(11)
    for line, words in enumerate(text):
        draw.move_to(40, 100 + 14 * line)
        draw.show_text(words)
    surface.add_outline(0, title, f"page={number} pos=[40 40]", 0)
    draw.show_page()
surface.finish()
"""

SCAN = """
import cairo, sys
picture = cairo.ImageSurface(cairo.FORMAT_RGB24, 60, 40)
draw = cairo.Context(picture)
draw.set_source_rgb(1, 1, 1)
draw.paint()
surface = cairo.PDFSurface(sys.argv[1], 400, 300)
draw = cairo.Context(surface)
draw.set_source_surface(picture, 10, 10)
draw.paint()
draw.show_page()
surface.finish()
"""


def run(*command: str | Path, cwd: Path | None = None) -> None:
    subprocess.run(command, check=True, cwd=cwd, stdout=subprocess.DEVNULL)


def main() -> None:
    FILES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        made = Path(name)
        for _ in range(2):
            run("latex", "-interaction=batchmode", SOURCES / "mill.tex", cwd=made)
        run("dvipdfmx", "-q", "-o", FILES / "tex.pdf", "mill.dvi", cwd=made)
        run("pandoc", SOURCES / "report.md", "-o", made / "libreoffice.odt")
        run("soffice", "--headless", "--convert-to", "pdf", "libreoffice.odt", cwd=made)
        shutil.copy(made / "libreoffice.pdf", FILES / "libreoffice.pdf")
    python = shutil.which("python3", path="/usr/bin") or "python3"
    run(python, "-c", CAIRO, FILES / "cairo.pdf")
    run(python, "-c", SCAN, FILES / "scan.pdf")
    run(
        *("gs", "-q", "-sDEVICE=pdfwrite", "-o", FILES / "encrypted.pdf"),
        *("-sOwnerPassword=mill", "-sUserPassword=mill", FILES / "cairo.pdf"),
    )


if __name__ == "__main__":
    main()
