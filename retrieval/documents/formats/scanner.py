"""What formats that are marked up line by line share: a walk over lines, lists, paragraphs."""

from __future__ import annotations

import re
from collections.abc import Callable

from retrieval.documents.formats.builder import OutlineBuilder, lines_of


class Scanner:
    """A text line by line, from the first to the last; what is found goes into `found`.

    Attributes:
        text: the text.
        spans: (start, end) of each line, without its line break.
        at: the number of the line that is next.
        found: headings, blocks and cut points.
    """

    def __init__(self, text: str, plain: Callable[[str], str]) -> None:
        self.text = text
        self.spans = list(lines_of(text))
        self.at = 0
        self._upto: dict[str, tuple[int, int]] = {}
        self.found = OutlineBuilder(text, plain)

    def __len__(self) -> int:
        return len(self.spans)

    def line(self, number: int) -> str:
        """A line without its line break; "" beyond the last."""
        if number >= len(self.spans):
            return ""
        start, end = self.spans[number]
        return self.text[start:end]

    def start(self, number: int) -> int:
        """Where a line starts; the text's end beyond the last."""
        return self.spans[number][0] if number < len(self.spans) else len(self.text)

    def end(self, number: int) -> int:
        """Where a line ends, without its line break."""
        return self.spans[number][1]

    def upto(self, closing: str, first: int) -> int:
        """The number of the first line from `first` on that matches; past the last if none does.

        Asked for one pattern again and again, it looks at no line twice.
        """
        since, found = self._upto.get(closing, (0, -1))
        if not since <= first <= found:
            pattern = re.compile(closing)
            found = next((n for n in range(first, len(self)) if pattern.match(self.line(n))), -1)
            found = len(self) if found < 0 else found
            self._upto[closing] = first, found
        return found

    def filled(self, number: int) -> int:
        """The number of the first line from here on that is not blank; past the last if none."""
        while number < len(self.spans) and not self.line(number).strip():
            number += 1
        return number

    def paragraph(self, ends: Callable[[int], bool]) -> None:
        """Note a paragraph from the next line on, up to a blank line or one that `ends` it."""
        first = self.at
        self.at += 1
        while self.at < len(self) and self.line(self.at).strip() and not ends(self.at):
            self.at += 1
        self.found.paragraph(self.start(first), self.end(self.at - 1))

    def list(
        self,
        item: re.Pattern[str],
        *,
        lazy: bool = True,
        spaced: bool = True,
        ends: Callable[[int], bool] = lambda number: False,
        inner: Callable[[int], int] = lambda number: number,
    ) -> None:
        """Note a list from the next line, its first item, on.

        Args:
            item: how the line of an item begins.
            lazy: whether lines that are not indented go on with an item.
            spaced: whether a list continues after a blank line, with an item or an indented line.
            ends: whether a line that is neither ends it all the same.
            inner: the number of the line after a block that begins at a line and belongs to an
                item, having noted it; the line's own number if none begins there.
        """
        first = last = self.at
        items = []
        number = first
        while number < len(self):
            line = self.line(number)
            if not line.strip():
                following = self.filled(number)
                indented = self.line(following)[:1].isspace()
                goes_on = item.match(self.line(following)) or (indented and not ends(following))
                if not spaced or following >= len(self) or not goes_on:
                    break
                number = following
                continue
            if (beyond := inner(number)) > number:
                number, last = beyond, beyond - 1
                continue
            if item.match(line):
                items.append(self.start(number))
            elif ends(number) or not (line[0].isspace() or (lazy and last == number - 1)):
                break
            last = number
            number += 1
        self.found.list(self.start(first), self.end(last), items)
        self.at = last + 1
