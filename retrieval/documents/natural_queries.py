"""What people write that asks for what stands with it: headings and documentation of code.

Texts have `\\n` between their lines; `read` makes it so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from inspect import cleandoc

from retrieval.documents.formats import outline_of
from retrieval.documents.outline import Block, Outline, Section
from retrieval.types import Document

QUERY_CHARS = 400
"""Beyond this nobody would ask it."""

BLANK_LINES = re.compile(r"\n[ \t]*(?:\n[ \t]*)+")

_NEWLINE = re.compile(r"\r\n?")
_HOLDS_OTHERS = re.compile(
    r"(?:template\s*<[^>]*>\s*)?(?:[^(<]*\b(?:class|concept|enum|extension|interface|mod|module"
    r"|namespace|object|protocol|record|struct|trait|type|typedef|union|using)"
    r"(?:\s+[\w$.:]+\s*(?:$|[(<\[:{=]|(?:extends|final|for|implements|internal|of|private|where|with)\b)"
    r"|$)|(?:unsafe\s+)?impl\b)"
)
"""Signatures of definitions that are not functions but may contain some (a class, a namespace)."""
_FUNCTION = re.compile(r".*\(|(?:\w+\s+)*(?:def|deinit|function|get|init|set)\b")

_STRING = re.compile(r"[a-zA-Z]{0,2}(\"\"\"|\'\'\'|\"|\')([\s\S]*?)\1?")
_ESCAPE = re.compile(r"\\([nt\n\"'\\])")
_MARKS = re.compile(
    r"^[ \t]*(?:/\*+!?<?|\*+/|\*|//+[!<]?|#+[!']?|--+\[*|;+)[ \t]?|[ \t]*\*+/[ \t]*$", re.MULTILINE
)
_TAG = re.compile(
    r"</?[a-zA-Z][^>\n]*>|^\s*[@\\](?:brief|short|summary|desc(?:ription)?|details)\b",
    re.MULTILINE,
)
_BREAK = re.compile(r"</?(?:p|br|li|ul|para|summary|remarks)\b[^>\n]*>")
_LINK = re.compile(r"\{@\w+\s+([^}]*)\}|\[\[?([^\]\n]+)\]?\](?:\([^)\n]*\))?")
_ROLE = re.compile(r":[a-z:]+:`~?([^`<]*?)\s*(?:<[^`]*>)?`")
_FIELDS = re.compile(
    r"\n\s*(?::param|:return|:rtype|:raise|>>>|---|===|#|- (?:Parameter|Returns|Throws)"
    r"|Parameters\b|Args:|Arguments:|Returns|Examples?:)|(?:^|\n)\s*[@\\]\w+"
)
_REMARK = re.compile(
    r"(?:TODO|FIXME|XXX|HACK|NOTE|noqa|type:|pylint|eslint|nolint)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Headed:
    """A section: `text[start:body]` are its headings, `text[body:end]` is what they head.

    Attributes:
        names: its headings without markup, outermost first; none before the first heading.
    """

    names: tuple[str, ...]
    start: int
    body: int
    end: int


@dataclass(frozen=True, slots=True)
class Documented:
    """A function or method of source code.

    Attributes:
        name: without what it is qualified by.
        query: the first paragraph of its documentation as one line; "" if there is none that could
            be asked.
        start: where its signature begins, after decorators and the comment above.
        end: one past its last character.
        doc: (start, end) of its documentation, which may stand before `start`, or None.
    """

    name: str
    query: str
    start: int
    end: int
    doc: tuple[int, int] | None


def newlines(text: str) -> str:
    """The text with `\\n` for `\\r\\n` and `\\r`."""
    return _NEWLINE.sub("\n", text)


def read(document: Document) -> tuple[str, Outline]:
    """A document's text with `\\n` between its lines, and that text's structure."""
    text = newlines(document.text)
    return text, outline_of(text, document.metadata)


def headed(text: str, outline: Outline) -> Iterator[Headed]:
    """The sections of a text, in order, the one before the first heading included.

    A heading that a deeper one follows at once shares a section with it.
    """
    waiting: list[Section] = []
    for section in outline.sections or [Section("", 0, 0, 0, len(text))]:
        if waiting and waiting[-1].level >= section.level:
            yield _headed(waiting)
            waiting = []
        waiting.append(section)
        if section.level == 0 or text[section.body : section.end].strip():
            yield _headed(waiting)
            waiting = []
    if waiting:
        yield _headed(waiting)


def _headed(sections: Sequence[Section]) -> Headed:
    names = tuple(section.heading for section in sections if section.level)
    return Headed(names, sections[0].start, sections[-1].body, sections[-1].end)


def documented(text: str, outline: Outline) -> Iterator[Documented]:
    """Functions and methods of source code, in order; those within functions are part of them."""
    done = 0
    for block in outline.blocks:
        if block.kind != "definition" or block.start < done or not _is_function(block):
            continue
        done = block.end
        head = block.start if block.head is None else block.head
        # A comment above a function of Python is a remark; what documents it is its docstring.
        documents = block.doc and (block.language != "python" or block.doc[0] > head)
        query = _query(text[slice(*block.doc)]) if block.doc and documents else ""
        yield Documented(block.name.rpartition(".")[2], query, head, block.end, block.doc)


def _is_function(block: Block) -> bool:
    return not _HOLDS_OTHERS.match(block.signature) and bool(_FUNCTION.match(block.signature))


def _query(written: str) -> str:
    """The first paragraph of a docstring or comment as one line, or "" if it cannot be asked."""
    string = _STRING.fullmatch(written)
    words = cleandoc(_ESCAPE.sub(_unescaped, string[2])) if string else _plain(written)
    paragraph = BLANK_LINES.split(words.strip())[0]
    paragraph = _FIELDS.split(paragraph)[0]
    query = " ".join(_ROLE.sub(r"\1", paragraph).replace("`", "").split())
    fits = len(query.split()) >= 4 and len(query) <= QUERY_CHARS
    return query if fits and not _REMARK.match(query) else ""


def _unescaped(escape: re.Match[str]) -> str:
    return {"n": "\n", "t": "\t", "\n": ""}.get(escape[1], escape[1])


def _plain(comment: str) -> str:
    """A comment without what marks it as one, and without markup."""
    text = _TAG.sub("", _BREAK.sub(" ", _MARKS.sub("", comment)))
    return _LINK.sub(_words_of_link, text)


def _words_of_link(link: re.Match[str]) -> str:
    """What a link shows: of `{@link Target words}` and `[[Target|words]]` the words."""
    shown = (link[1] or link[2] or "").split("|")[-1].split(None, 1)
    return shown[-1] if shown else ""
