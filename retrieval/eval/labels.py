"""Measures of classifiers: accuracy, macro F1, and F1 of entities as seqeval counts them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence

from retrieval.errors import InputError


def accuracy(given: Sequence[str], found: Sequence[str]) -> float:
    """The share of texts that got the label that they were given."""
    _check(given, found)
    return sum(a == b for a, b in zip(given, found, strict=True)) / len(given)


def macro_f1(given: Sequence[str], found: Sequence[str]) -> float:
    """The mean over all labels, given or found, of F1: a rare label counts as a frequent one."""
    _check(given, found)
    right = Counter(a for a, b in zip(given, found, strict=True) if a == b)
    wanted, made = Counter(given), Counter(found)
    names = sorted({*wanted, *made})
    # 2 right / (wanted + made), which is the harmonic mean of precision and recall.
    return sum(2 * right[one] / (wanted[one] + made[one]) for one in names) / len(names)


def entity_f1(
    given: Sequence[Iterable[Hashable]], found: Sequence[Iterable[Hashable]]
) -> dict[str, float]:
    """Precision, recall and F1 over all texts' entities together ("micro").

    An entity counts as found where its label and both its ends are right. What is 0 out of 0 is 0.
    """
    _check(given, found)
    wanted = [set(one) for one in given]
    made = [set(one) for one in found]
    right = sum(len(a & b) for a, b in zip(wanted, made, strict=True))
    counts = {"precision": sum(map(len, made)), "recall": sum(map(len, wanted))}
    shares = {name: right / count if count else 0.0 for name, count in counts.items()}
    total = sum(counts.values())
    return {**shares, "f1": 2 * right / total if total else 0.0}


def _check(given: Sequence[object], found: Sequence[object]) -> None:
    if len(given) != len(found) or not given:
        raise InputError(
            f"{len(given)} texts have labels and {len(found)} were found; expected as many, and "
            "one at least"
        )
