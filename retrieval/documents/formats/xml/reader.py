"""An XML document element by element: its text on the lines of the source, and its structure."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from xml.parsers import expat

from retrieval.documents.formats.formulas import mathml
from retrieval.documents.formats.page_structure import PageStructure
from retrieval.documents.formats.page_text import Element, PageText
from retrieval.documents.formats.xml.escaped import Escaped, how_escaped, shown
from retrieval.documents.formats.xml.facts import Facts, is_author
from retrieval.documents.formats.xml.prolog import Prolog, entity
from retrieval.documents.formats.xml.vocabularies import Vocabulary
from retrieval.documents.outline import Outline

_CHUNK = 1 << 16
_DEEPEST_HEADING = 9
_LONGEST_FACT = 500
_MOST_FACTS = 100
_PROSE_WORDS = 5
"""So many words in a row are prose, not data."""
_NAMED = ("language", "code-type", "lang", "outputclass")
"""Attributes that say which language a piece of code is in."""
_WITHIN_WORDS = frozenset(
    {"b", "bold", "emphasis", "hi", "i", "italic", "ph", "sub", "sup", "xref"}
)
"""Elements that stand in the middle of words, unlike the parts of a name."""
_PARTS = frozenset({"response", "sub-article"})
"""Works of their own within another, by others: letters of its editors and reviewers."""
_MOST_CARRIERS = 8
_ENTITY = re.compile(r"&([\w.:-]{1,200});")
_BREAKS = frozenset(
    {"asciidoc-br", "asciidoc-pagebreak", "hard-pagebreak", "lb", "line-break", "linebreak"}
    | {"newline", "pagebreak", "pb"}
)
"""Processing instructions that end a line or a page."""


@dataclass(slots=True)
class _Open:
    """An element that is open.

    Attributes:
        name: its own, without a prefix.
        known: what was opened for it, if that is a block.
        is_section: whether it is one.
        fact: what its words say of the document, or "".
        page: how an HTML page may stand in it.
        has_text: whether text stands in it directly.
        has_parts: whether elements do.
        is_author: whether whom it names is one.
    """

    name: str
    known: Element | None = None
    is_section: bool = False
    fact: str = ""
    page: Escaped = ""
    has_text: bool = False
    has_parts: bool = False
    is_author: bool = True


class XmlText(PageText):
    """Reads a document and collects its text.

    Args:
        prolog: the document.
        vocabulary: what its elements mean.

    Attributes:
        facts: what it says of itself.
        prose: characters of the text that stand in lines of several words.

    Raises:
        expat.ExpatError: it is not well-formed.
    """

    def __init__(self, prolog: Prolog, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.facts = Facts()
        self.prose = 0
        self._structure = PageStructure()
        self._structure.page = self
        self._vocabulary = vocabulary
        self._entities = prolog.entities
        self._stack: list[_Open] = []
        self._sections = 0
        self._tables = self._heads = self._wraps = 0  # that are open
        self._hidden = 0  # elements open from the outermost one on that is not shown
        self._line = 1
        self._math: ElementTree.TreeBuilder | None = None
        self._within_math = 0  # elements that are open
        self._fact: list[str] | None = None
        self._page: list[str] | None = None
        self._data = prolog.source.encode("utf-8", "replace")
        self._parser = parser = expat.ParserCreate("utf-8")
        parser.buffer_text = False
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.DefaultHandler = self._reference
        parser.ProcessingInstructionHandler = self._instruction
        parser.SkippedEntityHandler = lambda name, _: self._reference(f"&{name};")

    def read(self) -> Outline:
        """Read all of it; its structure."""
        for at in range(0, len(self._data), _CHUNK):
            self._parser.Parse(self._data[at : at + _CHUNK], False)
        self._parser.Parse(b"", True)
        self._finish()
        return self._structure.settled(self)[0]

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        name = name.rpartition(":")[2]
        known = self._vocabulary
        if self._math is not None or self._begins_formula(name):
            self._stack.append(_Open(name))
            self._math = self._math or ElementTree.TreeBuilder()
            self._math.start(name, dict(attributes))
            self._within_math += 1
            return
        if self._page is not None:  # markup in what should have been escaped
            self._page.append(" ")
        parent = self._stack[-1] if self._stack else _Open("")
        opened = _Open(name, is_author=is_author(name, attributes, parent.is_author))
        joins = name in known.breaks and attributes.get("break") == "no"
        apart = parent.name in known.apart and parent.has_parts and not parent.has_text
        parent.has_parts = True
        if (name in known.breaks and not joins) or apart:
            self._blank()
        self._stack.append(opened)
        fact = known.facts.get((parent.name, name), "")
        if fact == "authors" and not self._is_author():
            fact = ""
        if fact and self._fact is None and not (fact == "title" and self.facts.title()):
            opened.fact, self._fact = fact, []
        elif self._fact is not None and name not in _WITHIN_WORDS and not joins:
            self._fact.append(" ")  # a name has parts
        if self._hidden or name in known.skipped:
            self._hidden += 1
            return
        self._to_line()
        if name in known.sections:
            opened.is_section = True
            self._sections += 1
        if name in known.pages and self._page is None:
            atom = self._stack[0].name == "feed"
            opened.page = how_escaped(name, attributes, atom=atom)
            self._page = [] if opened.page else None
        element = self._element(name, parent, attributes)
        if element is None:
            self._structure.inline("code" if name == "code" else name, _code(attributes))
        else:
            self._separate()
            element.start = self._length
            opened.known = element
            self._keeping += element.name == "pre"
            self._count(opened, 1)
            self._structure.opened(element, self._length)
        if said := attributes.get(known.shown.get(name, ""), ""):
            self._say(f" {' '.join(said.split())} ")

    def _blank(self) -> None:
        """End a word."""
        if self._fact is not None:
            self._fact.append(" ")
        if not self._hidden and self._page is None:
            self._to_line()
            self._separate()

    def _is_author(self) -> bool:
        """Whether an element that is opened now names an author of the document."""
        return self._stack[-1].is_author and not any(one.name in _PARTS for one in self._stack)

    def _instruction(self, target: str, _: str) -> None:
        if target in _BREAKS and self._stack and self._math is None:
            self._blank()

    def _begins_formula(self, name: str) -> bool:
        return name == "math" and not self._hidden and self._page is None and bool(self._stack)

    def _end_formula(self, math: ElementTree.TreeBuilder, name: str) -> None:
        """End an element of a formula; with the outermost the formula is said as a line."""
        math.end(name)
        self._within_math -= 1
        if not self._within_math:
            self._math = None
            self._say(mathml(math.close()))

    def _element(self, name: str, parent: _Open, attributes: Mapping[str, str]) -> Element | None:
        """The element of HTML that one stands for, None within a line of text."""
        known = self._vocabulary
        if name in known.titles and not self._tables and self._heads_section():
            level = str(max(1, min(self._sections, _DEEPEST_HEADING)))
            return Element("div", {"role": "heading", "aria-level": level}, 0)
        if name in known.titles and self._tables:
            return Element("caption" if parent.name not in ("td", "th") else "p", {}, 0)
        if (name in known.inline or parent.has_text) and name not in known.elements:
            return None
        plain = known.elements.get(name, "div")
        if plain == "td" and self._heads:
            plain = "th"
        if plain == "table" and name == "table" and self._wraps:
            plain = "div"  # of JATS, where the caption stands around the table
        if plain == "pre":
            return Element("pre", _code(attributes), 0)
        row = attributes.get("role") == "label" and plain in ("td", "tr")  # of TEI
        return Element("th" if row and plain == "td" else plain, {}, 0)

    def _count(self, opened: _Open, by: int) -> None:
        """Count elements that are open."""
        plain = opened.known.name if opened.known else ""
        self._tables += by * (plain == "table")
        self._heads += by * (plain == "thead")
        self._wraps += by * (opened.name == "table-wrap")

    def _heads_section(self) -> bool:
        """Whether an element that is opened now is the title of the section that it stands in."""
        for one in reversed(self._stack[-_MOST_CARRIERS:-1]):
            if one.is_section:
                return True
            if one.name not in self._vocabulary.carriers:
                return False
        return False

    def _end(self, name: str) -> None:
        opened = self._stack.pop()
        if self._math is not None:
            self._end_formula(self._math, opened.name)
            return
        if self._page is not None and not opened.page:
            self._page.append(" ")
        page = shown(opened.page, "".join(self._page or ())) if opened.page else ""
        if opened.fact and self._fact is not None:
            said = page if opened.page else "".join(self._fact)
            words = " ".join(said.split())[:_LONGEST_FACT]
            values = self.facts.values.setdefault(opened.fact, []) if words else []
            if len(values) < _MOST_FACTS:
                values += [words]
            self._fact = None
        if self._hidden:
            self._hidden -= 1
            return
        if opened.page:
            self._page = None
            self._take_lines(page)
        if opened.is_section:
            self._sections -= 1
        if opened.known is not None:
            self._separate()
            self._keeping -= opened.known.name == "pre"
            self._count(opened, -1)
            self._structure.closed(opened.known, self._length)

    def _characters(self, data: str) -> None:
        if "\n" in data and self._data[self._parser.CurrentByteIndex] == ord("&"):
            data = data.replace("\n", " ")  # by its number: no line of the source ends there
        if self._math is not None:
            self._math.data(data)
        else:
            self._say(data)

    def _reference(self, data: str) -> None:
        """An entity that the parser does not know, or markup that is not text."""
        found = _ENTITY.fullmatch(data)
        if found is not None and self._stack:
            self._characters(entity(found[1], self._entities))

    def _say(self, data: str) -> None:
        if self._fact is not None:
            self._fact.append(data)
        if self._hidden:
            return
        if self._page is not None:
            self._page.append(data)
            return
        if not data.isspace():
            self._stack[-1].has_text = True
            if data.count(" ") >= _PROSE_WORDS - 1:
                self.prose += len(data)
        self._to_line()
        self._take_lines(data)

    def _take_lines(self, data: str) -> None:
        self._take(data)
        self._line += data.count("\n")

    def _to_line(self) -> None:
        """Go on to the line of the source that the parser is in."""
        if (behind := self._parser.CurrentLineNumber - self._line) > 0:
            self._break_lines(behind)
            self._line += behind


def _code(attributes: Mapping[str, str]) -> dict[str, str]:
    """The language that an element of code names, as HTML names it."""
    said = next((attributes[name] for name in _NAMED if attributes.get(name)), "")
    return {"data-lang": said.removeprefix("language-")} if said else {}
