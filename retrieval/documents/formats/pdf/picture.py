"""A page of a PDF file as a picture."""

from __future__ import annotations

import base64
import math
import struct
import zlib
from typing import Any

from retrieval.errors import DocumentError

PNG = b"\x89PNG\r\n\x1a\n"
"""How such a picture begins."""

MOST_PIXELS = 6_000_000
"""Of a page: a file may say that its pages are as large as a house."""


def picture(data: bytes, page: int, width: int) -> dict[str, Any]:
    """A page as a PNG, at most so wide.

    Args:
        data: the file.
        page: its number, from 1.
        width: pixels; fewer where the page would have too many in all.

    Returns:
        `png`, in base64; `width` and `height` of it; and how many `pages` the file has.

    Raises:
        DocumentError: the file cannot be opened, or has no such page.
    """
    import pypdfium2

    from retrieval.documents.formats.pdf import opened

    document = opened(data)
    try:
        pages = len(document)
        if not 1 <= page <= pages:
            raise DocumentError(f"has {pages} pages, and no page {page}")
        try:
            drawn = document[page - 1]
        except pypdfium2.PdfiumError:
            raise DocumentError(f"is damaged: page {page} cannot be read") from None
        across, down = drawn.get_size()
        most = math.sqrt(MOST_PIXELS / max(1.0, across * down))
        bitmap = drawn.render(scale=min(width / max(1.0, across), most), rev_byteorder=True)
        png = _png(bitmap.buffer, bitmap.width, bitmap.height, bitmap.stride, bitmap.n_channels)
        return {
            "png": base64.b64encode(png).decode(),
            "width": bitmap.width,
            "height": bitmap.height,
            "pages": pages,
        }
    finally:
        document.close()


_COLOURS = {1: 0, 3: 2, 4: 6}
"""By channels: what PNG calls grey, red-green-blue, and the same with transparency."""


def _png(pixels: Any, width: int, height: int, stride: int, channels: int) -> bytes:
    """A PNG of rows of bytes. https://www.w3.org/TR/png-3/"""
    rows = memoryview(pixels).cast("B")
    filtered = b"".join(
        b"\0" + bytes(rows[at * stride : at * stride + width * channels]) for at in range(height)
    )
    head = struct.pack(">IIBBBBB", width, height, 8, _COLOURS[channels], 0, 0, 0)
    parts = (b"IHDR", head), (b"IDAT", zlib.compress(filtered, 6)), (b"IEND", b"")
    return PNG + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
