"""Fit and judge `Hit.relevance`: how well it tells queries that are answered from others.

    python benchmarks/relevance.py DATASETS --work FOLDER --out FILE.json [--write]

DATASETS holds the collections below in BEIR's format. Each is indexed by the embedded model under
FOLDER. Its own queries are asked, those of collections of other subjects, and nonsense: keys that
were hit at random, and words of collections drawn at random. So are they of small indexes, of 1 to
40 documents. The model is fitted on train splits alone; `development` and `held out` are reported.
`--write` puts the coefficients where the package reads them.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from command import as_command
from environment import environment
from numpy.typing import NDArray

from retrieval.eval import Collection, load
from retrieval.index import Index
from retrieval.index.reading import search
from retrieval.index.reading.relevance import COEFFICIENTS, features
from retrieval.index.reading.runs import Ranking
from retrieval.index.reading.snapshot import Snapshot
from retrieval.types import RETRIEVERS, Document

COLLECTIONS = {  # subject, split, and what it is for
    "fairytaleqa_sections": ("stories", "train", "fitted"),
    "qmsum": ("meetings", "train", "fitted"),
    "medquad": ("medicine", "train", "fitted"),
    "pydocstring": ("code", "train", "fitted"),
    "codenn_python": ("code", "train", "fitted"),
    "scifact": ("medicine", "test", "development"),
    "cosqa": ("code", "dev", "development"),
    "cranfield": ("aeronautics", "test", "held out"),
    "liveqa_med": ("medicine", "test", "held out"),
    "msmarco_dl_sample": ("web", "test", "held out"),
    "dbpedia_sample": ("web", "test", "held out"),
    "pubmedqa": ("medicine", "test", "held out"),
}
OWN, WRONG, NONSENSE = 300, 100, 60  # queries a collection, and of each other one
SIZES = {1: 8, 3: 8, 10: 8, 40: 4}  # documents of a small index, and how many such
DEPTH = 60
MODELS = {  # what each looks at, and whose ranking it is fitted on
    "dense+late+lexical": (("late", "dense", "lexical"), "hybrid"),
    "dense+late": (("late", "dense"), "hybrid"),
    "dense+lexical": (("dense", "lexical"), "hybrid"),
    "late+lexical": (("late", "lexical"), "hybrid"),
    "dense": (("dense",), "dense"),
    "late": (("late",), "late"),
    "lexical": (("lexical",), "lexical"),
}
LINE, SHARE = 0.2, 0.03  # so many of the unanswered may have so much relevance
Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Asked:
    """One query of one index: for each retriever the features of its ranking, and what answers."""

    kind: str  # own, wrong, mash or words
    small: bool
    found: Mapping[str, tuple[Mapping[str, Matrix], NDArray[np.bool_]]]


def nonsense(vocabulary: Sequence[str], count: int, seed: str) -> list[tuple[str, str]]:
    """Keys hit at random, and words drawn at random: kind and text."""
    drawn = random.Random(seed)
    rows = ["qwertyuiop", "asdfghjkl", "zxcvbnm", "asdfghjkl;qwertyuiopzxcvbnm"]
    made = []
    for _ in range(count):
        row = drawn.choice(rows)
        keys = ["".join(drawn.choices(row, k=drawn.randrange(3, 11))) for _ in range(4)]
        made.append(("mash", " ".join(keys[: drawn.randrange(1, 5)])))
        made.append(("words", " ".join(drawn.choices(vocabulary, k=drawn.randrange(2, 9)))))
    return made


def vocabulary(collections: Sequence[Collection]) -> list[str]:
    """Words of at least three letters that are in at least three of some documents."""
    counts: Counter[str] = Counter()
    for collection in collections:
        for document, _ in zip(collection.documents, range(1500), strict=False):
            counts.update(set(re.findall(r"[a-z]{3,}", document.text.lower())))
    return sorted(word for word, count in counts.items() if count > 2)


def queries_of(collection: Collection, count: int, seed: str) -> list[tuple[str, str, set[str]]]:
    """Id, text and answers of some queries that have answers."""
    answered = [
        (id, text, {d for d, grade in collection.judgements[id].items() if grade > 0})
        for id, text in sorted(collection.queries.items())
        if text.strip()
    ]
    answered = [row for row in answered if row[2]]
    random.Random(seed).shuffle(answered)
    return answered[:count]


def ask(index: Index, queries: Sequence[tuple[str, str, set[str]]], *, small: bool) -> list[Asked]:
    """Kind, text and answers in, rankings' features out."""
    found = []
    with index._using() as snapshot:
        for first in range(0, len(queries), 50):
            part = queries[first : first + 50]
            slot, texts = index._encoder, [text for _, text, _ in part]
            asked = search.prepare(snapshot, slot, texts, "hybrid")
            ranked = {
                name: search.rank(
                    snapshot, asked, DEPTH, retriever=name, allowed=snapshot.allowed(None)
                )
                for name in RETRIEVERS
            }
            for place, (kind, _, answers) in enumerate(part):
                of = {
                    name: looked_at(snapshot, asked[place], rankings[place], answers)
                    for name, rankings in ranked.items()
                }
                found.append(Asked(kind, small, of))
    return found


