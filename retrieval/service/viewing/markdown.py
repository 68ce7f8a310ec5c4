"""Markdown as a tree of a few elements, from which a page can be built without any HTML.

A node is a text, or `[tag, attributes, children]`. `TAGS` has all tags; the attributes are `lines`,
the first and last line of a block's source, from 1; `href` of an external link, and `kind` of a
piece of code. HTML in the text is shown as text, and pictures as their alternative text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from retrieval.documents.formats import front_matter
from retrieval.service.viewing.colours import KINDS, lexer_named, pieces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it.token import Token

Node = str | list[Any]

TAGS = frozenset(
    {"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "hr", "pre", "code"}
    | {"span", "em", "strong", "s", "a", "br", "img"}
    | {"table", "thead", "tbody", "tr", "th", "td"}
)
SCHEMES = frozenset({"http", "https", "mailto"})
"""Schemes of links that can be followed."""


def nodes(data: bytes) -> list[Node]:
    """The tree of a text in UTF-8."""
    from markdown_it import MarkdownIt

    text = data.decode("utf-8", "surrogatepass")
    front = text[: front_matter.end_of(text)]
    # Blank lines in place of the front matter keep line numbers.
    body = "\n" * front.count("\n") + text[len(front) :]
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    found = _tree(parser.parse(body))
    if front:
        lines = {"lines": [1, front.rstrip().count("\n") + 1]}
        found.insert(0, ["pre", lines, [front.rstrip()]])
    return found


def are_nodes(value: Any) -> bool:
    """Whether this is a list of nodes, as from `nodes`: a worker may send anything."""
    return isinstance(value, list) and all(_is_node(one) for one in value)


def _is_node(value: Any) -> bool:
    if isinstance(value, str):
        return True
    if not (isinstance(value, list) and len(value) == 3 and isinstance(value[1], dict)):
        return False
    tag, attributes, children = value
    checks = {"lines": _are_lines, "href": _is_link, "kind": _is_kind}
    return (
        tag in TAGS
        and all(name in checks and checks[name](one) for name, one in attributes.items())
        and are_nodes(children)
    )


def _are_lines(value: Any) -> bool:
    return isinstance(value, list) and [type(one) for one in value] == [int, int]


def _is_link(value: Any) -> bool:
    return isinstance(value, str) and value.partition(":")[0].lower() in SCHEMES


def _is_kind(value: Any) -> bool:
    return isinstance(value, str) and value in KINDS


def _tree(tokens: Sequence[Token]) -> list[Node]:
    root: list[Node] = []
    within = [root]
    for token in tokens:
        here = within[-1]
        if token.type == "inline":
            here += _inline(token.children or [])
        elif token.type in ("fence", "code_block"):
            here.append(_code(token))
        elif token.hidden:  # the paragraph of an item of a tight list
            continue
        elif token.nesting < 0:
            within.pop()
        else:
            node: list[Any] = [token.tag, _lines(token), []]
            here.append(node)
            if token.nesting > 0:
                within.append(node[2])
    return root


def _inline(tokens: Sequence[Token]) -> list[Node]:
    root: list[Node] = []
    within = [root]
    for token in tokens:
        here = within[-1]
        if token.nesting < 0:
            within.pop()
        elif token.nesting > 0:
            node: list[Any] = [token.tag, _link(token) if token.tag == "a" else {}, []]
            here.append(node)
            within.append(node[2])
        elif token.type == "softbreak":
            here.append("\n")
        elif token.type == "hardbreak":
            here.append(["br", {}, []])
        elif token.type == "image":
            here.append(["img", {}, [token.content]])
        elif token.type == "code_inline":
            here.append(["code", {}, [token.content]])
        else:
            here.append(token.content)
    return root


def _code(token: Token) -> Node:
    words = token.info.split()
    lexer = lexer_named(words[0].lower()) if words else None
    text = token.content.removesuffix("\n")
    first = token.map[0] + (2 if token.type == "fence" else 1) if token.map else 1
    rows: list[list[Node]] = [[]]

    def add(piece: str, kind: str = "") -> None:
        for number, row in enumerate(piece.split("\n")):
            if number:
                rows.append([])
            if row:
                rows[-1].append(["span", {"kind": kind}, [row]] if kind else row)

    at = 0
    for start, end, kind in pieces(text, lexer) if lexer is not None else ():
        add(text[at:start])
        add(text[start:end], kind)
        at = end
    add(text[at:])
    lines: list[Node] = [
        ["span", {"lines": [number, number]}, row] for number, row in enumerate(rows, start=first)
    ]
    return ["pre", _lines(token), [["code", {}, lines]]]


def _lines(token: Token) -> dict[str, Any]:
    return {"lines": [token.map[0] + 1, max(token.map)]} if token.map else {}


def _link(token: Token) -> dict[str, Any]:
    address = str(token.attrs.get("href", ""))
    try:
        scheme = urlsplit(address).scheme.lower()
    except ValueError:
        return {}
    return {"href": address} if scheme in SCHEMES else {}
