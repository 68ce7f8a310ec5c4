"""Books (EPUB): chapters in the order in which they are read, headings by the table of contents.

Each chapter is read as HTML. What the table of contents names is a heading of the depth that it
has there, whatever the chapter makes of it; other headings stand below. The place is the chapter.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import unquote

from retrieval.documents.formats import html
from retrieval.documents.formats.builder import OutlineBuilder
from retrieval.documents.formats.format import Format, Parsed, Source, decoded, first_heading
from retrieval.documents.formats.office.package import Package, resolved
from retrieval.documents.formats.office.squeezed import Squeezed
from retrieval.documents.formats.office.xml_parts import Element, child, children, text_of
from retrieval.documents.outline import Heading, Mark, Outline, shifted
from retrieval.errors import DocumentError

_KIND = "an EPUB book"
_PAGES = frozenset({"application/xhtml+xml", "text/html", "application/x-dtbook+xml"})
_FONTS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
"""Algorithms that obfuscate embedded fonts: they do not mean that the text is encrypted."""
_MOST_LABELS = 20_000
_LONGEST_LABEL = 300

_OPENING = re.compile(r"<(pre|table)(?=[\s>])", re.IGNORECASE)
_WHITE = re.compile(r"\s+")
_ASIDES = re.compile(r"(</?)(?:aside|footer)(?=[\s>/])", re.IGNORECASE)
_BLOCK = re.compile(
    r"<(?:p|div|h[1-6]|ul|ol|dl|table|blockquote|pre|figure|figcaption|section|article|header|hr)"
    r"(?=[\s>/])|</(?:p|div|h[1-6]|ul|ol|dl|table|blockquote|figure|section|article)\s*>",
    re.IGNORECASE,
)
_LINE = re.compile(r"<(?:li|dt|dd|br)(?=[\s>/])", re.IGNORECASE)
_ROW = re.compile(r"<(?:tr|caption)(?=[\s>/])", re.IGNORECASE)
_ON_A_LINE = r"\n\g<0>"


@dataclass(frozen=True, slots=True)
class _Entry:
    """A line of the table of contents: its words, its depth from 1, the part that it leads to."""

    words: str
    depth: int
    part: str


@dataclass(frozen=True, slots=True)
class _Contents:
    """What a book's package file says of it.

    Attributes:
        parts: names of the pages, in the order in which they are read.
        entries: the table of contents.
        title: the book's.
        metadata: author, language, ...
    """

    parts: Sequence[str]
    entries: Sequence[_Entry]
    title: str
    metadata: dict[str, str]


def _contents(package: Package) -> _Contents:
    name = _package_file(package)
    tree = package.xml(name)
    folder = posixpath.dirname(name)
    manifest = {
        item.get("id", ""): item
        for item in children(child(tree, "opf:manifest"), "opf:item")
        if item.get("href")
    }
    spine = child(tree, "opf:spine")
    listed = [manifest.get(one.get("idref", "")) for one in children(spine, "opf:itemref")]
    pages = [item for item in listed or manifest.values() if item is not None]
    parts = [
        _target(folder, item.get("href", ""))
        for item in pages
        if item.get("media-type") in _PAGES and "nav" not in item.get("properties", "").split()
    ]
    known = {_target(folder, item.get("href", "")) for item in manifest.values()}
    entries = [
        entry
        for entry in _table_of_contents(package, folder, manifest, spine)
        if entry.part in known and entry.words
    ]
    fields: dict[str, list[str]] = {}
    for element in child(tree, "opf:metadata") or ():
        named = _FIELDS.get(element.tag)
        if named and (value := text_of(element)[:1000]):
            fields.setdefault(named, []).append(value)
    title = fields.pop("title", [""])[0]
    metadata = {
        key: ", ".join(values) if key in ("author", "subject") else values[0]
        for key, values in fields.items()
    }
    return _Contents([*dict.fromkeys(parts)], entries[:_MOST_LABELS], title, metadata)


_FIELDS = {
    "dc:title": "title",
    "dc:creator": "author",
    "dc:language": "language",
    "dc:subject": "subject",
    "dc:publisher": "publisher",
    "dc:date": "published",
}


def _package_file(package: Package) -> str:
    container = package.optional("META-INF/container.xml")
    for element in container.iter() if container is not None else ():
        if element.tag.endswith(":rootfile") and (path := element.get("full-path")):
            return resolved("", path)
    for name in package:
        if name.lower().endswith(".opf"):
            return name
    raise DocumentError(f"names no package file in META-INF/container.xml; {_KIND} was expected")


def _target(folder: str, reference: str) -> str:
    return resolved(folder, unquote(reference.partition("#")[0]))


def _table_of_contents(
    package: Package, folder: str, manifest: dict[str, Element], spine: Element | None
) -> Iterator[_Entry]:
    """The lines of the table of contents: EPUB 3's page of navigation, or else EPUB 2's NCX."""
    found: list[_Entry] = []
    for item in manifest.values():
        if "nav" in item.get("properties", "").split():
            name = _target(folder, item.get("href", ""))
            tree = package.optional(name)
            for nav in tree.iter("html:nav") if tree is not None else ():
                if "toc" in nav.get("epub:type", "toc").split():
                    found += _navigation(nav, posixpath.dirname(name), 0)
    if found:
        return iter(found)
    ncx = manifest.get(spine.get("toc", "") if spine is not None else "")
    if ncx is None:
        ncx = next((i for i in manifest.values() if "dtbncx" in i.get("media-type", "")), None)
    if ncx is None:
        return iter(())
    name = _target(folder, ncx.get("href", ""))
    points = child(package.optional(name), "ncx:navMap")
    return _points(points, posixpath.dirname(name), 1) if points is not None else iter(())


def _navigation(element: Element, folder: str, depth: int) -> Iterator[_Entry]:
    for one in element:
        if one.tag == "html:ol":
            yield from _navigation(one, folder, depth + 1)
        elif one.tag == "html:li":
            for part in one:
                if part.tag == "html:a":
                    target = _target(folder, part.get("href", ""))
                    yield _Entry(text_of(part)[:_LONGEST_LABEL], max(depth, 1), target)
                elif part.tag == "html:ol":
                    yield from _navigation(part, folder, depth + 1)
        elif one.tag not in ("html:h1", "html:h2"):
            yield from _navigation(one, folder, depth)


def _points(element: Element, folder: str, depth: int) -> Iterator[_Entry]:
    for point in children(element, "ncx:navPoint"):
        content = child(point, "ncx:content")
        target = _target(folder, content.get("src", "")) if content is not None else ""
        yield _Entry(text_of(child(point, "ncx:navLabel"))[:_LONGEST_LABEL], depth, target)
        yield from _points(point, folder, depth + 1)


class _Book:
    """A text that is put together chapter by chapter."""

    def __init__(self, entries: Sequence[_Entry]) -> None:
        self._entries: dict[str, list[_Entry]] = {}
        for entry in entries:
            self._entries.setdefault(entry.part, []).append(entry)
        self._pieces: list[str] = []
        self._length = 0
        self._headings: list[Heading] = []
        self._outlines: list[tuple[int, Outline]] = []
        self._marks: list[Mark] = []
        self._above = (0, 0)  # depth of the last entry, and the level that its page gives it

    def add(self, part: str, page: str) -> None:
        """Take in a page, by its part's name and its source."""
        text, _, outline = html.extract(_with_lines(page))
        squeezed = Squeezed(text)
        text, outline = squeezed.text, squeezed.outline(outline)
        entries = self._entries.get(part, [])
        if not text and not entries:
            return
        if self._pieces:
            self._put("\n\n")
        start = self._length
        if entries:
            self._marks.append(Mark(start, "part", entries[0].words))
        elif not self._marks:
            heading = next((s.heading for s in outline.sections if s.level), "")
            self._marks.append(Mark(start, "part", heading or posixpath.basename(part)))
        found = _found(text, outline, entries)
        if entries and entries[0] not in found.values():
            self._put(entries[0].words)
            self._headings.append(Heading(start, self._length, entries[0].depth, entries[0].words))
            self._above = entries[0].depth, 0
            if not text:
                return
            self._put("\n\n")
        by = self._length
        self._outlines.append((by, outline))
        self._put(text)
        levels = {s.start: s for s in outline.sections if s.level}
        for at in sorted({*levels, *found}):
            section, entry = levels.get(at), found.get(at)
            if entry is not None:
                self._above = entry.depth, section.level if section else 0
                line = text.find("\n", at)
                end = section.body if section else line if line >= 0 else len(text)
                words = " ".join(text[at:end].split())
                self._headings.append(Heading(by + at, by + end, entry.depth, words))
            elif section is not None:
                depth, named = self._above
                level = section.level if not depth else max(depth + section.level - named, 1)
                self._headings.append(Heading(by + at, by + section.body, level, section.heading))

    def _put(self, piece: str) -> None:
        self._pieces.append(piece)
        self._length += len(piece)

    def finish(self) -> tuple[str, Outline]:
        """The text and its outline."""
        builder = OutlineBuilder("".join(self._pieces))
        builder.headings = self._headings
        builder.tops = [heading.start for heading in self._headings]
        for by, outline in self._outlines:
            builder.blocks += [shifted(block, by) for block in outline.blocks]
            for known, more in zip(
                (builder.tops, builder.items, builder.rows), outline.breaks, strict=False
            ):
                known += [by + at for at in more]
        builder.marks = self._marks
        return builder.text, builder.outline()


