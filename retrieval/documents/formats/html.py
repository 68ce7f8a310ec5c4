"""The visible text of an HTML page, on the lines where it stands in the source.

Every newline of the source stays a newline, in dropped parts too, and no other is added: line n of
the text is line n of the page, and a hit's line number is right. Blocks that share a line are set
apart by a space.

One pass, with a time that grows with the page and nothing else. The standard library's parser needs
half a minute for 120 KB of unclosed attributes, so tags are found here, as browsers find them.
"""

from __future__ import annotations

import re
from html import unescape

from retrieval.documents.formats.format import Format, Parsed, Source, decoded

_UNSEEN = frozenset({"canvas", "iframe", "noscript", "script", "style", "svg", "template", "title"})
"""Elements that are skipped from their start tag to the next end tag of theirs."""
_SWALLOWING = frozenset({"script", "style"})
"""Those whose content is no text even where the end tag is missing."""
_BLOCK_NAMES = (
    "address article aside blockquote body br button caption center dd details dialog dir div dl "
    "dt fieldset figcaption figure footer form frame h1 h2 h3 h4 h5 h6 head header hgroup hr html "
    "legend li main menu nav ol optgroup option p pre search section select summary table tbody td "
    "textarea tfoot th thead title tr ul"
)
_BLOCKS = frozenset(_BLOCK_NAMES.split())
_KEEP_SPACES = frozenset({"pre", "textarea"})

_NAME = re.compile(r"/?([A-Za-z][^\s/>]*)")
_TAG_STOP = re.compile(r">|=\s*([\"'])")
_ENTITY = re.compile(r"&[#\w][^\s<&;]{0,31};?")
_START = re.compile(rb"\s*(?:<!doctype\s+html|<html[\s>])", re.IGNORECASE)
_SPACES = re.compile(r"[ \t\f\v]+")


def extract(source: str) -> tuple[str, str]:
    """The visible text of a page and its title.

    The title is that of `<title>`, or else the first `<h1>`, or "".
    """
    page = _Page(source)
    page.run()
    return page.text, page.title


class _Page:
    """Reads the source from left to right and collects its text."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._parts: list[str] = []
        self._at_space = True
        self._keeping = 0
        self._heading: tuple[int, int] | None = None
        self._title: str | None = None
        self._never_ending: set[str] = set()

    @property
    def text(self) -> str:
        """The visible text, with as many newlines as the source has."""
        return "".join(self._parts).replace(" \n", "\n").replace(" \r\n", "\r\n")

    @property
    def title(self) -> str:
        """The page's title, on one line."""
        start, end = self._heading or (0, 0)
        heading = "".join(self._parts[start:end])
        return " ".join((self._title or "").split()) or " ".join(heading.split())

    def run(self) -> None:
        """Read the whole source."""
        source = self._source
        at = 0
        while at < len(source):
            opening = source.find("<", at)
            if opening < 0:
                opening = len(source)
            self._see(at, opening)
            at = self._markup(opening) if opening < len(source) else opening

    def _markup(self, at: int) -> int:
        """Deal with what the `<` at `at` begins; the place after it."""
        source = self._source
        if source.startswith("<!--", at):
            end = source.find("-->", at + 2)
            return self._skip(at, end + 3 if end >= 0 else len(source))
        name = _NAME.match(source, at + 1)
        if name is None:
            if source[at + 1 : at + 2] not in ("!", "?", "/"):
                return self._see(at, at + 1)
            end = source.find(">", at)
            return self._skip(at, end + 1 if end >= 0 else len(source))
        end = self._tag_end(name.end())
        if end < 0:
            return self._see(at, len(source))
        tag = name[1].lower()
        if source[at + 1] == "/":
            self._end_tag(tag)
        else:
            at, end = self._start_tag(tag, at, end)
        return self._skip(at, end)

    def _tag_end(self, at: int) -> int:
        """The place after the tag's `>`, which may not stand in a quoted value; -1 without one."""
        while stop := _TAG_STOP.search(self._source, at):
            if stop[0] == ">":
                return stop.end()
            closing = self._source.find(stop[1], stop.end())
            if closing < 0:
                return self._source.find(">", stop.end()) + 1 or -1
            at = closing + 1
        return -1

    def _start_tag(self, tag: str, at: int, end: int) -> tuple[int, int]:
        """Note a start tag; from where to where the source is to be skipped for it."""
        if tag in _BLOCKS:
            self._separate()
        if tag in _UNSEEN and self._source[end - 2] != "/":
            closing = self._closing(tag, end)
            if closing < 0 and tag in _SWALLOWING:
                closing = len(self._source)
            if closing >= 0:
                if tag == "title" and self._title is None:
                    self._title = unescape(self._source[end:closing])
                return at, closing
        if tag in _KEEP_SPACES:
            self._keeping += 1
        elif tag == "h1" and self._heading is None:
            self._heading = (len(self._parts), len(self._parts))
        return at, end

    def _end_tag(self, tag: str) -> None:
        if tag in _KEEP_SPACES:
            self._keeping = max(0, self._keeping - 1)
        elif tag == "h1" and self._heading and self._heading[0] == self._heading[1]:
            self._heading = (self._heading[0], len(self._parts))
        if tag in _BLOCKS:
            self._separate()

    def _closing(self, tag: str, at: int) -> int:
        """Where the next end tag of this name begins, or -1."""
        if tag in self._never_ending:
            return -1  # a page of a thousand unclosed ones is not searched a thousand times
        found = re.compile(rf"</{tag}(?=[\s/>])", re.IGNORECASE).search(self._source, at)
        if found is None:
            self._never_ending.add(tag)
            return -1
        return found.start()

    def _skip(self, start: int, end: int) -> int:
        """Leave a stretch of the source out, but for its newlines."""
        newlines = self._source.count("\n", start, end)
        if newlines:
            self._parts.append("\n" * newlines)
            self._at_space = True
        return end

    def _see(self, start: int, end: int) -> int:
        """Take a stretch of the source in as text."""
        data = self._source[start:end]
        if "&" in data:
            data = _ENTITY.sub(_decoded, data)
        if not self._keeping:
            data = _SPACES.sub(" ", data).replace("\n ", "\n")
            if self._at_space:
                data = data.removeprefix(" ")
        if data:
            self._parts.append(data)
            self._at_space = data[-1].isspace()
        return end

    def _separate(self) -> None:
        if not self._at_space:
            self._parts.append(" ")
            self._at_space = True


def _decoded(entity: re.Match[str]) -> str:
    """The entity's character; a line break becomes a space, for it is none of the source's."""
    return unescape(entity[0]).replace("\n", " ").replace("\r", " ")


def _parse(data: bytes, source: Source) -> Parsed:
    page, problems = decoded(data, source, html=True)
    text, title = extract(page)
    return Parsed(text, title, problems=problems)


FORMATS = (
    Format(
        "html",
        1,
        _parse,
        (".html", ".htm", ".xhtml"),
        sniff=lambda head: _START.match(head) is not None,
    ),
)
