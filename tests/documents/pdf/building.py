"""PDF files by their objects, for what no program would write."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

CATALOG = b"<</Type/Catalog/Pages 2 0 R>>"
PAGES = b"<</Type/Pages/Kids[3 0 R]/Count 1>>"
FONTS = b"/Resources<</Font<</F 5 0 R/B 6 0 R/C 7 0 R>>/XObject<</X 8 0 R>>>>"
PAGE = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 400 600]" + FONTS + b"/Contents 4 0 R>>"


def font(name: str) -> bytes:
    return f"<</Type/Font/Subtype/Type1/BaseFont/{name}/Encoding/WinAnsiEncoding>>".encode()


def stream(content: bytes, *, packed: bool = False, said: bytes = b"") -> bytes:
    if packed:
        content, said = zlib.compress(content, 9), said + b"/Filter/FlateDecode"
    return b"<</Length %d%s>>stream\n%s\nendstream" % (len(content), said, content)


def pdf(objects: Mapping[int, bytes], trailer: bytes = b"") -> bytes:
    """A file of these objects, by number; the first is the catalogue."""
    data = bytearray(b"%PDF-1.7\n")
    places = {}
    for number, content in objects.items():
        places[number] = len(data)
        data += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start, size = len(data), max(objects) + 1
    data += b"xref\n0 %d\n0000000000 65535 f \n" % size
    for number in range(1, size):
        used = number in places
        data += b"%010d %05d %s \n" % (places.get(number, 0), 0, b"n" if used else b"f")
    data += b"trailer<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n" % (size, trailer, start)
    return bytes(data)


def content_of(lines: Sequence[tuple[str, float, float, str]]) -> bytes:
    """A page's content: (font, size, height on the page, words) for each line, at 40 points."""
    return (
        b"BT "
        + b"".join(
            b"/%s %g Tf 1 0 0 1 40 %g Tm (%s) Tj "
            % (
                name.encode(),
                size,
                y,
                words.replace("(", r"\(").replace(")", r"\)").encode("cp1252"),
            )
            for name, size, y, words in lines
        )
        + b"ET"
    )


def pages(*contents: bytes, catalog: bytes = b"", information: bytes = b"<<>>") -> bytes:
    """A file of pages with these contents; fonts F, B (bold) and C (a typewriter's)."""
    first = 9
    kids = b" ".join(b"%d 0 R" % (first + 2 * at) for at in range(len(contents)))
    objects = {
        1: b"<</Type/Catalog/Pages 2 0 R" + catalog + b">>",
        2: b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, len(contents)),
        4: information,
        5: font("Helvetica"),
        6: font("Helvetica-Bold"),
        7: font("Courier"),
    }
    for at, content in enumerate(contents):
        number = first + 2 * at
        objects[number] = PAGE.replace(b"4 0 R", b"%d 0 R" % (number + 1))
        objects[number + 1] = stream(content)
    return pdf(objects, b"/Info 4 0 R")


def page_of(*lines: tuple[str, float, float, str]) -> bytes:
    return content_of(lines)