def _found(text: str, outline: Outline, entries: Sequence[_Entry]) -> dict[int, _Entry]:
    """Where in a page the entries stand that lead to it: as a heading, or else as a line."""
    found: dict[int, _Entry] = {}
    headings = [(_same(s.heading), s.start) for s in outline.sections if s.level]
    lines: dict[str, int] = {}
    at = 0
    for line in text.split("\n"):
        if line.strip() and len(line) <= _LONGEST_LABEL:
            lines.setdefault(_same(line), at + len(line) - len(line.lstrip()))
        at += len(line) + 1
    begun = 0
    for entry in entries:
        words = _same(entry.words)
        for number in range(begun, len(headings)):
            if headings[number][0] == words:
                found[headings[number][1]] = entry
                begun = number + 1
                break
        else:
            if words in lines and lines[words] not in found:
                found[lines[words]] = entry
    return found


def _same(words: str) -> str:
    """Words as they are compared: without case, signs and white space at their ends."""
    return re.sub(r"[\W_]+", " ", words).strip().casefold()


def _with_lines(page: str) -> str:
    """A page's source with its blocks on lines of their own, and no line break within them.

    Of a table each row is a line.
    """
    pieces = _kept_apart(page)
    for number, piece in enumerate(pieces):
        if piece[:4].lower() == "<pre":
            pieces[number] = f"\n\n{piece}\n\n"
            continue
        piece = _ASIDES.sub(r"\1div", _WHITE.sub(" ", piece))
        if piece[:6].lower() == "<table":
            pieces[number] = f"\n\n{_ROW.sub(_ON_A_LINE, piece)}\n\n"
        else:
            pieces[number] = _LINE.sub(_ON_A_LINE, _BLOCK.sub(_apart, piece))
    return "".join(pieces)


