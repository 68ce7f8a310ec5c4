"""What the tests of all languages ask of an outline and its passages."""

from __future__ import annotations

from bisect import bisect_right

from retrieval.documents import chunk
from retrieval.documents.context import Contexts
from retrieval.documents.formats import Parsed, Source, format_of
from retrieval.documents.outline import Block, Outline
from retrieval.types import Context, Document
from tests.documents.tokenizers_for_tests import by_pattern

WORDS = by_pattern(r"\w+|[^\w\s]")


def parsed(text: str, name: str) -> Parsed:
    """A source file as it is read; its outline holds what any must."""
    found = format_of(name).parse(text.encode(), Source(name))
    assert isinstance(found, Parsed) and found.text == text
    check(found.outline, text)
    return found


def check(outline: Outline, text: str) -> None:
    """Blocks nest, in order, within the text; cuts and parts begin at what is to be read."""
    around: list[Block] = []
    for block in outline.blocks:
        assert 0 <= block.start < block.end <= len(text)
        assert not text[block.start].isspace() and not text[block.end - 1].isspace()
        assert "\n" not in block.signature and "\n" not in block.name
        while around and around[-1].end <= block.start:
            around.pop()
        if around:
            assert around[-1].start < block.start and block.end <= around[-1].end, block
        if block.doc:
            assert 0 <= block.doc[0] < block.doc[1] <= len(text)
        around.append(block)
    starts = [part.start for part in outline.parts]
    assert starts == sorted(set(starts)) and starts[0] == 0
    for cuts in (starts, *outline.breaks):
        assert list(cuts) == sorted(set(cuts))
        assert all(0 <= at < len(text) for at in cuts if at)
    for cuts in (starts[1:], *outline.breaks):
        for at in cuts:
            assert not text[at].isspace()
            assert not text[text.rfind("\n", 0, at) + 1 : at].strip() or at in starts


def holds(
    text: str,
    name: str,
    *,
    definitions: list[tuple[str, str]],
    parts: list[str],
    docs: dict[str, str] | None = None,
    title: str = "",
    imports: list[str] | None = None,
) -> None:
    """Assert what a file holds: (qualified name, signature), the first line of each part, ..."""
    found = parsed(text, name)
    assert [(block.name, block.signature) for block in found.outline.blocks] == definitions
    assert [text[part.start :].split("\n")[0] for part in found.outline.parts] == parts
    documented = {block.name: block.doc for block in found.outline.blocks[::-1] if block.doc}
    assert {name: text[slice(*doc)] for name, doc in documented.items()} == (docs or {})
    assert (found.title, found.metadata.get("imports", [])) == (title, imports or [])


def named(outline: Outline) -> dict[str, str]:
    """Signatures by qualified name."""
    return {block.name: block.signature for block in outline.blocks}


def doc(outline: Outline, text: str, name: str) -> str:
    """What documents a definition."""
    span = next(block.doc for block in outline.blocks if block.name == name)
    return text[slice(*span)] if span else ""


def contexts(text: str, name: str, max_tokens: int = 64) -> list[tuple[str, Context]]:
    """The passages of a source file, and what each stands in."""
    found = parsed(text, name)
    document = Document(name, text, metadata=found.metadata)
    return [
        (text[passage.start : passage.end], passage.context)
        for passage in chunk(document, WORDS, outline=found.outline, max_tokens=max_tokens)
    ]


def symbols_by_line(text: str, name: str, max_tokens: int = 64) -> list[str]:
    """For each line the symbol of the passage that its first word is in."""
    found = parsed(text, name)
    document = Document(name, text, metadata=found.metadata)
    passages = chunk(document, WORDS, outline=found.outline, max_tokens=max_tokens)
    starts = [passage.start for passage in passages]
    symbols = []
    offset = 0
    for line in text.split("\n"):
        at = offset + len(line) - len(line.lstrip())
        symbols.append(passages[bisect_right(starts, at) - 1].context.symbol)
        offset += len(line) + 1
    return symbols


def context_of(text: str, name: str, part: str) -> Context:
    """The context of a span of the text that is written out."""
    start = text.index(part)
    return Contexts(text, parsed(text, name).outline).context(start, start + len(part))
