"""What people note on the pages of a PDF file: comments, highlights with words, text boxes."""

from __future__ import annotations

import ctypes
from typing import Any

MOST = 10_000
"""Annotations of a page that are looked at."""
_MOST_BYTES = 1 << 16
_SAID = "Contents"
_AUTHOR = "T"
_HIDDEN = 0b100010
"""Flags of what is hidden, or not to be viewed."""


def comments_of(page: Any) -> list[str]:
    """The comments of a page as lines, `Comment (Ann): ...`, in the order of the file.

    Links, forms, and marks without words are passed over.
    """
    import pypdfium2.raw as pdfium

    kinds = {
        pdfium.FPDF_ANNOT_TEXT, pdfium.FPDF_ANNOT_FREETEXT, pdfium.FPDF_ANNOT_HIGHLIGHT,
        pdfium.FPDF_ANNOT_UNDERLINE, pdfium.FPDF_ANNOT_SQUIGGLY, pdfium.FPDF_ANNOT_STRIKEOUT,
        pdfium.FPDF_ANNOT_STAMP, pdfium.FPDF_ANNOT_CARET, pdfium.FPDF_ANNOT_INK,
        pdfium.FPDF_ANNOT_SQUARE, pdfium.FPDF_ANNOT_CIRCLE, pdfium.FPDF_ANNOT_LINE,
        pdfium.FPDF_ANNOT_POLYGON, pdfium.FPDF_ANNOT_POLYLINE,
    }  # fmt: skip
    found: list[str] = []
    for at in range(min(pdfium.FPDFPage_GetAnnotCount(page), MOST)):
        annotation = pdfium.FPDFPage_GetAnnot(page, at)
        if not annotation:
            continue
        try:
            shown = not pdfium.FPDFAnnot_GetFlags(annotation) & _HIDDEN
            if shown and pdfium.FPDFAnnot_GetSubtype(annotation) in kinds:
                said = _value(annotation, _SAID)
                author = _value(annotation, _AUTHOR)
                if said:
                    found.append(f"Comment ({author}): {said}" if author else f"Comment: {said}")
        finally:
            pdfium.FPDFPage_CloseAnnot(annotation)
    return found


def _value(annotation: Any, key: str) -> str:
    """A text of an annotation, on one line."""
    import pypdfium2.raw as pdfium

    name = key.encode()
    size = min(pdfium.FPDFAnnot_GetStringValue(annotation, name, None, 0), _MOST_BYTES)
    if size <= 2:
        return ""
    buffer = (ctypes.c_ushort * (size // 2))()
    pdfium.FPDFAnnot_GetStringValue(annotation, name, buffer, size)
    text = bytes(buffer).decode("utf-16-le", "replace").replace("\0", " ")
    return " ".join(text.split())
