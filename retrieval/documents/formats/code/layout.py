"""Source code in any language: where its blocks begin, told by blank lines and indentation."""

from __future__ import annotations

import re

from retrieval.documents.outline import Outline, Part

_CONTINUES = re.compile(
    r"[)\]}]|(?:catch|do|done|elif|else|elsif|end|ensure|esac|except|fi|finally|rescue|then)\b"
)
"""What begins a line that belongs to the block before it."""
_CLOSES = re.compile(r"[)\]}]|(?:done|end|esac|fi)\b")
"""What begins a line after which a block at the same depth is a new one."""
_TAB = 4


def by_layout(text: str) -> Outline:
    """Sections at top-level blocks; within them blocks one level deeper, then all other blocks.

    A block begins at a line that follows a blank line, a deeper line or a closing bracket, and does
    not itself close or continue one (`}`, `else`): functions, classes and methods with the comments
    and decorators above them, whatever the language.
    """
    top: list[int] = []
    second: list[int] = []
    deeper: list[int] = []
    enclosing: list[int] = []
    start = 0
    previous = -1
    fresh = True  # after a blank line, or the first line
    closed = False
    for line in text.split("\n"):
        content = line.strip()
        if not content:
            fresh = True
        else:
            lead = line[: len(line) - len(line.lstrip())]
            indent = len(lead.expandtabs(_TAB)) if lead else 0
            while enclosing and enclosing[-1] >= indent:
                enclosing.pop()
            depth = len(enclosing)
            enclosing.append(indent)
            new = fresh or previous > indent or (closed and previous == indent)
            if new and not _CONTINUES.match(content):
                (top if depth == 0 else second if depth == 1 else deeper).append(start)
            previous, fresh, closed = indent, False, _CLOSES.match(content) is not None
        start += len(line) + 1
    parts = [Part(0, 1), *(Part(at, 1) for at in top if at)]
    return Outline(parts=parts, breaks=(second, deeper), sentences=False)
