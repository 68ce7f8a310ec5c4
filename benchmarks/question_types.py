"""Which type of question a text answers: a fitted classifier, a linear probe, a bag of words.

    python benchmarks/question_types.py MEDQUAD --work FOLDER --out FILE.json

MEDQUAD is the collection in BEIR's format, with `qrels/train.tsv` and `qrels/test.tsv`. Its
questions are written from templates, one for each type ("What are the symptoms of ..."), and the
type of an answer is that of its question; the question is not read. What is learnt is drawn from
the train split, all of the test split is measured, and texts that answer questions of several types
or of both splits are left out.

    fitted        the embedded model and a head, trained together (`retrieval train FILE.jsonl`)
    probe         logistic regression on the embedded model's dense vectors, which stay
    bag of words  logistic regression on tf-idf of words and pairs of words

The strength of the regressions' penalty is chosen on a tenth of what is learnt.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from command import run_main
from environment import environment
from json_files import write_json

from retrieval.encoders import load_encoder
from retrieval.encoders.tokenization import leading, load_tokenizer
from retrieval.errors import InputError
from retrieval.eval.labels import accuracy, macro_f1
from retrieval.train.label_data import Labelled, divided
from retrieval.train.labelling import LabelOptions, fit_labels

TYPES = {
    "information": r"what is \(are\)",
    "symptoms": r"what are the symptoms of",
    "treatment": r"what are the treatments for",
    "inheritance": r"is .* inherited",
    "frequency": r"how many people are affected",
    "genetic changes": r"what are the genetic changes",
    "causes": r"what causes",
    "diagnosis": r"how to diagnose",
    "research": r"what research \(or clinical trials\)",
    "outlook": r"what is the outlook",
    "susceptibility": r"who is at risk",
    "brand names": r"do you have information about",
    "considerations": r"what to do for",
    "prevention": r"how to prevent",
    "stages": r"what are the stages of",
    "complications": r"what are the complications of",
}
PENALTIES = (0.1, 1.0, 10.0, 100.0)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("medquad", type=Path)
    parser.add_argument("--texts", type=int, default=4000, help="learnt from, at most")
    parser.add_argument("--tokens", type=int, default=128, help="read of a text")
    parser.add_argument("--epochs", type=float, help="as `retrieval train` has it, if not given")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    learnt, test = read(args.medquad)
    if len(learnt) > args.texts:
        _, learnt = divided(learnt, args.texts / len(learnt), args.seed)
    tokenizer = load_tokenizer(_embedded() / "tokenizer.json")
    cut = [shortened(tokenizer, text, args.tokens) for text in learnt.texts]
    cut_test = [shortened(tokenizer, text, args.tokens) for text in test.texts]
    result: dict[str, Any] = {
        **environment(("modernbert-retrieval", "torch", "scikit-learn", "numpy")),
        "collection": args.medquad.name,
        "learnt": len(learnt),
        "test": len(test),
        "tokens": args.tokens,
        "epochs": args.epochs,
        "seed": args.seed,
        "types": dict(Counter(test.labels).most_common()),
        "systems": {},
    }
    common = Counter(learnt.labels).most_common(1)[0][0]
    systems = {
        "most frequent": lambda: [common] * len(test),
        "bag of words": lambda: bag_of_words(cut, learnt.labels, cut_test, args.seed),
        "probe": lambda: probe(cut, learnt.labels, cut_test, args.seed),
        "fitted": lambda: fitted(learnt, test, args),
    }
    for name, run in systems.items():
        found = run()
        result["systems"][name] = {
            "accuracy": accuracy(test.labels, found),
            "macro_f1": macro_f1(test.labels, found),
        }
        print(name, result["systems"][name], flush=True)
    write_json(args.out, result)


def read(folder: Path) -> tuple[Labelled, Labelled]:
    """The answers of the train split and of the test split, by the type of their question."""
    queries = {row["_id"]: row["text"] for row in _rows(folder / "queries.jsonl")}
    texts = {row["_id"]: row["text"] for row in _rows(folder / "corpus.jsonl")}
    types: dict[str, set[str | None]] = {}
    splits: dict[str, set[str]] = {}
    for split in ("train", "test"):
        for line in (folder / "qrels" / f"{split}.tsv").read_text().splitlines()[1:]:
            query, document, grade = line.split("\t")
            if int(grade) > 0:
                types.setdefault(document, set()).add(type_of(queries[query]))
                splits.setdefault(document, set()).add(split)
    parts = []
    for split in ("train", "test"):
        own = [
            (texts[document], next(iter(found)))
            for document, found in types.items()
            if len(found) == 1 and None not in found and splits[document] == {split}
        ]
        if not own:
            raise InputError(f"{folder}: no answers of one type in the {split} split")
        parts.append(Labelled(split, tuple(t for t, _ in own), tuple(str(y) for _, y in own)))
    return parts[0], parts[1]


def type_of(question: str) -> str | None:
    """The type of a question that is written from a template."""
    return next((name for name, one in TYPES.items() if re.match(one, question, re.I)), None)


def bag_of_words(
    texts: list[str], labels: tuple[str, ...], test: list[str], seed: int
) -> list[str]:
    """Logistic regression on tf-idf."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    return regression(words.fit_transform(texts), labels, words.transform(test), seed)


def probe(texts: list[str], labels: tuple[str, ...], test: list[str], seed: int) -> list[str]:
    """Logistic regression on dense vectors."""
    encoder = load_encoder()
    made = [encoder.encode_documents(one).dense for one in (texts, test)]
    return regression(made[0], labels, made[1], seed)


def regression(learnt: Any, labels: tuple[str, ...], test: Any, seed: int) -> list[str]:
    """Logistic regression; its penalty is chosen on a tenth of what is learnt."""
    from sklearn.linear_model import LogisticRegression

    order = np.random.default_rng(seed).permutation(len(labels))
    held, rest = order[: len(order) // 10], order[len(order) // 10 :]
    names = np.array(labels)

    def fit(penalty: float, places: Any) -> Any:
        return LogisticRegression(C=penalty, max_iter=2000).fit(learnt[places], names[places])

    best = max(PENALTIES, key=lambda one: fit(one, rest).score(learnt[held], names[held]))
    found: list[str] = fit(best, order).predict(test).tolist()
    return found


def fitted(learnt: Labelled, test: Labelled, given: argparse.Namespace) -> list[str]:
    """The embedded model with a head, trained together."""
    from retrieval.encoders.classifier import load_classifier

    options = LabelOptions(epochs=given.epochs, max_tokens=given.tokens, seed=given.seed)
    if not (given.work / "training.json").exists():
        fit_labels(learnt, None, given.work, options=options)
    return load_classifier(given.work).labels_of(test.texts)


def shortened(tokenizer: Any, text: str, tokens: int) -> str:
    """The characters of the text's first tokens, two fewer for the special ones."""
    beginning = leading(tokenizer, text, tokens)
    offsets = tokenizer.encode(beginning, add_special_tokens=False).offsets[: tokens - 2]
    return beginning[: offsets[-1][1]] if offsets else ""


def _embedded() -> Path:
    from retrieval.encoders.embedded import embedded_folder

    return embedded_folder()


def _rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


if __name__ == "__main__":
    run_main(main)
