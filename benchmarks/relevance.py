"""Fit and evaluate `Hit.relevance`: does it separate answered queries, and is it calibrated?

    python benchmarks/relevance.py DATASETS --work FOLDER --out FILE.json [--write]

DATASETS holds the collections of `relevance_queries.py` in BEIR's format. Each is indexed by the
embedded model under FOLDER, and searched with its own queries, with those of collections on other
subjects, and with nonsense; so are small indexes of 1 to 40 documents. The models are fitted on
train splits alone. For `fitted` collections the report is of models fitted on the other ones; for
`development` and `held out` it is of the final model. `--write` stores the coefficients where the
package reads them.
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
from relevance_queries import COLLECTIONS, UNANSWERED, Matrix, SearchedQuery, search_all, vocabulary

from retrieval.eval import load
from retrieval.index import Index
from retrieval.index.reading.relevance import COEFFICIENTS, estimated

WHOLE = "dense+late+lexical"  # the only one that is reported by collection
RANKING_BY_RETRIEVERS = {  # retrievers used, and the ranking they belong to
    WHOLE: "hybrid",
    "dense+late": "hybrid",
    "dense+lexical": "hybrid",
    "late+lexical": "hybrid",
    "dense": "dense",
    "late": "late",
    "lexical": "lexical",
}
NONSENSE_LIMIT = 0.2  # which nonsense should stay under
BINS = (0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0)
TRAINED_HITS = 3  # hits per query on which correctness is fitted
GROUP_WEIGHTS = {  # weight of each kind of query, by whether the index is small
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
Data = Mapping[str, Sequence[SearchedQuery]]


def fit(data: Data, retrievers: Sequence[str], ranking: str) -> Model:
    """Both models, with equal weight on every collection."""
    features = [*retrievers, "words", "passages"]
    subject, correct = [], []
    for queries in data.values():
        subject += weight_groups(
            [row for query in queries for row in subject_rows(query, features, ranking)]
        )
        correct += weight_groups(
            [row for query in queries for row in correctness_rows(query, features, ranking)]
        )
    return {"on_subject": fit_logistic(features, subject), "right": fit_logistic(features, correct)}


Row = tuple[Matrix, float, Any, float]  # features, label, group, weight of the group


def subject_rows(query: SearchedQuery, names: Sequence[str], ranking: str) -> list[Row]:
    """For an own query its first right hit, or its first hit; for any other its first hit."""
    features, is_right = query.rankings[ranking]
    group = (query.kind, query.small)
    if not len(is_right) or group not in GROUP_WEIGHTS:
        return []
    rank = 0
    if query.kind == "own":
        answers = np.flatnonzero(is_right[: 3 if query.small else len(is_right)])
        if query.small and not len(answers):
            return []
        rank = int(answers[0]) if len(answers) else 0
    values = np.array([features[name][rank] for name in names])
    return [(values, float(query.kind == "own"), group, GROUP_WEIGHTS[group])]


def correctness_rows(query: SearchedQuery, names: Sequence[str], ranking: str) -> list[Row]:
    """The first hits of an own query, and whether they are right."""
    if query.kind != "own":
        return []
    features, is_right = query.rankings[ranking]
    return [
        (
            np.array([features[name][rank] for name in names]),
            float(is_right[rank]),
            (query.small, rank),
            (0.5 if query.small else 1.0) / (1 + rank),
        )
        for rank in range(min(TRAINED_HITS, len(is_right)))
    ]


def weight_groups(rows: Sequence[Row]) -> list[tuple[Matrix, float, float]]:
    """Rows with each group's weight divided among them."""
    sizes = Counter(group for _, _, group, _ in rows)
    return [(values, label, weight / sizes[group]) for values, label, group, weight in rows]


def fit_logistic(
    names: Sequence[str], rows: Sequence[tuple[Matrix, float, float]]
) -> dict[str, float]:
    """Coefficients of a ridge logistic regression, by Newton's method."""
    values, labels = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    weights = np.array([row[2] for row in rows]) / sum(row[2] for row in rows)
    mean, std = values.mean(axis=0), values.std(axis=0)
    design = np.column_stack([(values - mean) / std, np.ones(len(values))])
    ridge = np.diag([1e-3] * len(names) + [0.0])
    solution = np.zeros(len(names) + 1)
    for _ in range(50):
        p = 1 / (1 + np.exp(-design @ solution))
        gradient = design.T @ (weights * (p - labels)) + ridge @ solution
        hessian = (design * (weights * p * (1 - p))[:, None]).T @ design + ridge
        solution -= np.linalg.solve(hessian, gradient)
    model = dict(zip(names, (solution[:-1] / std).tolist(), strict=True))
    model["constant"] = float(solution[-1] - (solution[:-1] / std) @ mean)
    return {name: round(value, 4) for name, value in model.items()}


