"""What was found in a syntax tree, as an outline: definitions by their qualified names, cuts."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from retrieval.documents.formats.code.grammar import Definition, Found, Span, outer_first
from retrieval.documents.outline import Block, Outline, Part

_MOST_NAME = 200
_MOST_SIGNATURE = 500
"""Characters; longer ones end with an ellipsis."""
_MOST_NESTED = 100
"""Definitions within each other that somebody may have written."""
_MOST_IMPORTS = 64
_DEEPEST = 6
"""Statements that stand deeper are cut at like those of this depth."""

_SPACE = re.compile(r"\s*")
_SEPARATOR = re.compile(r"\s*(?:::?|[\\.])\s*")
_OF_TYPES = re.compile(r"(?<!operator)<[^<>=]*>(?=\s*(?:::|\.|$))")
_OPERATOR = re.compile(
    r"((?:[^(]*::)?)\s*operator(?:\s*(\(\s*\)|\"\"\s*\w+|[^\w\s(]+)|(\s+[^()]+))"
)
"""What it is of; a sign; words: a type, `new[]`."""
_PARAMETERS = re.compile(r"[(\[)={]")
"""What ends a declared name, an initial value included."""
_AFTER_TYPE = re.compile(r"(?:(?<=\w)\s+|(?<=[>*&])\s*)(?=[^\W\d])")
"""Where a name begins after a type: with a macro before it the grammar takes both for the name."""
_TEST = re.compile(r"[A-Z\d_]*TEST[A-Z\d_]*\s*\(\s*(?!void\b)(\w+(?:\s*,\s*\w+)*)\s*\)")
"""A macro that declares a test by its suite and name, such as `TEST_F(Boats, Sail)`."""
_NOISE = re.compile(r"^(?:module\.)?exports\.|^(?:this|self)\.|\.prototype(?=\.)|^#")
"""What may stand before a name without being part of it."""
_OPENED = re.compile(r"(?<=[(\[<])\s*\n\s*|,?\s*\n\s*(?=[)\]>])")
"""Line breaks right inside brackets, with the comma that only they explain."""
_BODY_MARK = re.compile(r"(?:\s*(?:=>|[{:=,;]))+\s*$|(?<=[;)])\s*end$")
_QUOTED = re.compile(r"([\"'`])(.*)\1", re.DOTALL)
_PART = re.compile(
    r"\s*(?:(?P<plain>[^\s.\"`'\[\]]+)|\"(?P<double>[^\"]*)\"|`(?P<back>[^`]*)`"
    r"|\[(?P<bracketed>[^\[\]]*)\])\s*(?:\.(?!$)|$)"
)
"""Of a name with dots, which may be quoted."""
_BETWEEN_WORDS = re.compile(r"(?<=\w)\s+(?=\w)")
_CALL = re.compile(r"[\w$]+[\s(\"'`]")
_LOADED = re.compile(
    r"(?:require|require_relative|import|load|include)[\s(]*[\"'](.+?)[\"']|import\s+([\w.]+)"
)
_EVERY = re.compile(r"(?<=\w)\.[*_]?$")
"""The end of `import a.*`."""
_LEADS_IN = re.compile(r"(?!#)[^\n({\[;]*(?:\n[ \t]*)?")
"""What may stand between the start of a statement and that of the definition in it."""
_CLOSED = re.compile(r"[\s;)]*")
"""What may stand between their ends."""


def outline_by(text: str, found: Found, language: str) -> Outline | None:
    """The outline of source code; None if its definitions are nested beyond belief."""
    above = _Above(text, found)
    definitions = _nested(text, found, above, language)
    if definitions is None:
        return None
    statements = _statements(found.statements, above, definitions)
    return Outline(
        blocks=[one.block for one in definitions],
        parts=_parts(definitions, statements),
        breaks=_breaks(text, definitions, statements),
        sentences=False,
    )


def imports_of(text: str, found: Found) -> list[str]:
    """Names of the modules that source code imports, each once, in order, no more than 64."""
    names: dict[str, None] = {}
    for start, end in found.imports:
        name = text[start:end]
        if _CALL.match(name):
            loaded = _LOADED.match(name)
            name = loaded[1] or loaded[2] if loaded else ""
        name = _EVERY.sub("", "".join(_unquoted(name).strip("<>").split()))[:_MOST_NAME]
        if name and len(names) < _MOST_IMPORTS:
            names[name] = None
    return list(names)


class _Above:
    """What stands right above a statement and belongs to it: comments, decorators, annotations.

    A blank line may stand after a decorator or a comment for a documentation generator.
    """

    def __init__(self, text: str, found: Found) -> None:
        self._text = text
        self._before: dict[int, Span] = {}
        self._starts: dict[int, int] = {}  # those found, for each line of a long run of comments
        self._pieces: dict[int, int] = {}  # where what follows one begins: where it begins
        self._comments = set(found.comments)
        for pieces, apart in ((found.comments, False), (found.attributes, True)):
            for start, end in pieces:
                space = _space_after(text, end)
                self._pieces.setdefault(space, start)
                most = 2 if apart or text.startswith("/**", start) else 1
                if text.count("\n", end, space) <= most and self._leads(text, start):
                    self._before.setdefault(space, (start, end))

    def start(self, at: int) -> int:
        """Where what belongs to the statement at a character begins."""
        passed: list[int] = []
        while at in self._before and at not in self._starts:
            passed.append(at)
            at = self._before[at][0]
        first = self._starts.get(at, at)
        self._starts |= dict.fromkeys(passed, first)
        return first

    def comment(self, at: int) -> Span | None:
        """The comments above the statement at a character, from the first to the last."""
        start = end = -1
        while at in self._before:
            piece = self._before[at]
            at = piece[0]
            if piece in self._comments:
                start, end = piece[0], piece[1] if end < 0 else end
        return (start, end) if end >= 0 else None

    def begins_line(self, at: int) -> bool:
        """Whether nothing but comments, decorators and annotations stands before it on its line."""
        line = self._text.rfind("\n", 0, at) + 1
        while at > line and at in self._pieces:
            at = self._pieces[at]
        return at <= line or not self._text[line:at].strip()

    def _leads(self, text: str, start: int) -> bool:
        """Whether nothing but others of its kind stand before it on its line."""
        return _is_first(text, start) or start in self._before


def _is_first(text: str, at: int) -> bool:
    return not text[text.rfind("\n", 0, at) + 1 : at].strip()


def _space_after(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None
    return match.end()


@dataclass(frozen=True, slots=True)
class _Nested:
    """A definition as a block, how many others are around it, whether it begins a line."""

    block: Block
    depth: int
    first: bool


def _nested(text: str, found: Found, above: _Above, language: str) -> list[_Nested] | None:
    """All definitions in order, or None if they are nested beyond belief."""
    made: list[_Nested] = []
    around: list[_Nested] = []
    leading = _Leading(text, found)
    comments = [start for start, _ in found.comments]
    imports = set(found.imports)
    before_head = dict(found.comments) | dict(found.attributes)
    last = -1
    for definition in found.definitions:
        if definition.body in imports:  # const fs = require("fs")
            continue
        span = leading.around(definition.span)
        if text.find("\n", *span) < 0 and not above.begins_line(span[0]):
            continue
        start = above.start(span[0])
        while around and around[-1].block.end <= span[0]:
            around.pop()
        # What two claim (a comment between brackets, a line of several) the first has.
        if around:
            start = max(start, around[-1].block.start)
        if start <= last:
            start = span[0]
        if start <= last:
            start = definition.span[0]
        if start <= last or (around and span[1] > around[-1].block.end):
            continue
        last = start
        if len(around) >= _MOST_NESTED:
            return None
        head = span[0]
        while head in before_head:
            head = _space_after(text, before_head[head])
        name = _name(text, definition, language)
        if around and around[-1].block.name:
            name = f"{around[-1].block.name}.{name}"
        block = Block(
            "definition",
            start,
            span[1],
            language=language,
            name=name[:_MOST_NAME],
            signature=_signature(text, definition, head, found, comments),
            doc=definition.doc or above.comment(span[0]),
            head=head,
        )
        first = _is_first(text, start)
        made.append(_Nested(block, len(around), first))
        around.append(made[-1])
    return _apart(text, made)


def _apart(text: str, made: list[_Nested]) -> list[_Nested]:
    """Definitions that end where the comment above the next one begins, which some hold."""
    begun: list[int] = []  # by depth: where the next definition that is no deeper begins
    for at in range(len(made) - 1, -1, -1):
        block, depth = made[at].block, made[at].depth
        following = begun[min(depth, len(begun) - 1)] if begun else len(text)
        if block.end > following:
            end = block.start + len(text[block.start : following].rstrip())
            made[at] = replace(made[at], block=replace(block, end=end))
        begun = [*begun[:depth], *(following,) * (depth - len(begun)), block.start]
    return made


class _Leading:
    """Statements that lead in the definition in them (`export`, `template <...>`), asked in order.

    What leads it in has no brackets, beside decorators, and no deeper line.
    """

    def __init__(self, text: str, found: Found) -> None:
        self._text = text
        self._spans = sorted([*found.statements, *found.transparent], key=outer_first)
        self._attributes = dict(found.attributes)
        self._next = 0
        self._open: list[Span] = []

    def around(self, span: Span) -> Span:
        """The span of a definition with the statement that no definition before it had."""
        while self._next < len(self._spans) and self._spans[self._next][0] <= span[0]:
            statement = self._spans[self._next]
            self._next += 1
            while self._open and self._open[-1][1] <= statement[0]:
                self._open.pop()
            self._open.append(statement)
        around = (one for one in self._open if one[1] >= span[1] and self._leads(one, span))
        own = next(around, None)
        if own is None:
            return span
        self._open.remove(own)
        return own[0], own[1] if _CLOSED.fullmatch(self._text, span[1], own[1]) else span[1]

    def _leads(self, statement: Span, span: Span) -> bool:
        start, text = statement[0], self._text
        while start in self._attributes:
            start = _space_after(text, self._attributes[start])
        if start >= span[0]:
            return start == span[0]
        if not _LEADS_IN.fullmatch(text, start, span[0]):
            return False
        return text.find("\n", start, span[0]) < 0 or _column(text, start) == _column(text, span[0])


def _column(text: str, at: int) -> int:
    return at - text.rfind("\n", 0, at)


def _name(text: str, definition: Definition, language: str) -> str:
    said = text[slice(*definition.name)]
    if definition.kind == "key":
        return " ".join(_unquoted(said).split())
    if definition.kind == "declarator":
        name = _declared(said)
    elif quoted := _quoted_parts(said, brackets=language == "sql"):
        name = quoted
    elif _QUOTED.fullmatch(said):
        name = " ".join(_unquoted(said).split())
    else:
        name = "".join(_BETWEEN_WORDS.sub("\0", said).split()).replace("\0", " ")
    if definition.receiver:
        name = f"{text[slice(*definition.receiver)]}.{name}"
    return _SEPARATOR.sub(".", _NOISE.sub("", _without_types(name))).strip(".")


def _quoted_parts(said: str, *, brackets: bool) -> str:
    """A name of which parts are quoted, without the quotes; "" of any other."""
    parts: list[str] = []
    kinds: set[str | None] = set()
    at = 0
    while at < len(said) and (part := _PART.match(said, at)):
        kinds.add(part.lastgroup)
        parts.append(" ".join((part[part.lastgroup or 0]).split()))
        at = part.end()
    if at < len(said) or kinds == {"plain"} or ("bracketed" in kinds and not brackets):
        return ""
    return ".".join(parts)


def _declared(declarator: str) -> str:
    """The name in a declarator as C and C++ have them."""
    if test := _TEST.fullmatch(declarator):
        return ".".join(part.strip() for part in test[1].split(","))
    declarator = " ".join(declarator.split()).lstrip("*&( ")
    if operator := _OPERATOR.match(declarator):
        of, sign, words = (" ".join((part or "").split()) for part in operator.groups())
        return f"{of}operator{sign.replace(' ', '')}{words and ' ' + words}"
    name = _without_types(_PARAMETERS.split(declarator)[0].strip())
    return "".join(_AFTER_TYPE.split(name)[-1].split())


def _without_types(name: str) -> str:
    while (shorter := _OF_TYPES.sub("", name)) != name:
        name = shorter
    return name


def _unquoted(name: str) -> str:
    quoted = _QUOTED.fullmatch(name)
    return quoted[2] if quoted else name


def _signature(
    text: str, definition: Definition, start: int, found: Found, comments: Sequence[int]
) -> str:
    """A definition from its first keyword to its body on one line, without comments."""
    if definition.kind == "key":
        return ""
    end = definition.body[0] if definition.body else definition.span[1]
    kept = []
    for at in range(bisect_left(comments, start), bisect_left(comments, end)):
        comment = found.comments[at]
        kept.append(text[start : comment[0]])
        start = max(start, comment[1])
    kept.append(text[start : max(start, end)])
    signature = " ".join(_OPENED.sub("", "".join(kept)).split())
    signature = _BODY_MARK.sub("", signature).rstrip("; ")
    return signature if len(signature) <= _MOST_SIGNATURE else f"{signature[:_MOST_SIGNATURE]}…"


@dataclass(frozen=True, slots=True)
class _Statement:
    """A statement with what belongs to it, and how many definitions and others are around it."""

    start: int
    end: int
    depth: int


def _statements(
    spans: Sequence[Span], above: _Above, definitions: Sequence[_Nested]
) -> list[_Statement]:
    """All statements that are not definitions, in order."""
    own = {one.block.start for one in definitions}
    heads = [(start, end, above.start(start)) for start, end in spans]
    both = [(start, -end, head) for start, end, head in heads if head not in own]
    both += [(one.block.start, -one.block.end, -1) for one in definitions]
    ends: list[int] = []
    made: dict[int, _Statement] = {}
    for start, negative, head in sorted(both):
        while ends and ends[-1] <= start:
            ends.pop()
        if head >= 0:
            made.setdefault(head, _Statement(head, -negative, len(ends)))
        ends.append(-negative)
    return sorted(made.values(), key=lambda one: one.start)


def _breaks(
    text: str, definitions: Sequence[_Nested], statements: Sequence[_Statement]
) -> tuple[tuple[int, ...], ...]:
    """Where a long part is cut: the outermost first; definitions, then after blank lines."""
    kinds: dict[tuple[int, int], list[int]] = {}
    for one in (one for one in definitions if one.first):
        kinds.setdefault((min(one.depth, _DEEPEST), 0), []).append(one.block.start)
    for statement in statements:
        before = text.rfind("\n", 0, statement.start)
        blank = before > 0 and not text[text.rfind("\n", 0, before) + 1 : before].strip()
        kind = (min(statement.depth, _DEEPEST), 1 if blank else 2)
        kinds.setdefault(kind, []).append(statement.start)
    return tuple(tuple(sorted(kinds[kind])) for kind in sorted(kinds))


def _parts(definitions: Sequence[_Nested], statements: Sequence[_Statement]) -> list[Part]:
    """Definitions that none is around, and what stands between them.

    A statement whose first line leads to a definition (`if a:`, `const (`) begins with it.
    """
    outer = [one.block for one in definitions if one.depth == 0 and one.first]
    begun = [statement.start for statement in statements]
    starts = {0}
    last = 0
    for block, following in zip_longest(outer, (block.start for block in outer[1:])):
        start = block.start
        for at in range(bisect_left(begun, start) - 1, -1, -1):
            if begun[at] < last or statements[at].end <= start:
                break
            start = begun[at]
        starts.add(start)
        last = block.end
        at = bisect_left(begun, last)
        if at < len(begun) and (following is None or begun[at] < following):
            starts.add(begun[at])
    return [Part(start, 1) for start in sorted(starts)]
