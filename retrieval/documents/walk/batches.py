"""Checks all names of a folder at once: whether any rule about names may match one of them.

Most folders hold nothing that a rule matches. Finding that out for all names together costs a tenth
of checking each; only where something may match is each name checked. Names are compared in lower
case, so that nothing is missed where case does not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from retrieval.documents.walk.wildmatch import SPECIAL

_WILD = re.compile(r"\\(.)|[*?\\]", re.DOTALL)


Globs = Iterable[tuple[str, bool]]
"""Globs as `Pattern.body` has them, and whether each speaks of names at any depth."""


class BatchFilter:
    """What rules of names may mean, too much rather than too little.

    Args:
        levels: of each list of patterns, how much of a path is to be left off, and its globs.
        names: in lower case, that are meant besides.
        extensions: the same, with their dots.
        chunks: stretches of names that are meant besides; a NUL stands before each name.
    """

    __slots__ = ("_chunks", "_endings", "_extensions", "_levels", "_names")

    def __init__(
        self,
        levels: Iterable[tuple[int, Globs]],
        *,
        names: Iterable[str] = (),
        extensions: Iterable[str] = (),
        chunks: Iterable[str] = (),
    ) -> None:
        self._names = set(names)
        self._extensions = set(extensions)
        self._chunks = set(chunks)
        self._levels: list[tuple[int, set[str], set[tuple[str, str]]]] = []
        for start, globs in levels:
            parents: set[str] = set()
            rooted: set[tuple[str, str]] = set()
            for glob, anywhere in globs:
                body = glob.lower() if glob.isascii() else "*"
                first = next((at for at, char in enumerate(body) if char in SPECIAL), -1)
                if anywhere or body == "*":
                    self._add_name(body, first)
                elif first < 0:
                    parents.add(body[: body.rfind("/") + 1])
                else:
                    rooted.add((body[:first], _chunk(body[body.rfind("/") + 1 :])))
            if parents or rooted:
                self._levels.append((start, parents, rooted))
        self._endings = self._extensions.union(
            name[max(0, name.rfind(".")) :] for name in self._names
        )

    def _add_name(self, body: str, first: int) -> None:
        if first < 0:
            self._names.add(body)
        elif body.startswith("*.") and SPECIAL.isdisjoint(body[1:]):
            self._extensions.add(body[body.rfind(".") :])
        else:
            self._chunks.add(_chunk(body))

    def may_mean(self, folder: str, names: Sequence[str]) -> bool:
        """Whether one of these files may be meant.

        Args:
            folder: the absolute path of the folder that they stand in, with a slash at its end.
            names: of the files.
        """
        joined = "\0".join(["", *names]).lower()
        # Whatever follows a dot is taken for an extension: to split once is what makes this fast.
        endings = joined.replace(".", "\0.").split("\0")
        if not self._endings.isdisjoint(endings) and not (
            self._extensions.isdisjoint(endings) and self._names.isdisjoint(joined.split("\0"))
        ):
            return True
        for chunk in self._chunks:
            if chunk in joined:
                return True
        return bool(self._levels) and self._is_meant_here(folder, joined)

    def _is_meant_here(self, folder: str, joined: str) -> bool:
        for start, parents, rooted in self._levels:
            relative = folder[start:].lower()
            if relative in parents:
                return True
            for literal, chunk in rooted:
                if chunk in joined and (
                    literal.startswith(relative) or relative.startswith(literal)
                ):
                    return True
        return False


def _chunk(glob: str) -> str:
    """A long stretch of a glob of one name that stands in whatever it matches."""
    # Brackets may hold brackets and slashes: nothing from the first to the last of them counts.
    opens, closes = glob.find("["), glob.rfind("]")
    before = glob[:opens] if opens >= 0 else "" if closes >= 0 else glob
    outside = f"{before}*{glob[closes + 1 :]}" if closes >= 0 else before
    plain = _WILD.sub(lambda found: found[1] or "\0", outside)
    return max(plain.split("\0"), key=len)
