"""Whether a text that came without a name is source code, told by how it begins and a grammar.

What is first after comments has to begin as a language does, and its grammar has to find
definitions with a body in most of the text: prose, and prose with code in it, is none. Nor is what
should not be parsed in this process, see risk.py.
"""

from __future__ import annotations

import re
from functools import cache

from retrieval.documents.formats.code.grammar import Found, Grammar, covered, find
from retrieval.documents.formats.code.languages import grammar_of, known
from retrieval.documents.formats.code.risk import risk_of

_HEAD_CHARACTERS = 4_000
_LEAST_DEFINED, _MOST_ERRORS = 0.6, 0.1
"""The share of a text in definitions, and in errors outside definitions."""

_COMMENTS = re.compile(
    r"\s*(?:(?:#(?!!|\s*(?:include|define|if))|//|--)[^\n]*\n\s*|/\*[\s\S]*?\*/\s*)*"
)


def language_of_text(text: str) -> tuple[str, Found] | None:
    """The language that a text is source code in, and what it holds; None for anything else."""
    head = text[:_HEAD_CHARACTERS].replace("\r\n", "\n")
    comments = _COMMENTS.match(head)
    start = comments.end() if comments else 0
    likely = [grammar for pattern, grammar in _beginnings() if pattern.match(head, start)]
    if not likely or risk_of(text.encode("utf-8", "surrogatepass")) != "none":
        return None
    best: tuple[int, str, Found] | None = None
    for grammar in likely:
        if found := find(text, [grammar]):
            errors = _errors(text, found)
            if errors is not None and (best is None or errors < best[0]):
                best = errors, grammar.language, found
                if not errors:
                    break
    return best[1:] if best else None


@cache
def _beginnings() -> tuple[tuple[re.Pattern[str], Grammar], ...]:
    grammars = filter(None, map(grammar_of, sorted(known())))
    return tuple((re.compile(one.begins, re.MULTILINE), one) for one in grammars if one.begins)


def _errors(text: str, found: Found) -> int | None:
    """How many characters are in errors; None if it is not source code in this language."""
    definitions = [one.span for one in found.definitions if one.body] + found.attributes
    defined = covered(definitions)
    missed = covered([*found.errors, *definitions]) - defined
    if defined < _LEAST_DEFINED * len(text.strip()) or missed > _MOST_ERRORS * len(text):
        return None
    return covered(found.errors)
