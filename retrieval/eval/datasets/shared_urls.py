"""Functions that share a URL, as some of CodeSearchNet's do: two definitions on the same lines.

What is published takes each function for itself, so that the URL alone is no id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from retrieval.eval.plural import plural

EACH = "a judgement of their URL counts for each of them"
"""What is done about functions that share a URL where judgements name URLs alone."""


class Ids:
    """Ids of texts by their URL: the URL itself, for a second text URL~2, for a third URL~3.

    A text that is there twice under one URL has one id.
    """

    def __init__(self, found: Iterable[tuple[str, str]]) -> None:
        """Look at every pair of URL and text once; only those that share a URL are kept."""
        first: dict[str, bytes] = {}
        self._several: dict[str, list[bytes]] = {}
        for url, text in found:
            own = _digest(text)
            if first.setdefault(url, own) == own:
                continue
            known = self._several.setdefault(url, [first[url]])
            if own not in known:
                known.append(own)

    def of(self, url: str, text: str) -> str:
        """The id of a text that was looked at."""
        known = self._several.get(url)
        return url if known is None else _id(url, known.index(_digest(text)))

    def meant(self, url: str, text: str | None = None) -> list[str]:
        """Ids of what a URL names: of this text, or of all that share the URL if it is none."""
        known = self._several.get(url, [b""])
        own = None if text is None else _digest(text)
        return [_id(url, at) for at, one in enumerate(known) if own == one or own not in known]

    def warnings(self, what: str) -> Iterator[str]:
        """A warning with counts, if any URL is shared.

        Args:
            what: is done about it.
        """
        if self._several:
            functions = sum(map(len, self._several.values()))
            urls = plural(len(self._several), "URL", "URLs")
            example = next(iter(self._several))
            yield (
                f"{functions:,} different functions share {urls} (such as {example!r}); they have "
                f"the ids URL, URL~2 and so on, and {what}"
            )


def _id(url: str, at: int) -> str:
    return f"{url}~{at + 1}" if at else url


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8]
