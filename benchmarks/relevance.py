"""Fit and judge `Hit.relevance`: whether it tells what is answered, and how often it is right.

    python benchmarks/relevance.py DATASETS --work FOLDER --out FILE.json [--write]

DATASETS holds the collections of `relevance_queries.py` in BEIR's format. Each is indexed by the
embedded model under FOLDER. Its own queries are asked, those of collections on other subjects, and
nonsense; so are they of small indexes, of 1 to 40 documents. The models are fitted on train splits
alone. Of `fitted` collections what is reported are models fitted on the others of them; of
`development` and `held out` it is the one that is written. `--write` puts the coefficients where
the package reads them.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from command import run_main
from environment import environment
from json_files import write_json
from relevance_queries import COLLECTIONS, VAIN, Asked, Matrix, asked_of, vocabulary

from retrieval.eval import load
from retrieval.index import Index
from retrieval.index.reading.relevance import COEFFICIENTS, estimated

WHOLE = "dense+late+lexical"  # of this one each collection is reported by itself
SETS = {  # the retrievers that take part, and whose ranking that is
    WHOLE: "hybrid",
    "dense+late": "hybrid",
    "dense+lexical": "hybrid",
    "late+lexical": "hybrid",
    "dense": "dense",
    "late": "late",
    "lexical": "lexical",
}
LINE = 0.2  # what nonsense stays under
BINS = (0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0)
FIRST = 3  # of so many first passages it is learnt which are right
SUBJECT = {  # what each kind counts, of whole and of small indexes
    ("own", False): 1.0,
    ("wrong", False): 0.5,
    ("keys", False): 0.25,
    ("words", False): 0.25,
    ("own", True): 1.0,
    ("neighbour", True): 0.5,
    ("wrong", True): 0.25,
    ("keys", True): 0.15,
    ("words", True): 0.15,
}
Model = Mapping[str, Mapping[str, float]]
Data = Mapping[str, Sequence[Asked]]


def fit(asked: Data, names: Sequence[str], ranking: str) -> Model:
    """Both models, with every collection alike."""
    used = [*names, "words", "passages"]
    subject, right = [], []
    for one in asked.values():
        subject += weighted([row for a in one for row in rows_of_subject(a, used, ranking)])
        right += weighted([row for a in one for row in rows_of_right(a, used, ranking)])
    return {"on_subject": logistic(used, subject), "right": logistic(used, right)}


Row = tuple[Matrix, float, Any, float]  # features, label, group, what the group counts


def rows_of_subject(asked: Asked, used: Sequence[str], ranking: str) -> list[Row]:
    """Of an own query the first answer, or the first hit; of another one the first hit."""
    found, right = asked.found[ranking]
    group = (asked.kind, asked.small)
    if not len(right) or group not in SUBJECT:
        return []
    place = 0
    if asked.kind == "own":
        answers = np.flatnonzero(right[: 3 if asked.small else len(right)])
        if asked.small and not len(answers):
            return []
        place = int(answers[0]) if len(answers) else 0
    values = np.array([found[name][place] for name in used])
    return [(values, float(asked.kind == "own"), group, SUBJECT[group])]


def rows_of_right(asked: Asked, used: Sequence[str], ranking: str) -> list[Row]:
    """The first hits of an own query, and whether they answer."""
    if asked.kind != "own":
        return []
    found, right = asked.found[ranking]
    return [
        (
            np.array([found[name][place] for name in used]),
            float(right[place]),
            (asked.small, place),
            (0.5 if asked.small else 1.0) / (1 + place),
        )
        for place in range(min(FIRST, len(right)))
    ]


def weighted(rows: Sequence[Row]) -> list[tuple[Matrix, float, float]]:
    """Each group's weight divided among its rows."""
    sizes = Counter(group for _, _, group, _ in rows)
    return [(values, label, weight / sizes[group]) for values, label, group, weight in rows]


def logistic(used: Sequence[str], rows: Sequence[tuple[Matrix, float, float]]) -> dict[str, float]:
    """The coefficients of a logistic regression by Newton's method."""
    values, labels = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    weights = np.array([row[2] for row in rows]) / sum(row[2] for row in rows)
    mean, spread = values.mean(axis=0), values.std(axis=0)
    design = np.column_stack([(values - mean) / spread, np.ones(len(values))])
    ridge = np.diag([1e-3] * len(used) + [0.0])
    solution = np.zeros(len(used) + 1)
    for _ in range(50):
        p = 1 / (1 + np.exp(-design @ solution))
        slope = design.T @ (weights * (p - labels)) + ridge @ solution
        bend = (design * (weights * p * (1 - p))[:, None]).T @ design + ridge
        solution -= np.linalg.solve(bend, slope)
    model = dict(zip(used, (solution[:-1] / spread).tolist(), strict=True))
    model["constant"] = float(solution[-1] - (solution[:-1] / spread) @ mean)
    return {name: round(value, 4) for name, value in model.items()}


