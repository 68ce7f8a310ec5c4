"""Measures of a run, by ir-measures (trec_eval's own arithmetic)."""

from __future__ import annotations

import contextlib
import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from retrieval.errors import InputError, MissingDependency
from retrieval.numeric import is_whole

Qrels = Mapping[str, Mapping[str, int]]
"""Grade by document id, by query id."""

Run = Mapping[str, Mapping[str, float]]
"""Score by document id, by query id."""

MEASURES = ("nDCG@10", "AP", "RR@10", "R@100", "P@10", "Success@5", "Judged@10")

_WITH_CUTOFF = ("nDCG", "AP", "RR", "R", "P", "Success", "Judged", "Accuracy")
_WITHOUT = (
    *("AP", "RPrec", "Bpref", "infAP", "Compat", "SetP", "SetR", "SetF", "SetAP"),
    *("NumRel", "NumRet"),
)
KNOWN = (*(f"{name}@k" for name in _WITH_CUTOFF), *_WITHOUT)
"""What can be computed, for who gives another measure. k may be left out but of R, P and Success;
there are further parameters, as in `AP(rel=2)@10`."""

_ABSENT = re.compile(r"invalid param (\w+)=<object object at \w+>")
_UNFIT = frozenset({"gdeval"})
"""Providers that cannot be used: this one runs perl, and takes numbers alone as ids of queries."""

TIES = "by score in single precision, then by document id, descending, as in trec_eval"

MOST_GRADE = 1_000_000
"""The highest grade; trec_eval's code takes memory and time by it, or ends the process."""

_NOBODY = "\x00"
"""A document that no collection holds: what stands for an empty answer."""


_TRIED_QRELS = {"q": {"a": 1, "b": 0}}
_TRIED_RUN = {"q": {"a": 2.0, "b": 1.0}}


def per_query(
    qrels: Qrels, run: Run, measures: Sequence[str] = MEASURES
) -> dict[str, dict[str, float]]:
    """The value of each measure for each judged query.

    A judged query that the run lacks counts as 0; queries of the run that are not judged do not
    count. A document that is not judged is not relevant, and neither is one of a grade below 1.

    Args:
        measures: names as ir-measures writes them, e.g. `nDCG@10`, `R@100`, `RR@10`.

    Returns:
        Value by measure, by query id, both in the order given.

    Raises:
        MissingDependency: ir-measures is not installed.
        InputError: a measure's name is not known, a score is NaN, or an id or a grade cannot be
            measured.
    """
    ir_measures, parsed = _parsed(measures)
    _check_ids("query", qrels)
    for query, grades in qrels.items():
        _check_ids("document", (*grades, *run.get(query, ())))
        for document, grade in grades.items():
            check_grade(grade, f"document {document!r} for query {query!r}")
    graded = {query: dict(grades) for query, grades in qrels.items()}
    ranked = {query: _ranked(run.get(query, {}), query) for query in qrels}
    values = {query: dict.fromkeys(measures, 0.0) for query in qrels}
    for found in ir_measures.iter_calc(list(parsed.values()), graded, ranked):
        for name, measure in parsed.items():
            if measure == found.measure and (run.get(found.query_id) or not _counts(measure)):
                values[found.query_id][name] = float(found.value)
    return values


def means(qrels: Qrels, run: Run, measures: Sequence[str] = ("nDCG@10",)) -> dict[str, float]:
    """Means over the judged queries; arguments and errors are those of `per_query`."""
    values = per_query(qrels, run, measures)
    return {
        name: math.fsum(one[name] for one in values.values()) / max(1, len(values))
        for name in measures
    }


def check_measures(measures: Sequence[str]) -> None:
    """Refuse what cannot be measured, before anything is run; raises as `per_query` does.

    Some names can be parsed and not computed: a package or a cutoff is missing. A cutoff of 0 would
    end the process in trec_eval's own code.
    """
    ir_measures, parsed = _parsed(measures)
    for name, measure in parsed.items():
        _check_cutoff(name, measure)
        try:
            _check_provider(ir_measures, measure)
            list(ir_measures.iter_calc([measure], _TRIED_QRELS, _TRIED_RUN))
        except Exception as wrong:  # each provider has errors of its own
            said = " ".join(str(wrong).split())[:120] or type(wrong).__name__
            said = _ABSENT.sub(r"its parameter \1 is missing", said)
            raise InputError(
                f"measure {name!r} cannot be computed here ({said}): {_expected()}"
            ) from None


