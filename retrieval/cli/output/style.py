"""Colours, and the width of a stream.

Plain escape codes: four styles are not worth the 40 ms for importing rich, which every search would
    pay.
"""

from __future__ import annotations

import os
import shutil
from typing import TextIO

PIPED_WIDTH = 100
"""Columns if the width is unknown."""

_WIDEST = 120  # longer lines are hard to read
_NARROWEST = 20
_CODES = {"path": "36", "title": "1", "mark": "1;33", "faint": "2", "wrong": "1;31"}


class Style:
    """Styles text for one stream: with colours on a terminal, plain elsewhere."""

    __slots__ = ("_on", "width")

    def __init__(self, *, colours: bool, width: int) -> None:
        self._on = colours
        self.width = width

    @classmethod
    def of(cls, stream: TextIO) -> Style:
        """The style for a stream; without colours if NO_COLOR is set or the terminal is dumb."""
        terminal = stream.isatty()
        plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        columns = shutil.get_terminal_size().columns if terminal else PIPED_WIDTH
        width = max(_NARROWEST, min(columns, _WIDEST))
        return cls(colours=terminal and not plain, width=width)

    def dress(self, name: str, text: str) -> str:
        """The text in one of the styles path, title, mark, faint, wrong."""
        return f"\x1b[{_CODES[name]}m{text}\x1b[0m" if self._on and text else text
