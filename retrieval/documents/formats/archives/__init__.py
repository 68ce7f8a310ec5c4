"""Archives: each file in one a document of its own, by its format; read where the user asks for it.

members   the files of a zip, of a tar, of a packed file, one by one within limits
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from retrieval.documents.decoding import HEAD_BYTES, is_binary
from retrieval.documents.formats.archives.members import MAX_MEMBER, Budget, Member, members_of
from retrieval.documents.formats.format import Format, Parsed, Source
from retrieval.documents.formats.languages import BINARY_EXTENSIONS, extension_of
from retrieval.documents.formats.table import format_of
from retrieval.documents.outline import Mark
from retrieval.documents.roles import role_of
from retrieval.errors import DocumentError, MissingDependency

MAX_DEPTH = 3
"""So deep archives may lie in each other."""
MAX_PROBLEMS = 20
"""More are counted."""

_NAMED = 5
_HIDDEN = ("__MACOSX",)


@dataclass(slots=True)
class _Found:
    """What an archive held beside what it gave, those in it included.

    Attributes:
        budget: what it may still unpack.
        problems: one line each.
        members: files of any kind.
        isolated: whether files of isolated formats are read.
        passed_over: paths of those that are not.
    """

    budget: Budget
    isolated: bool = True
    problems: list[str] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    members: int = 0


def _parse(data: bytes, source: Source) -> Iterator[Parsed]:
    yield from _all(data, source, _Found(Budget()))


def _parse_without_isolated(data: bytes, source: Source) -> Iterator[Parsed]:
    """`_parse`, but for files of isolated formats: one of them ended the process that read it."""
    yield from _all(data, source, _Found(Budget(), isolated=False))


def _all(data: bytes, source: Source, found: _Found) -> Iterator[Parsed]:
    last: Parsed | None = None
    for made in _documents(data, source, found, "", 0):
        if last is not None:
            yield last
        last = made
    if found.passed_over:
        named = ", ".join(found.passed_over[:_NAMED])
        more = len(found.passed_over) - _NAMED
        named += f" and {more:,} more" if more > 0 else ""
        found.problems.append(f"not read, since one of them ended its parser: {named}")
    if last is None:
        if found.problems:
            raise DocumentError(found.problems[0])
        raise DocumentError(f"holds no file that can be read, of {found.members:,} in it")
    yield replace(last, problems=(*last.problems, *_few(found.problems)))


def _documents(
    data: bytes, source: Source, found: _Found, within: str, depth: int
) -> Iterator[Parsed]:
    """The documents of the files of an archive.

    Args:
        data: its bytes.
        source: the archive.
        found: told of all else.
        within: path of the archive in the outermost one, with "!/" behind it; "" for that itself.
        depth: how many archives it lies in.
    """
    try:
        for member in members_of(data, source.id, found.budget):
            found.members += 1
            place = within + member.path
            if member.problem:
                found.problems.append(f"{place}: {member.problem}")
            elif _is_shown(member.path):
                yield from _member(member, source, found, place, depth)
    except DocumentError as error:
        found.problems.append(f"{within.removesuffix('!/')}: {error}" if within else str(error))


def _member(
    member: Member, source: Source, found: _Found, place: str, depth: int
) -> Iterator[Parsed]:
    content = member.content
    format = format_of(member.path, content[:HEAD_BYTES])
    if not content or (
        not format.binary and (extension_of(member.path) in BINARY_EXTENSIONS or is_binary(content))
    ):
        return
    id = f"{source.id}!/{member.path}"
    if format.isolated and not format.archive and not found.isolated:
        found.passed_over.append(place)
        return
    if format.archive:
        if depth + 1 >= MAX_DEPTH:
            found.problems.append(f"{place}: is an archive in {depth + 1} others; not read")
            return
        yield from _documents(content, replace(source, id=id), found, f"{place}!/", depth + 1)
        return
    try:
        made = format.parse(content, replace(source, id=id))
        parsed = [made] if isinstance(made, Parsed) else list(made)
    except (DocumentError, MissingDependency) as error:
        found.problems.append(f"{place}: {error}")
        return
    except Exception as error:  # of a parser of foreign bytes: others are read
        found.problems.append(f"{place}: its parser failed ({type(error).__name__}: {error})")
        return
    for one in parsed:
        language = str(one.metadata.get("language") or "")
        role = role_of(_unpacked(id), format.name, language, content[:HEAD_BYTES])
        marks = [Mark(0, "part", place), *one.outline.marks]
        yield replace(
            one,
            metadata={**({"role": role} if role else {}), **one.metadata, "member": place},
            outline=replace(one.outline, marks=marks),
            id=one.id or id,
            format=one.format or format.name,
            problems=tuple(f"{place}: {problem.lstrip(': ')}" for problem in one.problems),
        )


def _unpacked(id: str) -> str:
    """Where a file would stand if its archives were unpacked where they lie."""
    *archives, path = id.split("!/")
    return "".join(one[: one.rfind("/") + 1] for one in archives) + path


def _is_shown(path: str) -> bool:
    """Whether a file is one that a folder would show."""
    return not any(part.startswith(".") or part in _HIDDEN for part in path.split("/"))


def _few(problems: list[str]) -> list[str]:
    rest = len(problems) - MAX_PROBLEMS
    return problems[:MAX_PROBLEMS] + ([f"and {rest:,} more of its files"] if rest > 0 else [])


FORMATS = (
    Format(
        "archive",
        2,
        _parse,
        (
            *(".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"),
            *(".gz", ".bz2", ".xz"),
        ),
        binary=True,
        isolated=True,
        without_files=_parse_without_isolated,
        archive=True,
    ),
)

__all__ = ["FORMATS", "MAX_DEPTH", "MAX_MEMBER"]