def auc(high: Sequence[float], low: Sequence[float]) -> float:
    """The probability that one of `high` is above one of `low`; ties are half."""
    values = np.sort(np.array(low))
    below = np.searchsorted(values, high, "left") + np.searchsorted(values, high, "right")
    return round(float(below.mean() / (2 * len(values))), 4)


def relevance(asked: Asked, model: Model, ranking: str) -> Matrix:
    """Of each hit, as the package gives it."""
    found, right = asked.found[ranking]
    return np.minimum.accumulate(estimated(found, model)) if len(right) else np.zeros(0)


def report(asked: Sequence[Asked], model: Model, ranking: str) -> Any:
    """How well a model tells the queries of one collection or more apart."""
    facts: dict[str, Any] = {}
    for small in (False, True):
        best: dict[str, list[float]] = {}
        for one in asked:
            if one.small == small:
                values = relevance(one, model, ranking)
                best.setdefault(one.kind, []).append(float(values[0]) if len(values) else 0.0)
        vain = {kind: best[kind] for kind in VAIN if kind in best}
        part = {"auc": auc(best["own"], [value for of in vain.values() for value in of])}
        part |= {f"auc_{kind}": auc(best["own"], of) for kind, of in vain.items()}
        if "removed" in best:
            part["auc_removed"] = auc(best["own"], best["removed"])
        facts["small" if small else "whole"] = part | {
            "queries": {kind: len(of) for kind, of in best.items()},
            "median": {kind: round(float(np.median(of)), 3) for kind, of in best.items()},
            "at_least_0.2": {
                kind: round(float((np.array(of) >= LINE).mean()), 4) for kind, of in best.items()
            },
        }
    return facts


def reliability(asked: Sequence[Asked], model: Model, ranking: str, first: int) -> Any:
    """Of the first hits of all queries, by their relevance: how many are right."""
    pairs = [
        (value, is_right)
        for one in asked
        if one.kind != "removed"
        for value, is_right in zip(
            relevance(one, model, ranking)[:first], one.found[ranking][1][:first], strict=True
        )
    ]
    values, rights = np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])
    table = []
    for low, high in pairwise(BINS):
        there = (values >= low) & ((values < high) | (high == BINS[-1]))
        if there.any():
            table.append(
                {
                    "from": low,
                    "to": high,
                    "hits": int(there.sum()),
                    "mean": round(float(values[there].mean()), 3),
                    "right": round(float(rights[there].mean()), 3),
                }
            )
    return table


def judged(asked: Sequence[Asked], model: Model, ranking: str) -> Any:
    """All that is reported of one model and some queries."""
    return report(asked, model, ranking) | {
        "reliability_of_first_hits": reliability(asked, model, ranking, 1),
        "reliability_of_first_ten": reliability(asked, model, ranking, 10),
    }


def main() -> None:
    """Ask, fit, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    result = environment(("modernbert-retrieval", "numpy", "faiss-cpu", "tantivy"))
    collections = {
        name: load(str(args.datasets / name), split)[0]
        for name, (_, split, _) in COLLECTIONS.items()
    }
    of_role = {
        role: [name for name, (_, _, of) in COLLECTIONS.items() if of == role]
        for role in ("fitted", "development", "held out")
    }
    words = vocabulary([collections[name] for name in of_role["fitted"]])
    asked: dict[str, list[Asked]] = {}
    for name in COLLECTIONS:
        asked[name] = asked_of(name, collections, words, args.work)
        print(name, len(asked[name]), flush=True)
    models, reports = {}, {}
    for key, ranking in SETS.items():
        names = key.split("+")
        fitted_on = {name: asked[name] for name in of_role["fitted"]}
        models[key] = fit(fitted_on, names, ranking)
        of_each = {}
        for name, (_, _, role) in COLLECTIONS.items() if key == WHOLE else ():
            others = {other: of for other, of in fitted_on.items() if other != name}
            model = fit(others, names, ranking) if role == "fitted" else models[key]
            of_each[name] = judged(asked[name], model, ranking)
        together = {
            role: judged([a for name in of_role[role] for a in asked[name]], models[key], ranking)
            for role in ("development", "held out")
        }
        reports[key] = {"together": together, "collections": of_each}
    with Index.open(args.work / "cosqa") as index:
        encoder = index.status()
    fitted = {"name": encoder.encoder, "encoder": encoder.fingerprint, "models": models}
    if args.write:
        write_json(COEFFICIENTS, fitted)
    result |= {"collections": COLLECTIONS, "fitted": fitted, "reports": reports}
    write_json(args.out, result)
    print(json.dumps(reports[WHOLE]["together"], indent=1))


if __name__ == "__main__":
    run_main(main)