def auc(high: Sequence[float], low: Sequence[float]) -> float:
    """The probability that a value of `high` exceeds one of `low`; ties count half."""
    values = np.sort(np.array(low))
    below = np.searchsorted(values, high, "left") + np.searchsorted(values, high, "right")
    return round(float(below.mean() / (2 * len(values))), 4)


def relevance_of(query: SearchedQuery, model: Model, ranking: str) -> Matrix:
    """The relevance of each hit, as the package computes it."""
    features, is_right = query.rankings[ranking]
    return np.minimum.accumulate(estimated(features, model)) if len(is_right) else np.zeros(0)


def separation(queries: Sequence[SearchedQuery], model: Model, ranking: str) -> Any:
    """How well a model separates answered from unanswered queries."""
    result: dict[str, Any] = {}
    for small in (False, True):
        top_relevance: dict[str, list[float]] = {}
        for query in queries:
            if query.small == small:
                values = relevance_of(query, model, ranking)
                top_relevance.setdefault(query.kind, []).append(
                    float(values[0]) if len(values) else 0.0
                )
        unanswered = {kind: top_relevance[kind] for kind in UNANSWERED if kind in top_relevance}
        part = {
            "auc": auc(
                top_relevance["own"], [value for sample in unanswered.values() for value in sample]
            )
        }
        part |= {
            f"auc_{kind}": auc(top_relevance["own"], sample) for kind, sample in unanswered.items()
        }
        if "removed" in top_relevance:
            part["auc_removed"] = auc(top_relevance["own"], top_relevance["removed"])
        result["small" if small else "whole"] = part | {
            "queries": {kind: len(sample) for kind, sample in top_relevance.items()},
            "median": {
                kind: round(float(np.median(sample)), 3) for kind, sample in top_relevance.items()
            },
            "at_least_0.2": {
                kind: round(float((np.array(sample) >= NONSENSE_LIMIT).mean()), 4)
                for kind, sample in top_relevance.items()
            },
        }
    return result


def reliability(queries: Sequence[SearchedQuery], model: Model, ranking: str, first: int) -> Any:
    """The share of right hits among the first ones of all queries, by bins of relevance."""
    pairs = [
        (value, is_right)
        for query in queries
        if query.kind != "removed"
        for value, is_right in zip(
            relevance_of(query, model, ranking)[:first],
            query.rankings[ranking][1][:first],
            strict=True,
        )
    ]
    values, is_right = np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])
    table = []
    for low, high in pairwise(BINS):
        in_bin = (values >= low) & ((values < high) | (high == BINS[-1]))
        if in_bin.any():
            table.append(
                {
                    "from": low,
                    "to": high,
                    "hits": int(in_bin.sum()),
                    "mean": round(float(values[in_bin].mean()), 3),
                    "right": round(float(is_right[in_bin].mean()), 3),
                }
            )
    return table


def evaluate_model(queries: Sequence[SearchedQuery], model: Model, ranking: str) -> Any:
    """Everything that is reported of a model and some queries."""
    return separation(queries, model, ranking) | {
        "reliability_of_first_hits": reliability(queries, model, ranking, 1),
        "reliability_of_first_ten": reliability(queries, model, ranking, 10),
    }


def main() -> None:
    """Search, fit, and write the reports."""
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
    names_by_role = {
        role: [name for name, (_, _, name_role) in COLLECTIONS.items() if name_role == role]
        for role in ("fitted", "development", "held out")
    }
    words = vocabulary([collections[name] for name in names_by_role["fitted"]])
    searched: dict[str, list[SearchedQuery]] = {}
    for name in COLLECTIONS:
        searched[name] = search_all(name, collections, words, args.work)
        print(name, len(searched[name]), flush=True)
    models, reports = {}, {}
    for key, ranking in RANKING_BY_RETRIEVERS.items():
        names = key.split("+")
        fitted_data = {name: searched[name] for name in names_by_role["fitted"]}
        models[key] = fit(fitted_data, names, ranking)
        by_collection = {}
        for name, (_, _, role) in COLLECTIONS.items() if key == WHOLE else ():
            others = {other: queries for other, queries in fitted_data.items() if other != name}
            model = fit(others, names, ranking) if role == "fitted" else models[key]
            by_collection[name] = evaluate_model(searched[name], model, ranking)
        together = {
            role: evaluate_model(
                [query for name in names_by_role[role] for query in searched[name]],
                models[key],
                ranking,
            )
            for role in ("development", "held out")
        }
        reports[key] = {"together": together, "collections": by_collection}
    with Index.open(args.work / "cosqa") as index:
        status = index.status()
    coefficients = {"name": status.encoder, "encoder": status.fingerprint, "models": models}
    if args.write:
        write_json(COEFFICIENTS, coefficients)
    result |= {"collections": COLLECTIONS, "fitted": coefficients, "reports": reports}
    write_json(args.out, result)
    print(json.dumps(reports[WHOLE]["together"], indent=1))


if __name__ == "__main__":
    run_main(main)
