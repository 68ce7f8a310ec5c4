"""Bonuses and penalties in hybrid search: for a file's role, and for what a passage defines.

Users who search code want the implementation before the test that calls it, and the definition of a
name before its uses; neither can be seen from the words of a passage alone. Both count as a share
of the range of the candidates' scores. docs/decisions/code-search.md has the figures.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from retrieval.index.reading.snapshot import Snapshot
from retrieval.types import Hybrid

ROLE_COSTS: Mapping[str, float] = MappingProxyType(
    {"test": 0.3, "example": 0.1, "changelog": 0.15, "generated": 0.15}
)
"""Penalty of each role, unless the query asks for such files."""

DEFINITION = 0.3
"""Bonus of a passage that defines a name in the query; twice as much if the query is only that
name, spelled unlike an ordinary word."""

_ASKS = {
    "test": r"tests?|tested|testing|specs?|fixtures?|mocks?|benchmarks?|assert\w*",
    "example": r"examples?|samples?|demos?|tutorials?|usage",
    "changelog": r"change ?logs?|release notes?|releases?|released|what'?s new|since|versions?|"
    r"history|breaking|deprecat\w+|changed",
    "generated": r"generated|lock ?files?|minified|vendored",
}
_ASKED = {
    role: re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE) for role, words in _ASKS.items()
}

_PATH = re.compile(r"[^\W\d]\w*(?:(?:\.|::|#|->)[^\W\d]\w*)*")
_PARTS = re.compile(r"\.|::|#|->")
_LIKE_CODE = re.compile(r"[^\W_]_[^\W_]|^_\w|[a-z0-9][A-Z]|[A-Z]{2}[a-z]|::|#|->|\w\.[^\W\d]")


class Standing:
    """The penalties and bonuses of passages for one query."""

    def __init__(self, snapshot: Snapshot, query: str, hybrid: Hybrid) -> None:
        """Read from the query which roles and names it asks for."""
        self._snapshot = snapshot
        self._costs = {role: hybrid.roles * cost for role, cost in costs_of(query).items()}
        self._names = names_in(query) if hybrid.definitions else []
        self._definition = hybrid.definitions * DEFINITION * (2 if _is_name(query) else 1)

    def of(self, ids: NDArray[np.int64]) -> NDArray[np.float64]:
        """The amount added to each passage's score, f64 [n], as a share of the scores' range."""
        added = np.zeros(len(ids))
        if not len(ids):
            return added
        store, listed = self._snapshot.store, ids.tolist()
        shares: defaultdict[int, float] = defaultdict(float)
        if any(self._costs.values()):
            for id, role in store.roles(listed).items():
                shares[id] = -self._costs.get(role, 0.0)
            if test := self._costs.get("test", 0.0):
                for id, symbol in store.symbols(listed).items():
                    if in_tests(symbol):
                        shares[id] = min(shares[id], -test)
        if self._names:
            for id, names in store.definitions(listed).items():
                shares[id] += self._definition * self._defines(names)
        if shares:  # in most collections few passages have any of these
            added[:] = [shares.get(id, 0.0) for id in listed]
        return added

    def _defines(self, names: Sequence[str]) -> bool:
        """Whether one of the query's names equals one of these, or its last components."""
        for name in names:
            parts = _PARTS.split(name)
            if any(parts[-len(asked) :] == asked for asked in self._names):
                return True
        return False


def in_tests(symbol: str) -> bool:
    """Whether a definition is in a file's own tests, as in Rust: `tests`, `test.parses`."""
    *around, name = _PARTS.split(symbol)
    return name == "tests" or any(part in ("test", "tests") for part in around)


def _is_name(query: str) -> bool:
    """Whether a query is a name, not a word: `_start`, `parseLine`, `MOST`, `sha1`, `Pipe.read`."""
    name = query.strip().removesuffix("()").strip("`")
    if not _PATH.fullmatch(name):
        return False
    return not (name.isalpha() and (name.islower() or name.istitle()))


def costs_of(query: str) -> dict[str, float]:
    """The penalties of the roles that the query does not ask for."""
    return {
        role: cost
        for role, cost in ROLE_COSTS.items()
        if role not in _ASKED or not _ASKED[role].search(query)
    }


def names_in(query: str) -> list[list[str]]:
    """Names of code in a query, as components: names spelled unlike words, or the whole query.

    `get_user`, `getUser`, `Client.send`, `fs::read`, `send()`, and `send` if that is the query.
    """
    found = []
    words = query.split()
    for match in _PATH.finditer(query):
        name = match.group()
        called = query[match.end() : match.end() + 1] == "("
        quoted = query[match.start() - 1 : match.start()] == "`"
        if called or quoted or _LIKE_CODE.search(name) or len(words) == 1:
            found.append(_PARTS.split(name))
    return found