def check_grade(grade: int, of: str) -> None:
    """Refuse a grade that trec_eval's code cannot hold; `of` names the document and query."""
    if abs(grade) > MOST_GRADE:
        raise InputError(
            f"the grade of {of} is beyond what trec_eval can count; give one from {-MOST_GRADE:,} "
            f"to {MOST_GRADE:,}"
        )


def _check_provider(ir_measures: Any, measure: Any) -> None:
    """Refuse what only a provider computes that is not there, or that is unfit."""
    can = [one for one in ir_measures.DefaultPipeline.providers if one.supports(measure)]
    if not can:
        raise ValueError("no provider of ir-measures does, with these parameters")
    if not any(one.is_available() and one.NAME not in _UNFIT for one in can):
        names = " or ".join(one.NAME for one in can)
        raise ValueError(f"it needs {names}, which is not used here")


def _check_cutoff(name: str, measure: Any) -> None:
    asked = measure.SUPPORTED_PARAMS.get("cutoff")
    if asked is None:
        return
    cutoff = measure["cutoff"] if "cutoff" in measure.params else None
    if cutoff is None:
        if asked.required:
            raise InputError(f"measure {name!r} has no cutoff; give one, as in {name.strip()}@10")
    elif not is_whole(cutoff) or cutoff < 1:
        raise InputError(f"measure {name!r}: cutoff {cutoff}; give a whole number of at least 1")


def _parsed(measures: Sequence[str]) -> tuple[Any, dict[str, Any]]:
    try:
        import ir_measures
    except ImportError:
        raise MissingDependency(
            "measuring needs ir-measures: pip install 'modernbert-retrieval[eval]'"
        ) from None
    found = {}
    for name in measures:
        try:
            found[name] = ir_measures.parse_measure(name)
        except (NameError, ValueError):
            raise InputError(_unreadable(name, list(ir_measures.measures.registry))) from None
    return ir_measures, found


def _unreadable(name: str, registry: Sequence[str]) -> str:
    """What is wrong with a measure's name, and which one may have been meant."""
    if re.split(r"[@(]", name.strip())[0] in registry:
        return f"measure {name!r} cannot be read; {_expected()}"
    meant = ""
    plain = re.fullmatch(r"\s*([^\W\d]+)[\s@]*(\d*)\s*", name)
    if plain is not None:
        word, cutoff = plain[1].casefold(), plain[2]
        usual = [known.partition("@")[0] for known in KNOWN]
        spelled = {known.casefold(): known for known in [*registry, *usual]}
        near = [known for known in spelled if len(word) > 2 and known.startswith(word)]
        near = near or difflib.get_close_matches(word, spelled, n=1)
        if near:
            meant = f"did you mean {spelled[near[0]]}{f'@{cutoff}' if cutoff else ''}? "
    return f"measure {name!r} is unknown; {meant}{_expected()}"


def _expected() -> str:
    return f"expected one of {', '.join(KNOWN)}, with a number for k"


def _check_ids(kind: str, ids: Iterable[str]) -> None:
    """Refuse what trec_eval's code cannot hold: it ends the process at one, and cuts at the other.

    A lone surrogate is half of a pair of UTF-16, which JSON lets through.
    """
    every = list(ids)
    with contextlib.suppress(UnicodeEncodeError):
        if b"\0" not in "".join(every).encode():
            return
    for id in every:
        for letter in id:
            if letter == "\0" or "\ud800" <= letter <= "\udfff":
                what = "a NUL character" if letter == "\0" else "a lone surrogate, half a character"
                raise InputError(f"{kind} id {id!r} has {what}; give it another id")


def _counts(measure: Any) -> bool:
    """Whether a measure counts the answer, in which `_NOBODY` would be one document."""
    return str(measure.NAME) == "NumRet"


def _ranked(scores: Mapping[str, float], query: str) -> dict[str, float]:
    """The documents with scores that fall from rank to rank, in trec_eval's order.

    The providers behind ir-measures break ties differently; without ties they all agree.
    """
    unusable = sum(math.isnan(score) for score in scores.values())
    if unusable:
        raise InputError(
            f"{unusable} of {len(scores)} scores of query {query!r} are NaN; expected numbers"
        )
    with np.errstate(over="ignore"):  # what is beyond single precision is infinite there
        rounded = np.array(list(scores.values()), np.float64).astype(np.float32).tolist()
    single = zip(scores, rounded, strict=True)
    ordered = sorted(single, key=lambda pair: (pair[1], pair[0]), reverse=True)
    ranked = {document: -float(rank) for rank, (document, _) in enumerate(ordered)}
    return ranked or {_NOBODY: 0.0}
