"""The lines of a page as PDFium finds them: their words, where they stand, how they are set.

PDFium gives a page's characters in the order in which the file draws them, puts lines together, and
marks a hyphen at a line's end that parts a word by U+FFFE, the word's rest following at once.
"""

from __future__ import annotations

import ctypes
import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

HYPHEN = "\ufffe"
"""Where a word was parted at the end of a line."""

_LINE = re.compile(rf"[^\r\n{HYPHEN}]+{HYPHEN}?")
_BOLD = re.compile(r"bold|black|heavy|demi|CMBX|CMB\d|CMSSBX|-Bd|,B", re.I)
_BOLD_WEIGHT = 600
_FIXED_PITCH = 1
_MONO = re.compile(r"mono|courier|consol|CMTT|typewriter|menlo|fixed", re.I)
_NAME_BYTES = 128
_AROUND = HYPHEN + "".join(map(chr, range(33)))
_CONTROL = dict.fromkeys([*range(9), *range(11, 32), 127, 0xFFFF, 0xFEFF, 0xAD])
_REPLACED: dict[int, str | None] = {
    **_CONTROL,
    9: " ",
    0xA0: " ",
    0x88: "•",  # of TeX's encoding TS1
    # Bullets of Symbol and Wingdings, which have no characters of their own.
    **dict.fromkeys((0xF0B7, 0xF0A7, 0xF0D8, 0xF0FC, 0xF076, 0xF06E, 0xF071, 0xF02D), "•"),
    **{
        0xFB00 + at: letters
        for at, letters in enumerate(["ff", "fi", "fl", "ffi", "ffl", "st", "st"])
    },
}
_COMBINING = dict(
    zip(
        "`\u00b4\u02c6\u02dc\u00a8\u02da\u02c7",
        "\u0300\u0301\u0302\u0303\u0308\u030a\u030c",
        strict=True,
    )
) | {"\u00b8": "\u0327"}
"""Accents that take a place of their own, and those that do not."""
_ACCENT = re.compile(r"([`\u00b4\u02c6\u02dc\u00a8\u02da\u02c7])([^\W\d_])")
_WITHIN = re.compile(r"[^\W\d_][\u00b4\u02c6\u02dc\u00a8\u02c7][^\W\d_]")
_CEDILLA = re.compile(r"([cCsStT])\u00b8")
_FEW_ACCENTS = 3
_SURROGATES = re.compile("[\ud800-\udfff]")


SCRIPT = 0.9
"""Of the size of the text beside it: what is smaller is an index or the mark of a note."""
_LOOSE = 0.47
"""In sizes of the font: where characters are wider, spaces included, there may be gaps."""
_GAP = 0.8
"""In sizes of the font: what stands so far from the word before is another cell of a row."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A gap between two words of a line.

    Attributes:
        offset: of the first character behind it, in the line's text.
        left: where the word before it ends, in points.
        right: where the word behind it begins.
    """

    offset: int
    left: float
    right: float


@dataclass(slots=True)
class Line:
    """A line of text; lengths are in points, from the page's lower left corner.

    Attributes:
        text: its words; a `HYPHEN` at its end if a word is parted there.
        page: number of its page, from 1.
        left: of its first character.
        right: of its last character.
        top_base: base line of its first character; of an index or a mark, that of the text.
        base: base line of its last character, likewise.
        size: of its font.
        bold: whether all of it is.
        mono: whether all of it is in a font whose characters are equally wide.
        gaps: between words that stand far apart, as cells of a table's row do.
        scripted: whether it begins or ends with an index, an exponent or the mark of a note.
        apart: whether it is not a line of the page but a paragraph of its own: a comment.
    """

    text: str
    page: int
    left: float
    right: float
    top_base: float
    base: float
    size: float
    bold: bool
    mono: bool
    gaps: tuple[Gap, ...] = ()
    scripted: bool = False
    apart: bool = False


@dataclass(slots=True)
class Page:
    """A page: its number from 1, its height in points, its lines in the order of the file.

    Attributes:
        comments: what people have noted on it, a line each.
    """

    number: int
    height: float
    lines: list[Line]
    comments: list[str] = field(default_factory=list)


def comment_line(said: str, page: int, size: float) -> Line:
    """A comment as a line below all others of its page, in the size of most text."""
    below = -1e5
    return Line(said, page, 0.0, 0.0, below, below, size, False, False, apart=True)


def page_of(page: Any, number: int) -> Page:
    """The lines of a pypdfium2 page."""
    text_page = page.get_textpage()
    try:
        text = _SURROGATES.sub("\ufffd", text_page.get_text_range())
        fonts: dict[tuple[bytes, int, int], tuple[bool, bool]] = {}
        lines = []
        for found in _LINE.finditer(text):
            words = " ".join(found[0].translate(_REPLACED).split())
            if words.strip(HYPHEN + " "):
                lines.append(_line(text_page, found, words, number, fonts))
        return Page(number, page.get_height(), lines)
    finally:
        text_page.close()


