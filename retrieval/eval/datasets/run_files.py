"""TREC's run files: what a system found, query by query."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, unquote

from retrieval.errors import InputError
from retrieval.eval.datasets.rows import MisfitLines, lines
from retrieval.files.whole import replacing_text

_CODES = "|".join(quote(chr(at))[1:] for at in range(0x3001) if chr(at).isspace()) + "|25"
_ESCAPES, _ESCAPED = re.compile(f"%(?:{_CODES})"), re.compile(rf"\s|%(?={_CODES})")


def read_run(path: Path, misfits: MisfitLines | None = None) -> dict[str, dict[str, float]]:
    """A run file of query, Q0, document, rank, score, tag: score by document, by query.

    Ranks are not looked at, as in trec_eval.

    Args:
        misfits: see `lines`; without it, a file that is not UTF-8 is refused.

    Raises:
        InputError: a line cannot be read, a score is no finite number, a document is given twice
            for a query, or there is no line.
    """
    run: dict[str, dict[str, float]] = {}
    for number, line in enumerate(lines(path, "a TREC run file", misfits), start=1):
        parts = line.split()
        if not parts:
            continue
        try:
            query, _, document, _, given = parts[:5]
            score = float(given)
        except ValueError:
            raise InputError(
                f"{path}:{number}: {line[:60]!r}; expected query, Q0, document, rank, score, tag"
            ) from None
        if not math.isfinite(score):
            raise InputError(f"{path}:{number}: score {given}; expected a finite number")
        if document in run.setdefault(query, {}):
            raise InputError(
                f"{path}:{number}: document {document!r} is there twice for query {query!r}; "
                "keep one, as trec_eval demands"
            )
        run[query][document] = score
    if not run:
        raise InputError(f"{path} is empty; expected a TREC run file")
    return run


def write_run(path: Path, run: Mapping[str, Mapping[str, float]], tag: str) -> None:
    """Write a run file, best first, in trec_eval's order; whole or not at all.

    White space in an id or the tag becomes `%20` and the like: the format is cut at it. See
    `escape_id`.
    """
    name = escape_id(tag)
    with replacing_text(path) as out:
        for query, scores in run.items():
            ordered = sorted(scores.items(), key=lambda pair: (pair[1], pair[0]), reverse=True)
            for rank, (document, score) in enumerate(ordered, start=1):
                parts = (escape_id(query), "Q0", escape_id(document), str(rank), repr(score), name)
                out.write(" ".join(parts) + "\n")


def escape_id(text: str) -> str:
    """An id as one word of a run file: white space as `%20` and the like, all else as it is.

    A `%` that could be taken for the beginning of such becomes `%25`, so that `unescape_id` gives
    back every id. Most ids with `%` stay as they are, as other programs expect them.
    """
    return _ESCAPED.sub(lambda match: quote(match[0]), text)


def unescape_id(text: str) -> str:
    """The id that `escape_id` made a word of."""
    return _ESCAPES.sub(lambda match: unquote(match[0]), text)