def looked_at(
    snapshot: Snapshot, query: Any, ranking: Ranking, answers: set[str]
) -> tuple[Mapping[str, Matrix], NDArray[np.bool_]]:
    """The features of the best passages, and which of them answer."""
    run = ranking.run.first(DEPTH)
    rows = snapshot.store.passages(run.ids.tolist())
    documents = snapshot.store.documents(sorted({row.document for row in rows.values()}))
    right = [documents[rows[id].document].id in answers for id in run.ids.tolist()]
    return features(snapshot, query, run, ranking.by), np.array(right, np.bool_)


def asked_of(
    name: str, collections: Mapping[str, Collection], words: Sequence[str], work: Path
) -> list[Asked]:
    """All that is asked of one collection and of small ones of its documents."""
    role = COLLECTIONS[name][2]
    others = [
        other
        for other, (subject, _, of) in COLLECTIONS.items()
        if of == role and not {subject, COLLECTIONS[name][0]} <= {"web", "medicine"}
        if subject != COLLECTIONS[name][0]
    ]
    own = queries_of(collections[name], OWN, name)
    wrong = {o: [text for _, text, _ in queries_of(collections[o], WRONG, o)] for o in others}
    queries = [("own", text, answers) for _, text, answers in own]
    queries += [("wrong", text, set()) for texts in wrong.values() for text in texts]
    queries += [(kind, text, set()) for kind, text in nonsense(words, NONSENSE, name)]
    path = work / name
    with Index.open(path) if path.exists() else Index.create(path) as index:
        if index.status().documents < len(collections[name].documents):
            index.add(collections[name].documents)
        found = ask(index, queries, small=False)
    drawn = random.Random(name)
    documents = {d.id: d for d in collections[name].documents}
    for size, count in SIZES.items():
        for number in range(count if len(documents) > 1000 or size < 10 else 0):
            chosen = small_set(drawn, own, documents, size)
            asks = [("own", text, a) for _, text, a in own if a & chosen.keys()][:6]
            for texts in wrong.values():
                asks += [("wrong", text, set()) for text in drawn.sample(texts, 2)]
            made = nonsense(words, 2, f"{name} {size} {number}")
            asks += [(kind, text, set()) for kind, text in made]
            shutil.rmtree(work / "small", ignore_errors=True)
            with Index.create(work / "small") as index:
                index.add(chosen.values())
                found += ask(index, asks, small=True)
    return found


