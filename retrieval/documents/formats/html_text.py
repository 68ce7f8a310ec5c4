"""The visible text of an HTML page, on the lines where it stands in the source.

Every newline of the source stays a newline, in dropped parts too, and no other is added: line n of
the text is line n of the page, and a hit's line number is right. Blocks that share a line are set
apart by a space.

One pass, with a time that grows with the page and nothing else. The standard library's parser needs
half a minute for 120 KB of unclosed attributes, so tags are found here, as browsers find them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import unescape
from typing import Literal

from retrieval.documents.formats.formulas import mathml_source
from retrieval.documents.formats.page_text import Element, Listener, PageText

_UNSEEN_NAMES = "annotation annotation-xml canvas iframe noscript script style svg template title"
_UNSEEN = frozenset(_UNSEEN_NAMES.split())
"""Elements that are skipped from their start tag to the next end tag of theirs; annotations hold
a formula once more, in TeX.
"""
_SWALLOWING = frozenset({"script", "style"})
"""Elements whose content is not text even where the end tag is missing."""
_ASIDE = frozenset({"aside", "footer", "nav"})
"""Elements that are about the site, not of the page's text."""
_ASIDE_ROLES = frozenset({"complementary", "contentinfo", "doc-toc", "navigation"})
_LINKS = frozenset({"doc-toc", "nav", "navigation"})
"""Those of both that hold links to other pages, and no text in any case."""
_NOTES = re.compile(
    r"(?:^|[\s_-])(?:admonition|callout|caution|danger|endnotes?|example|footnotes?|hint|important|note"
    r"|tip|topic|warning)(?=$|[\s_-])"
)
"""Classes and roles of an `aside` that is part of the text, as Docutils writes them."""
_BLOCK_NAMES = (
    "address article aside blockquote body br button caption center dd details dialog dir div dl "
    "dt fieldset figcaption figure footer form frame h1 h2 h3 h4 h5 h6 head header hgroup hr html "
    "legend li main menu nav ol optgroup option p pre search section select summary table tbody td "
    "textarea tfoot th thead title tr ul"
)
_BLOCKS = frozenset(_BLOCK_NAMES.split())
_PHRASES = frozenset({"br", "button", "optgroup", "option", "select", "textarea"})
"""Blocks that may stand in a paragraph."""
_VOID_NAMES = "area base br col embed frame hr img input link meta param source track wbr"
_VOID = frozenset(_VOID_NAMES.split())
_KEEP_SPACES = frozenset({"pre", "textarea"})
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_ENDS_BEFORE: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "li": (frozenset({"li"}), frozenset({"dir", "menu", "ol", "ul"})),
    "dt": (frozenset({"dd", "dt"}), frozenset({"dl"})),
    "dd": (frozenset({"dd", "dt"}), frozenset({"dl"})),
    "option": (frozenset({"option"}), frozenset({"select"})),
    "td": (frozenset({"td", "th"}), frozenset({"tr"})),
    "th": (frozenset({"td", "th"}), frozenset({"tr"})),
    "tr": (frozenset({"caption", "tr"}), frozenset({"table"})),
    "tbody": (frozenset({"caption", "tbody", "tfoot", "thead"}), frozenset({"table"})),
    "tfoot": (frozenset({"caption", "tbody", "tfoot", "thead"}), frozenset({"table"})),
    "thead": (frozenset({"caption", "tbody", "tfoot", "thead"}), frozenset({"table"})),
}
"""Start tags that end open elements, as browsers do: which ones, and within which element."""
_SCOPES = frozenset({"body", "caption", "table", "td", "th"})
"""An end tag within one of these ends nothing outside it, unless it is a table's own."""
_TABLE_PARTS = frozenset({"caption", "table", "tbody", "td", "tfoot", "th", "thead", "tr"})

_NAME = re.compile(r"/?([A-Za-z][^\s/>]*)")
_COMMENT_END = re.compile(r"--!?>")
_COMMENT_ENDED = ("<!-->", "<!--->")
"""Comments that end as they begin."""
_MATH = re.compile(r"<math(?=[\s/>])", re.IGNORECASE)
_TAG_STOP = re.compile(r">|=\s*([\"'])")
_ENTITY = re.compile(r"&[#\w][^\s<&;]{0,31};?")
_ATTRIBUTE = re.compile(
    r"([^\s=/>\"']+)(?:\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s>\"']+)))?", re.DOTALL
)
_TELLING = re.compile(
    r"\b(?:alt|aria-hidden|aria-level|class|data-lang|data-language|hidden|lang|open|role|style)\b",
    re.IGNORECASE,
)
"""Attributes that matter here; tags without any are not read further."""
_NO_DISPLAY = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden)\b", re.I)
_ANCHOR = re.compile(
    r"\s*+(?:<[^>]{0,200}>\s*+){0,5}+(¶|#|§|🔗|⚓|&para;|&#182;|&#xb6;|&sect;)"
    r"\s*+(?:</(?!a\b)[a-z]+>\s*+){0,5}+</a\s*+>",
    re.IGNORECASE,
)
"""A link whose only words are a sign: what themes put after a heading, to link to it."""
_LINE_NUMBERS = frozenset({"lineno", "linenodiv", "linenos"})


