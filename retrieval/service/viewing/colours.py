"""Code as pieces of a few kinds, by Pygments' lexers."""

from __future__ import annotations

from typing import Any

Piece = tuple[int, int, str]
"""Start and end in characters, and the kind."""

KINDS = {
    "comment": "Comment",
    "string": "Literal.String",
    "number": "Literal.Number",
    "keyword": "Keyword",
    "name": "Name.Function",
    "type": "Name.Class",
}
"""Kinds of pieces and the token types of Pygments; `_MORE` has further types."""

_MORE = {
    "Operator.Word": "keyword",
    "Name.Tag": "keyword",
    "Keyword.Type": "type",
    "Name.Builtin": "type",
    "Name.Exception": "type",
    "Name.Decorator": "name",
    "Name.Attribute": "name",
}


def colours(data: bytes, language: str, path: str) -> list[Piece]:
    """The pieces of a text that have a kind, in order; none if there is no lexer for the language.

    Args:
        data: the text, in UTF-8.
        language: name of the language, as in documents' metadata, or "".
        path: the file's path, which is used if the language is unknown.
    """
    text = data.decode("utf-8", "surrogatepass")
    lexer = _lexer(language, path)
    return [] if lexer is None else pieces(text, lexer)


def pieces(text: str, lexer: Any) -> list[Piece]:
    """The pieces that a lexer finds."""
    found: list[Piece] = []
    for start, token, value in lexer.get_tokens_unprocessed(text):
        kind = _kind(token)
        end = start + len(value)
        if not kind or not value.strip():
            continue
        if found and found[-1][2] == kind and found[-1][1] == start:
            found[-1] = (found[-1][0], end, kind)
        else:
            found.append((start, end, kind))
    return found


def are_pieces(value: Any) -> bool:
    """Whether this is a list of pieces, as JSON: a worker may send anything."""
    return isinstance(value, list) and all(
        isinstance(one, list)
        and [type(part) for part in one] == [int, int, str]
        and 0 <= one[0] <= one[1]
        and one[2] in KINDS
        for one in value
    )


def lexer_named(language: str) -> Any:
    """The lexer of a language, by one of its names; None if there is none."""
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        return get_lexer_by_name(language, stripnl=False) if language else None
    except ClassNotFound:
        return None


def _lexer(language: str, path: str) -> Any:
    from pygments.lexers import get_lexer_for_filename
    from pygments.util import ClassNotFound

    if (named := lexer_named(language)) is not None:
        return named
    try:
        return get_lexer_for_filename(path.rpartition("/")[2])
    except ClassNotFound:
        return None


def _kind(token: Any) -> str | None:
    """Our kind of a token type or of its nearest supertype."""
    while token:
        name = str(token).removeprefix("Token.")
        if name in _BY_TOKEN:
            return _BY_TOKEN[name]
        token = token.parent
    return None


_BY_TOKEN = {token: kind for kind, token in KINDS.items()} | _MORE