def _kept_apart(page: str) -> list[str]:
    """A page cut into code, tables, and what stands between them."""
    pieces: list[str] = []
    at = 0
    while opening := _OPENING.search(page, at):
        closing = re.compile(rf"</{opening[1]}\s*>", re.IGNORECASE).search(page, opening.end())
        if closing is None:
            break
        pieces += [page[at : opening.start()], page[opening.start() : closing.end()]]
        at = closing.end()
    return [*pieces, page[at:]]


def _apart(tag: re.Match[str]) -> str:
    return f"{tag[0]}\n\n" if tag[0].startswith("</") else f"\n\n{tag[0]}"


def _refuse_protected(package: Package, parts: Sequence[str]) -> None:
    tree = package.optional("META-INF/encryption.xml")
    for data in tree.iter("enc:EncryptedData") if tree is not None else ():
        method = child(data, "enc:EncryptionMethod")
        if method is not None and method.get("Algorithm") in _FONTS:
            continue
        reference = child(data, "enc:CipherData", "enc:CipherReference")
        if reference is not None and _target("", reference.get("URI", "")) in parts:
            raise DocumentError(
                "is protected by DRM, and only its own reading program opens it; give a copy "
                "without protection to have it read"
            )


def _parse(data: bytes, source: Source) -> Parsed:
    package = Package(data, _KIND)
    contents = _contents(package)
    _refuse_protected(package, contents.parts)
    book = _Book(contents.entries)
    problems: list[str] = []
    for part in contents.parts:
        try:
            page = package.read(part)
        except DocumentError as error:
            if "refused" in str(error):
                raise
            problems.append(f"read without {part}: {error}")
            continue
        text, odd = decoded(page, replace(source, id=part), html=True)
        problems += [f"{part}: {one}" for one in odd]
        book.add(part, text)
    text, outline = book.finish()
    if not text:
        raise package.without_text()
    title = contents.title or first_heading(outline)
    problems += package.problems
    return Parsed(text, title, contents.metadata, outline, problems=tuple(problems))


FORMATS = (
    Format(
        "epub",
        4,
        _parse,
        (".epub",),
        sniff=lambda head: head.startswith(b"PK\3\4") and b"application/epub+zip" in head[:200],
        binary=True,
        isolated=True,
    ),
)
