"""The names of one folder at once: whether any rule of names may speak of any of them.

Most folders hold nothing that a rule speaks of. To see so for all names together costs a tenth of
asking about each; where something may be meant, each is asked about. All is compared in lower case,
so that nothing is missed where case does not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from retrieval.documents.walk.wildmatch import SPECIAL

_LITERAL = re.compile(r"\[(?:[!^]?\]?[^\]]*\])|\\(.)|[*?\[\\]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class NameBatch:
    """Names of one folder's entries, in lower case.

    Attributes:
        joined: all of them, a NUL before each.
        names: one by one.
        extensions: what follows their last dots, or all of a name without one.
    """

    joined: str
    names: list[str]
    extensions: frozenset[str]

    @classmethod
    def of(cls, names: Sequence[str]) -> NameBatch:
        """The batch of these names."""
        joined = "\0".join(["", *names]).lower()
        lowered = joined.split("\0")[1:]
        extensions = frozenset({name.rpartition(".")[2] for name in lowered})
        return cls(joined, lowered, extensions)


class BatchFilter:
    """What a list of patterns may match, too much rather than too little.

    Args:
        bodies: the globs, as `Pattern.body` has them, and whether each speaks of names anywhere.
    """

    __slots__ = ("_chunks", "_extensions", "_names", "_parents", "_rooted")

    def __init__(self, bodies: Iterable[tuple[str, bool]]) -> None:
        self._names: set[str] = set()
        self._extensions: set[str] = set()
        self._parents: set[str] = set()
        self._chunks: set[str] = set()
        self._rooted: set[tuple[str, str]] = set()
        for body, anywhere in bodies:
            body = body.lower() if body.isascii() else ""
            parent, slash, name = body.rpartition("/")
            if not body:
                self._chunks.add("")
            elif anywhere and SPECIAL.isdisjoint(body):
                self._names.add(body)
            elif anywhere and body.startswith("*.") and SPECIAL.isdisjoint(body[1:]):
                self._extensions.add(body[body.rfind(".") + 1 :])
            elif anywhere:
                self._chunks.add(_chunk(body))
            elif SPECIAL.isdisjoint(body):
                self._parents.add(parent + slash)
            else:
                literal = body[: next(at for at, char in enumerate(body) if char in SPECIAL)]
                self._rooted.add((literal, _chunk(name)))

    def may_match(self, folder: str, batch: NameBatch) -> bool:
        """Whether one of the names, in this folder, may be meant.

        Args:
            folder: its path relative to the patterns, with a slash at its end; "" for their own.
            batch: the names.
        """
        folder = folder.lower()
        return (
            not self._names.isdisjoint(batch.names)
            or not self._extensions.isdisjoint(batch.extensions)
            or folder in self._parents
            or any(chunk in batch.joined for chunk in self._chunks)
            or any(
                chunk in batch.joined
                for literal, chunk in self._rooted
                if literal.startswith(folder) or folder.startswith(literal)
            )
        )


def _chunk(glob: str) -> str:
    """The longest stretch of a glob of one name that stands in whatever it matches."""
    plain = _LITERAL.sub(lambda found: found[1] or "\0", glob)
    return max(plain.split("\0"), key=len)
