"""Looking at the roots: which files are new or changed, which are unchanged, what is left out."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from retrieval.documents import (
    Discovery,
    JudgedFile,
    LeftOut,
    SourceFile,
    Stamp,
    discover,
    source_id,
)
from retrieval.documents.naming import relative_path
from retrieval.documents.walk import LeftOutType
from retrieval.sync.roots import Plan, is_under
from retrieval.sync.settings import Settings

_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Found:
    """What the walks of a plan found.

    Attributes:
        walks: the finished walks.
        files: new and changed files.
        unchanged: ids of unchanged files.
        roots: the roots to remember.
    """

    walks: Sequence[Discovery]
    files: Sequence[SourceFile]
    unchanged: Sequence[str]
    roots: Sequence[str]

    @property
    def places(self) -> list[str]:
        """Ids of the files and folders that were walked."""
        return [root for walk in self.walks for root in walk.roots]

    def met(self) -> Iterator[str]:
        """Ids of all files worth reading."""
        return chain(self.unchanged, (file.id for file in self.files))

    @property
    def problems(self) -> list[str]:
        """One line for each problem that the user should know about."""
        return [problem for walk in self.walks for problem in walk.problems]

    @property
    def skipped(self) -> dict[str, int]:
        """How many files and folders were left out, by reason."""
        counts: Counter[str] = Counter()
        for walk in self.walks:
            counts.update(walk.skipped)
        return dict(sorted(counts.items()))

    @property
    def left_out(self) -> dict[str, dict[str, LeftOutType]]:
        """What was left out, by reason and by type."""
        merged: dict[str, dict[str, LeftOutType]] = {}
        for walk in self.walks:
            for reason, types in walk.left_out.items():
                of_reason = merged.setdefault(reason, {})
                for type, one in types.items():
                    other = of_reason.get(type, LeftOutType(0, ()))
                    examples = (*other.examples, *one.examples)[:_EXAMPLES]
                    of_reason[type] = LeftOutType(other.count + one.count, examples)
        return merged


def look(
    plan: Plan,
    base: Path,
    settings: Settings,
    exclude: Sequence[Path],
    known: Mapping[str, Stamp],
    judged: Mapping[str, JudgedFile],
    on_left_out: Callable[[LeftOut], object] | None = None,
) -> Found:
    """Walk the roots of a plan.

    A root that the walk of another root reaches is not remembered separately; one in a folder that
    is hidden or ignored is.

    Args:
        plan: the roots.
        base: the folder that ids are relative to.
        settings: settings of the index: what is left out.
        exclude: more files and folders to leave out.
        known: files that are not opened if they match.
        judged: files that were left out for their content and are not opened again.
        on_left_out: called for everything that is left out.
    """
    walks: list[Discovery] = []
    files: list[SourceFile] = []
    unchanged: list[str] = []
    remembered = list(plan.roots)

    def walk(paths: Sequence[Path]) -> None:
        walks.append(
            discover(
                paths,
                base,
                exclude=exclude,
                max_bytes=settings.max_bytes,
                options=settings.walk,
                known=known,
                judged=judged,
                on_left_out=on_left_out,
            )
        )
        files.extend(walks[-1])
        unchanged.extend(walks[-1].unchanged)

    if plan.walked:
        walk(plan.walked)
    if plan.nested:
        closed = [id for made in walks for id in made.unreadable]
        ids = sorted([*unchanged, *(file.id for file in files), *closed])
        apart = [path for path in plan.nested if not _meets(ids, source_id(path, base))]
        met = {relative_path(path, base) for path in set(plan.nested).difference(apart)}
        remembered = [root for root in remembered if root not in met]
        if apart:
            walk(apart)
    return Found(walks, files, unchanged, remembered)


def gone_of(missing: Iterable[str], plan: Plan, found: Found) -> list[str]:
    """Of the known files that were not found, those in places that were walked."""
    closed = [*plan.unreadable, *(folder for walk in found.walks for folder in walk.unreadable)]
    places = [*plan.gone, *found.places]
    return [
        id
        for id in missing
        if any(is_under(id, root) for root in places)
        and not any(is_under(id, folder) for folder in closed)
    ]


def _meets(ids: Sequence[str], root: str) -> bool:
    """Whether one of the ids, which are sorted, is a root's or below it."""
    for start in (root, f"{root}/"):
        at = bisect_left(ids, start)
        if at < len(ids) and is_under(ids[at], root):
            return True
    return False