def small_set(
    drawn: random.Random,
    own: Sequence[tuple[str, str, set[str]]],
    documents: Mapping[str, Document],
    size: int,
) -> dict[str, Document]:
    """So many documents, half of them answers."""
    ids: dict[str, None] = {}
    for _, _, answers in drawn.sample(own, max(1, size // 2)):
        ids |= dict.fromkeys(sorted(answers & documents.keys())[:1])
    while len(ids) < size:
        ids |= {drawn.choice(list(documents)): None}
    return {id: documents[id] for id in list(ids)[:size]}


def rows_of(asked: Asked, ranking: str) -> Iterator[tuple[int, float, int]]:
    """Place in the ranking, label and a number for the kind of what the model is fitted on."""
    _, right = asked.found[ranking]
    if asked.kind != "own":
        yield from ((place, 0.0, 1 + 3 * asked.small) for place in range(min(2, len(right))))
        return
    top = 3 if asked.small else 10
    for place in np.flatnonzero(right[:top])[:2].tolist():
        yield place, 1.0, 3 * asked.small
    if not asked.small:
        behind = np.flatnonzero(~right[30:])[:2] + 30
        yield from ((place, 0.0, 2) for place in behind.tolist())


WEIGHTS = {0: 1.0, 1: 5.0, 2: 0.5, 3: 0.5, 4: 2.5}
"""Answers; what is asked in vain; far behind in a ranking; answers and in vain, small indexes."""


def fit(
    asked: Mapping[str, Sequence[Asked]], names: Sequence[str], ranking: str
) -> dict[str, float]:
    """The coefficients of one model, by logistic regression with every collection alike."""
    used = [*names, "words", "passages"]
    x, y, w = [], [], []
    for one in asked.values():
        rows = [(a, *row) for a in one for row in rows_of(a, ranking)]
        sizes = Counter(kind for *_, kind in rows)
        for a, place, label, kind in rows:
            x.append([a.found[ranking][0][name][place] for name in used])
            y.append(label)
            w.append(WEIGHTS[kind] / sizes[kind])
    values, labels, weights = np.array(x), np.array(y), np.array(w) / sum(w)
    mean, spread = values.mean(axis=0), values.std(axis=0)
    design = np.column_stack([(values - mean) / spread, np.ones(len(values))])
    ridge = np.diag([1e-3] * len(used) + [0.0])
    solution = np.zeros(len(used) + 1)
    for _ in range(50):  # Newton's method
        p = 1 / (1 + np.exp(-design @ solution))
        slope = design.T @ (weights * (p - labels)) + ridge @ solution
        bend = (design * (weights * p * (1 - p))[:, None]).T @ design + ridge
        solution -= np.linalg.solve(bend, slope)
    model = dict(zip(used, (solution[:-1] / spread).tolist(), strict=True))
    model["constant"] = float(solution[-1] - (solution[:-1] / spread) @ mean)
    vain = [best(a, model, ranking) for one in asked.values() for a in one if a.kind != "own"]
    logit = np.log(np.array(vain) / (1 - np.array(vain)))
    model["constant"] += np.log(LINE / (1 - LINE)) - float(np.quantile(logit, 1 - SHARE))
    return {name: round(value, 4) for name, value in model.items()}


def best(asked: Asked, model: Mapping[str, float], ranking: str) -> float:
    """The relevance of the first hit; next to none where nothing is found."""
    found, right = asked.found[ranking]
    if not len(right):
        return 1e-6
    total = model["constant"] + sum(
        weight * found[name][0] for name, weight in model.items() if name != "constant"
    )
    return float(1 / (1 + np.exp(-np.clip(total, -30, 30))))


def auc(high: Sequence[float], low: Sequence[float]) -> float:
    """The probability that one of `high` is above one of `low`; ties are half."""
    values = np.sort(np.array(low))
    below = np.searchsorted(values, high, "left") + np.searchsorted(values, high, "right")
    return float(below.mean() / (2 * len(values)))


def report(asked: Mapping[str, Sequence[Asked]], model: Mapping[str, float], ranking: str) -> Any:
    """How well one model does on some collections."""
    facts: dict[str, Any] = {}
    for small in (False, True):
        of = {
            kind: [
                best(a, model, ranking)
                for one in asked.values()
                for a in one
                if a.small == small and a.kind == kind
            ]
            for kind in ("own", "wrong", "mash", "words")
        }
        facts["small" if small else "whole"] = {
            "auc_wrong": auc(of["own"], of["wrong"]),
            "auc_nonsense": auc(of["own"], of["mash"] + of["words"]),
            "median_own": float(np.median(of["own"])),
            "queries": {kind: len(values) for kind, values in of.items()},
            "at_least_0.2": {k: float((np.array(v) >= LINE).mean()) for k, v in of.items()},
        }
    return facts


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    collections = {
        name: load(str(given.datasets / name), split)[0]
        for name, (_, split, _) in COLLECTIONS.items()
    }
    roles = [role for _, _, role in COLLECTIONS.values()]
    words = vocabulary([collections[n] for n, c in COLLECTIONS.items() if c[2] == "fitted"])
    asked: dict[str, dict[str, list[Asked]]] = {role: {} for role in roles}
    for name, (_, _, role) in COLLECTIONS.items():
        asked[role][name] = asked_of(name, collections, words, given.work)
        print(name, len(asked[role][name]), flush=True)
    models = {key: fit(asked["fitted"], *of) for key, of in MODELS.items()}
    reports = {
        key: {role: report(of, models[key], ranking) for role, of in asked.items()}
        for key, (_, ranking) in MODELS.items()
    }
    with Index.open(given.work / "cosqa") as index:
        encoder = index.status()
    fitted = {"name": encoder.encoder, "encoder": encoder.fingerprint, "models": models}
    if given.write:
        COEFFICIENTS.write_text(json.dumps(fitted, indent=1) + "\n", encoding="utf-8")
    result = environment(("modernbert-retrieval", "numpy", "faiss-cpu", "tantivy"))
    result |= {"collections": COLLECTIONS, "fitted": fitted, "reports": reports}
    given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(reports["dense+late+lexical"], indent=1))


if __name__ == "__main__":
    as_command(main)