class Page(PageText):
    """Reads the source from left to right and collects its text.

    Args:
        source: the page.
        listener: who is told of its elements.
        left_out: what of that which is about the site (`nav`, `footer`, `aside`) is no text: all
            of it, links to other pages, or nothing.
    """

    def __init__(
        self,
        source: str,
        listener: Listener,
        *,
        left_out: Literal["all", "links", "nothing"] = "all",
    ) -> None:
        super().__init__()
        self._source = source
        self._listener = listener
        self._left_out = left_out
        self._titled: str | None = None
        self._closings: dict[str, int] = {}  # where the last end tag begins that was looked for
        self._stack: list[Element] = []
        self._positions: dict[str, list[int]] = {}
        self._scopes: list[int] = []
        self._hidden: int | None = None  # how many elements are open around the outermost unseen

    @property
    def title(self) -> str:
        """What `<title>` says, on one line, or ""."""
        return " ".join((self._titled or "").split())

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
        self._close_down_to(0)
        self._finish()

    def _markup(self, at: int) -> int:
        """Deal with what the `<` at `at` begins; the place after it."""
        source = self._source
        if source.startswith("<!--", at):
            return self._skip(at, self._comment_end(at))
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
            at, end = self._start_tag(tag, name.end(), at, end)
        return self._skip(at, end)

    def _comment_end(self, at: int) -> int:
        """The place after a comment: where it has no end, that of the source, as in browsers."""
        for whole in _COMMENT_ENDED:
            if self._source.startswith(whole, at):
                return at + len(whole)
        end = _COMMENT_END.search(self._source, at + 4)
        return end.end() if end else len(self._source)

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

    def _start_tag(self, tag: str, named: int, at: int, end: int) -> tuple[int, int]:
        """Note a start tag; from where to where the source is to be skipped for it.

        Args:
            tag: its name.
            named: where its name ends in the source.
            at: where it starts.
            end: one past its `>`.
        """
        is_block = tag in _BLOCKS
        if is_block:
            self._separate()
        closed = self._source[end - 2] == "/"
        if tag in _UNSEEN and not closed:
            closing = self._closing(tag, end)
            if closing < 0 and tag in _SWALLOWING:
                closing = len(self._source)
            if closing >= 0:
                if tag == "title" and self._titled is None:
                    self._titled = unescape(self._source[end:closing])
                return at, closing
        attributes: Mapping[str, str] = {}
        if end - named > 2 and _TELLING.search(self._source, named, end):
            attributes = _attributes(self._source[named : end - 1])
        if tag == "a" and self._hidden is None and (anchor := self._anchor(end)):
            return at, anchor
        if tag == "math" and not closed and (after := self._formula(at, end, attributes)) > at:
            return at, after
        if is_block:
            self._close_implied(tag)
        if tag in ("area", "img") and self._hidden is None and attributes.get("alt", "").strip():
            if not _is_unseen(tag, attributes):
                self._take(f" {' '.join(attributes['alt'].split())} ")
        elif tag not in _VOID and not closed:
            self._open(tag, attributes, is_block=is_block)
        return at, end

    def _formula(self, at: int, end: int, attributes: Mapping[str, str]) -> int:
        """Take a formula in as a line; where its end tag begins, `at` if it is not understood."""
        if self._hidden is not None or _is_unseen("math", attributes):
            return at
        closing = self._closing("math", end)
        # Of formulas without an end tag of their own, only the innermost may be one.
        if closing < 0 or _MATH.search(self._source, end, closing):
            return at
        said = mathml_source(f"{self._source[at:closing]}</math>")
        self._take(said)
        return closing if said else at

    def _open(self, tag: str, attributes: Mapping[str, str], *, is_block: bool) -> None:
        unseen = _is_unseen(tag, attributes) or self._is_aside(tag, attributes)
        hides = unseen and self._hidden is None
        inner = self._hidden is not None and tag in self._positions
        if not (is_block or hides or inner):
            if self._hidden is None:
                self._listener.inline(tag, attributes)
            return
        if hides:
            self._hidden = len(self._stack)
        element = Element(tag, attributes, self._length, self._hidden is None)
        if tag in _SCOPES:
            self._scopes.append(len(self._stack))
        self._positions.setdefault(tag, []).append(len(self._stack))
        self._stack.append(element)
        if tag in _KEEP_SPACES:
            self._keeping += 1
        if element.seen:
            self._listener.opened(element, self._length)

    def _is_aside(self, tag: str, attributes: Mapping[str, str]) -> bool:
        """Whether an element is about the site, not of the page's text."""
        role = attributes.get("role", "").lower()
        if self._left_out == "nothing" or not (tag in _ASIDE or role in _ASIDE_ROLES):
            return False
        if self._left_out == "links":
            return tag in _LINKS or role in _LINKS
        if tag == "aside":
            classes = attributes.get("class", "").lower()
            in_main = bool(self._positions.get("main")) and "sidebar" in classes.split()
            return not (in_main or _NOTES.search(classes) or _NOTES.search(role))
        # Who is quoted stands in a footer, too.
        return tag != "footer" or not self._positions.get("blockquote")

    def _end_tag(self, tag: str) -> None:
        if tag in _BLOCKS:
            self._separate()
        places = self._positions.get(tag)
        if not places:
            return
        if tag not in _TABLE_PARTS and self._scopes and self._scopes[-1] > places[-1]:
            return
        self._close_down_to(places[-1])

    def _close_implied(self, tag: str) -> None:
        """End what a block's start tag ends without an end tag."""
        if tag not in _PHRASES and self._stack and self._stack[-1].name == "p":
            self._close_down_to(len(self._stack) - 1)
        if tag in _HEADINGS and self._stack and self._stack[-1].name in _HEADINGS:
            self._close_down_to(len(self._stack) - 1)
        ended, within = _ENDS_BEFORE.get(tag, (frozenset(), frozenset()))
        if not ended:
            return
        scope = max(
            (self._positions[name][-1] for name in within if self._positions.get(name)), default=-1
        )
        first = min(
            (
                place
                for name in ended
                for place in self._positions.get(name, ())[-1:]
                if place > scope
            ),
            default=-1,
        )
        if first >= 0:
            self._close_down_to(first)

    def _close_down_to(self, depth: int) -> None:
        """End every element that is open deeper than so many."""
        while len(self._stack) > depth:
            element = self._stack.pop()
            self._positions[element.name].pop()
            if self._scopes and self._scopes[-1] == len(self._stack):
                self._scopes.pop()
            if element.name in _KEEP_SPACES:
                self._keeping -= 1
            if element.seen:
                self._listener.closed(element, self._length)
            if self._hidden == len(self._stack):
                self._hidden = None

    def _anchor(self, at: int) -> int:
        """Where a link ends that is only a sign; 0 if it is more than that."""
        link = _ANCHOR.match(self._source, at)
        if link is None:
            return 0
        heading = any(self._positions.get(name) for name in (*_HEADINGS, "dt", "caption"))
        return link.end() if heading or link[1] not in ("#", "§") else 0

    def _closing(self, tag: str, at: int) -> int:
        """Where the next end tag of this name begins, or -1."""
        known = self._closings.get(tag, 0)
        if known < 0 or known >= at:
            return known  # a page of a thousand unclosed ones is not searched a thousand times
        found = re.compile(rf"</{tag}(?=[\s/>])", re.IGNORECASE).search(self._source, at)
        self._closings[tag] = found.start() if found else -1
        return self._closings[tag]

    def _skip(self, start: int, end: int) -> int:
        """Leave a stretch of the source out, but for its newlines."""
        if newlines := self._source.count("\n", start, end):
            self._break_lines(newlines)
        return end

    def _see(self, start: int, end: int) -> int:
        """Take a stretch of the source in as text."""
        if self._hidden is not None:
            return self._skip(start, end)
        data = self._source[start:end]
        if "&" in data:
            data = _ENTITY.sub(_decoded, data)
        self._take(data)
        return end


def _attributes(source: str) -> dict[str, str]:
    """Attributes of a tag, names in lower case; "" for one without a value."""
    found: dict[str, str] = {}
    for attribute in _ATTRIBUTE.finditer(source):
        value = attribute[2] or attribute[3] or attribute[4] or ""
        found.setdefault(attribute[1].lower(), unescape(value))
    return found


def _is_unseen(tag: str, attributes: Mapping[str, str]) -> bool:
    """Whether browsers do not show an element, or screen readers do not read it."""
    if tag == "dialog":
        return "open" not in attributes
    if not attributes:
        return False
    return (
        ("hidden" in attributes and attributes["hidden"].lower() != "until-found")
        or attributes.get("aria-hidden", "").lower() == "true"
        or _NO_DISPLAY.search(attributes.get("style", "")) is not None
        or not _LINE_NUMBERS.isdisjoint(attributes.get("class", "").split())
    )


def _decoded(entity: re.Match[str]) -> str:
    """The entity's character; a line break becomes a space, for it is none of the source's."""
    return unescape(entity[0]).replace("\n", " ").replace("\r", " ")
