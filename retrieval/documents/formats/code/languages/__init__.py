"""Languages that are read by their grammar: one small module each, named like the language.

Such a module has a `GRAMMAR`. A language without one is read by its layout.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from retrieval.documents.formats.code.grammar import Grammar


@cache
def grammar_of(language: str) -> Grammar | None:
    """The grammar of a language of `formats.languages`, or None."""
    if language not in known():
        return None
    found: Grammar = import_module(f"{__name__}.{language}").GRAMMAR
    return found


@cache
def known() -> frozenset[str]:
    """Languages that have a module here."""
    return frozenset(module.name for module in iter_modules(__path__))
