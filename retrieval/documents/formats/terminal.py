"""A program's terminal output, as the terminal shows it."""

from __future__ import annotations

import re

_MOVES = re.compile(r"(\r|\x08+|\x1b\[[0-2]?K)")
"""Moves back within a line, and sequences that erase a part of it."""
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b\x0c\x0e-\x1f]")


def shown(written: str, most: int) -> str:
    """The first lines of the output, up to `most` characters.

    Colours are left out. Text after a carriage return overwrites the line, so only the last state
    of a progress bar is kept.
    """
    lines: list[str] = []
    left = most
    at = 0
    while at <= len(written) and left > 0:
        end = written.find("\n", at)
        end = end if end >= 0 else len(written)
        line = written[at:end]
        line = _CONTROL.sub("", _overwritten(line) if _MOVES.search(line) else line)
        lines.append(line[:left])
        left -= len(line) + 1
        at = end + 1
    return "\n".join(lines)


def _overwritten(line: str) -> str:
    """A line after all overwriting, in time that does not grow with the number of moves.

    Overwritten text is removed completely, even if it is longer than the new text: what was left
    over would be words that nobody wrote.
    """
    signs: list[str] = []
    goes_back = False
    for piece in _MOVES.split(line):
        if piece == "\r":
            goes_back = True
        elif piece[:1] == "\x08":
            del signs[max(0, len(signs) - len(piece)) :]
        elif piece[:1] == "\x1b":
            if goes_back or piece[2:] in ("1K", "2K"):  # else nothing is after the cursor
                signs = []
        elif piece := _CONTROL.sub("", piece):
            if goes_back:
                signs, goes_back = [], False
            signs += piece
    return "".join(signs)
