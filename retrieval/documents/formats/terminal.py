"""What a program wrote to a terminal, as the terminal shows it."""

from __future__ import annotations

import re

_MOVES = re.compile(r"(\r|\x08+|\x1b\[[0-2]?K)")
"""What goes back on a line, or erases a part of it."""
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b\x0c\x0e-\x1f]")


def shown(written: str, most: int) -> str:
    """The first lines of what was written, of so many characters at most.

    Colours are left out, and what follows a carriage return overwrites its line: of a bar of
    progress its last state stays.
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
    """A line after all that went back on it; its time does not grow with how often.

    What is longer than what overwrites it goes too: its end would be words that nobody wrote.
    """
    signs: list[str] = []
    goes_back = False
    for piece in _MOVES.split(line):
        if piece == "\r":
            goes_back = True
        elif piece[:1] == "\x08":
            del signs[max(0, len(signs) - len(piece)) :]
        elif piece[:1] == "\x1b":
            if goes_back or piece[2:] in ("1K", "2K"):  # else from the cursor on: nothing
                signs = []
        elif piece := _CONTROL.sub("", piece):
            if goes_back:
                signs, goes_back = [], False
            signs += piece
    return "".join(signs)