def _line(
    text_page: Any,
    found: re.Match[str],
    words: str,
    number: int,
    fonts: dict[tuple[bytes, int, int], tuple[bool, bool]],
) -> Line:
    import pypdfium2.raw as pdfium

    stripped = found[0].rstrip(_AROUND)
    first = found.start() + len(stripped) - len(stripped.lstrip(_AROUND))
    last = found.start() + len(stripped) - 1
    at = [
        pdfium.FPDFText_GetCharIndexFromTextIndex(text_page, offset)
        for offset in (first, (first + last) // 2, last)
    ]
    left, top_base = _origin(pdfium, text_page, at[0])
    _, middle_base = _origin(pdfium, text_page, at[1])
    _, base = _origin(pdfium, text_page, at[2])
    box = pdfium.FS_RECTF()
    pdfium.FPDFText_GetLooseCharBox(text_page, at[2], box)
    sizes = [_size(pdfium, text_page, one) for one in at]
    size = sorted(sizes)[1]
    begins, ends = sizes[0] < SCRIPT * size, sizes[2] < SCRIPT * size
    styles = [_style(pdfium, text_page, one, fonts) for one in at]
    mono = all(mono for _, mono in styles)
    right = max(left, box.right)
    is_loose = not mono and right - left > _LOOSE * size * len(words)
    return Line(
        words,
        number,
        left,
        right,
        middle_base if begins else top_base,
        middle_base if ends else base,
        size,
        all(bold for bold, _ in styles),
        mono,
        _gaps(pdfium, text_page, found, size) if is_loose else (),
        begins or ends,
    )


def _gaps(pdfium: Any, text_page: Any, found: re.Match[str], size: float) -> tuple[Gap, ...]:
    """The gaps of a line between its words."""
    gaps: list[Gap] = []
    offset = 0  # in the line's text, whose words have one space between them
    end: float | None = None
    box = pdfium.FS_RECTF()
    for word in re.finditer(r"[^\x00-\x20\xa0]+", found[0]):
        shown = " ".join(word[0].translate(_REPLACED).split())
        if not shown:
            continue
        first, last = found.start() + word.start(), found.start() + word.end() - 1
        at = [pdfium.FPDFText_GetCharIndexFromTextIndex(text_page, one) for one in (first, last)]
        left, _ = _origin(pdfium, text_page, at[0])
        if end is not None and left - end > _GAP * size:
            gaps.append(Gap(offset, end, left))
        pdfium.FPDFText_GetLooseCharBox(text_page, at[1], box)
        end = max(left, _finite(box.right))
        offset += len(shown) + 1
    return tuple(gaps)


def _origin(pdfium: Any, text_page: Any, at: int) -> tuple[float, float]:
    x, y = ctypes.c_double(), ctypes.c_double()
    pdfium.FPDFText_GetCharOrigin(text_page, at, x, y)
    return _finite(x.value), _finite(y.value)


def _size(pdfium: Any, text_page: Any, at: int) -> float:
    """Points; some programs set everything at one point and scale it."""
    matrix = pdfium.FS_MATRIX()
    size = pdfium.FPDFText_GetFontSize(text_page, at)
    if pdfium.FPDFText_GetMatrix(text_page, at, matrix):
        size *= math.hypot(matrix.b, matrix.d)
    return max(0.1, _finite(size))


def _style(
    pdfium: Any, text_page: Any, at: int, fonts: dict[tuple[bytes, int, int], tuple[bool, bool]]
) -> tuple[bool, bool]:
    """Whether a character is bold, and of a font whose characters are equally wide."""
    name = ctypes.create_string_buffer(_NAME_BYTES)
    flags = ctypes.c_int()
    pdfium.FPDFText_GetFontInfo(text_page, at, name, _NAME_BYTES, flags)
    weight = pdfium.FPDFText_GetFontWeight(text_page, at)
    key = (name.value, flags.value, weight)
    if key not in fonts:
        called = name.value.decode("utf-8", "replace")
        bold = weight >= _BOLD_WEIGHT or bool(_BOLD.search(called))
        fonts[key] = bold, bool(flags.value & _FIXED_PITCH or _MONO.search(called))
    return fonts[key]


def _finite(value: float) -> float:
    return value if math.isfinite(value) and abs(value) < 1e6 else 0.0


def compose_accents(pages: Sequence[Page]) -> None:
    """Put accents that stand before their letters onto them, as old fonts of TeX need it.

    `mat\u00b4eriel` becomes `mat\u00e9riel`. It is done where it is needed in several words.
    """
    lines = [line for page in pages for line in page.lines if not line.mono]
    if sum(len(_WITHIN.findall(line.text)) for line in lines) < _FEW_ACCENTS:
        return
    for line in lines:
        line.text = _CEDILLA.sub(lambda found: _composed(found[1], "\u00b8"), line.text)
        line.text = _ACCENT.sub(lambda found: _composed(found[2], found[1]), line.text)


def _composed(letter: str, accent: str) -> str:
    letter = {"\u0131": "i", "\u0237": "j"}.get(letter, letter)
    made = unicodedata.normalize("NFC", letter + _COMBINING[accent])
    return made if len(made) == 1 else accent + letter


def body_size(pages: Sequence[Page]) -> float:
    """The size that most characters have, in half points; 0 for no text."""
    counts: dict[float, int] = {}
    for page in pages:
        for line in page.lines:
            size = round(2 * line.size) / 2
            counts[size] = counts.get(size, 0) + len(line.text)
    return max(counts, key=lambda size: counts[size], default=0.0)
