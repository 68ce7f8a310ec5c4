"""The text of a page of marked-up elements, put together line by line as the source has them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from retrieval.documents.formats.builder import first_words, last_words

_SPACES = re.compile(r"[ \t\f\v]+")
_TRAILING = re.compile(r" (?=\r?\n)")


@dataclass(slots=True)
class Element:
    """An element that is open.

    Attributes:
        name: its tag's, in lower case.
        attributes: those that matter here.
        start: where its text starts, in characters of the text so far.
        seen: whether it is part of the visible text.
    """

    name: str
    attributes: Mapping[str, str]
    start: int
    seen: bool = True


class Listener(Protocol):
    """Who is told of the page's elements, those that are seen, in order.

    Offsets are those of a `PageText` while it is read; its `settled` says where they are in the
    text.
    """

    def opened(self, element: Element, at: int) -> None:
        """An element begins."""

    def closed(self, element: Element, at: int) -> None:
        """An element ends."""

    def inline(self, name: str, attributes: Mapping[str, str]) -> None:
        """An element begins that makes no block."""


class PageText:
    """A text that grows while a page is read: runs of blanks are one, lines those of the source.

    Attributes:
        text: all of it, once the page is read.
    """

    text: str

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._at_space = True
        self._keeping = 0  # elements that are open in which blanks are kept
        self._words = 0
        self._removed: list[int] = []

    @property
    def words(self) -> int:
        """How many stretches of text have been seen."""
        return self._words

    def _finish(self) -> None:
        """Take note that the page is read."""
        raw = "".join(self._parts)
        self._removed = [space.start() for space in _TRAILING.finditer(raw)]
        self.text = raw.replace(" \n", "\n").replace(" \r\n", "\r\n")

    def settled(self, offsets: list[int], *, forward: bool) -> dict[int, int]:
        """Where offsets that a listener was told are in the text, moved over white space.

        Args:
            offsets: in any order.
            forward: whether they are starts, and move forward; ends move back.
        """
        removed, gone = self._removed, 0
        exact: dict[int, int] = {}
        for offset in sorted(set(offsets)):
            while gone < len(removed) and removed[gone] < offset:
                gone += 1
            exact[offset] = min(offset - gone, len(self.text))
        moved = (first_words if forward else last_words)(self.text, exact.values())
        return {offset: moved[place] for offset, place in exact.items()}

    def _take(self, data: str) -> None:
        if not self._keeping:
            data = _SPACES.sub(" ", data).replace("\n ", "\n")
            if self._at_space:
                data = data.removeprefix(" ")
        if data:
            self._parts.append(data)
            self._length += len(data)
            self._at_space = data[-1].isspace()
            if not data.isspace():
                self._words += 1

    def _separate(self) -> None:
        if not self._at_space:
            self._parts.append(" ")
            self._length += 1
            self._at_space = True

    def _break_lines(self, count: int) -> None:
        """Go on so many lines further down."""
        self._parts.append("\n" * count)
        self._length += count
        self._at_space = True
